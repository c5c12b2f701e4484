"""The structure: imports go one way, one package uses tf.estimator, nothing reads global flags, files stay small."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "common": set(),
    "tokenization": {"common"},
    "processors": {"common", "tokenization"},
    "modeling": {"common", "tokenization"},
    "tasks": {"common", "tokenization", "processors", "modeling"},
    "export": {"common", "tokenization", "processors", "modeling", "tasks"},
    "estimator": {"common", "tokenization", "processors", "modeling", "tasks", "export"},
    "serving": {"common", "tokenization", "processors", "modeling", "tasks", "export"},
    "compat": {"common", "tokenization", "processors", "modeling", "tasks", "export", "estimator", "serving"},
    "command_line": {
        "common", "tokenization", "processors", "modeling", "tasks", "export", "estimator", "serving",
    },
}  # fmt: skip
PACKAGES = set(MAY_IMPORT)

ORDER = {
    "common": (
        "errors paths files source_code user_code pictures garbage_collection onednn interruption workers checkpoints "
        "exclusive cluster command_records run_directory"
    ),
    "tokenization": (
        "characters base vocabulary tokenizer_json stated_settings casing wordpiece byte_bpe model_proto "
        "unigram unigram_json sentencepiece natural_text extra_tokens kinds"
    ),
    "processors": (
        "problem_types reading json_stream beam base example_source registry text_lines records tables report entities "
        "choices sequences squad pretraining graph"
    ),
    "modeling": (
        "families config layer_lists parameter_groups reading insertions settings inside encoder decoder heads build "
        "training checkpoints"
    ),
    "tasks": (
        "distillation row_results base answers text_rows classification span entities choices sequences pretraining "
        "vectors exports"
    ),
    "export": (
        "signatures onnx_packages onnx_fusion onnx_file onnx_quantization savedmodel hub conversion adapter_files"
    ),
    "estimator": (
        "config forecast machines devices hooks weights score_table learning_curve layer_mix memory failures streaming "
        "parameters model_fn feature_extraction task_records inputs row_values feature_cache soft_targets run_model "
        "evaluation latency engine_accuracy bulk experiment"
    ),
    "serving": (
        "saved_model onnx_engine engines lists columns predictor adapters engine_choice lines errors settings rows "
        "tensors worker processes batcher metrics statistics lengths models cards service gate protocols connections "
        "application server"
    ),
    "compat": (
        "features optimization run_classifier run_classifier_with_tfhub squad_features squad_answers run_squad "
        "run_pretraining create_pretraining_data extract_features"
    ),
    "command_line": (
        "flags remote_files app settings extra_tokens model_files scopes first_adapter commands execution seeds "
        "distillation frame table run_classifier run_classifier_with_tfhub run_squad run_ner "
        "run_multiple_choice run_seq2seq run_pretraining create_pretraining_data extract_features convert_checkpoint "
        "run_server run_task python_api run_changes repeat_run reference"
    ),
}
"""The modules and subpackages of each package; each may import those before it. `__init__` may import any."""

SCRIPTS = sorted(ROOT.glob("*.py"))


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Dotted names of what a file imports; `from package import name` counts as `package.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the package"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_the_order_names_everything_in_a_package(package):
    found = {
        path.stem for path in (ROOT / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert found - {"__init__"} == set(ORDER[package].split())


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_inside_a_package_go_one_way(package):
    order = ORDER[package].split()
    for path in (ROOT / package).rglob("*.py"):
        unit = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        if unit == "__init__":
            continue
        for module in imported_modules(tree_of(path)):
            root, _, rest = module.partition(".")
            used = rest.partition(".")[0]
            if root == package and used in order:
                assert order.index(used) <= order.index(unit), f"{path.relative_to(ROOT)} imports {module}"


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_roots(tree: ast.AST) -> set[str]:
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            roots.add(node.module.split(".")[0])
    return roots


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_go_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"package {package} is empty"
    for path in files:
        used = imported_roots(tree_of(path)) & PACKAGES
        assert used <= MAY_IMPORT[package] | {package}, f"{path.relative_to(ROOT)} imports {used - MAY_IMPORT[package]}"


def test_nobody_imports_the_benchmarks():
    for path in [*SCRIPTS, *(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))]:
        assert "benchmarks" not in imported_roots(tree_of(path)), path


def test_only_the_estimator_package_touches_tf_estimator():
    for package in PACKAGES - {"estimator", "compat"}:
        for path in (ROOT / package).rglob("*.py"):
            tree = tree_of(path)
            names = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
            assert "estimator" not in names, f"{path.relative_to(ROOT)} touches tf.estimator"


def test_tokenization_knows_no_tensorflow():
    for path in (ROOT / "tokenization").rglob("*.py"):
        roots = imported_roots(tree_of(path))
        assert not roots & {"tensorflow", "tensorflow_text"}, path


def test_nothing_reads_global_flags():
    for package in PACKAGES - {"compat"}:  # which names it, to say what to use instead
        for path in (ROOT / package).rglob("*.py"):
            assert not re.search(r"\bFLAGS\b", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_thin(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 100


@pytest.mark.parametrize(
    "path", sorted(p for r in {*PACKAGES, "benchmarks"} for p in (ROOT / r).rglob("*.py")), ids=str
)
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 75, f"{path.name}: {node.name} is too long"


def test_scripts_import_without_tensorflow_and_define_no_flags():
    modules = ", ".join(path.stem for path in SCRIPTS)
    code = (
        f"import sys, {modules}\n"
        "from absl import flags\n"
        "assert 'tensorflow' not in sys.modules and 'pandas' not in sys.modules\n"
        "assert 'output_dir' not in flags.FLAGS\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
