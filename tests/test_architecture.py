"""The shape of the house: imports go one way, one room touches tf.estimator, nobody reads global flags."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAY_IMPORT = {
    "tokenization": set(),
    "modeling": set(),
    "processors": {"tokenization"},
    "tasks": {"tokenization", "processors", "modeling"},
    "estimator": {"tokenization", "processors", "modeling", "tasks"},
    "command_line": {"tokenization", "processors", "modeling", "tasks", "estimator"},
}
ROOMS = set(MAY_IMPORT)
SCRIPTS = sorted(path for path in ROOT.glob("*.py") if path.name != "errors.py")


def imported_roots(tree: ast.AST) -> set[str]:
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            roots.add(node.module.split(".")[0])
    return roots


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_imports_go_one_way(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files, f"room {room} is empty"
    for path in files:
        used = imported_roots(ast.parse(path.read_text(encoding="utf-8"))) & ROOMS
        assert used <= MAY_IMPORT[room] | {room}, f"{path.relative_to(ROOT)} imports {used - MAY_IMPORT[room]}"


def test_nobody_imports_the_benchmarks():
    for path in [*SCRIPTS, ROOT / "errors.py", *(p for room in ROOMS for p in (ROOT / room).rglob("*.py"))]:
        assert "benchmarks" not in imported_roots(ast.parse(path.read_text(encoding="utf-8"))), path


def test_only_the_estimator_room_touches_tf_estimator():
    for path in ROOT.glob("*/*.py"):
        if path.parent.name in ROOMS - {"estimator"}:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            names = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
            assert "estimator" not in names, f"{path.relative_to(ROOT)} touches tf.estimator"


def test_tokenization_knows_no_tensorflow():
    for path in (ROOT / "tokenization").rglob("*.py"):
        roots = imported_roots(ast.parse(path.read_text(encoding="utf-8")))
        assert not roots & {"tensorflow", "tensorflow_text"}, path


def test_nothing_reads_global_flags():
    for path in sorted(ROOT.glob("*/*.py")):
        if path.parent.name in ROOMS:
            assert not re.search(r"\bFLAGS\b", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_thin(script):
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 100


@pytest.mark.parametrize("path", sorted(p for r in {*ROOMS, "benchmarks"} for p in (ROOT / r).rglob("*.py")), ids=str)
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
