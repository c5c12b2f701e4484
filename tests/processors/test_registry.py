"""Names to processors: built-in, decorated, in files, in packages; and what is said when that fails."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import RegistryError
from processors import DataProcessor, register, registry
from processors.tables.glue import MrpcProcessor, XnliProcessor

ROOT = Path(__file__).resolve().parents[2]
PLUG_IN = """
from processors import DataProcessor, InputExample, register

@register("{name}")
class Mine(DataProcessor):
    pass
"""


class Plain(DataProcessor):
    def get_labels(self):
        return ["0", "1"]


@pytest.fixture(autouse=True)
def _isolated():
    with registry.isolated():
        yield


def message(name, module=None):
    with pytest.raises(RegistryError) as caught:
        registry.get(name, module)
    text = str(caught.value)
    assert "\n" not in text
    return text


def plug_in(folder, text, name="plug_in.py"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_names_are_sorted_and_in_any_case():
    assert registry.names() == sorted(registry.names())
    assert registry.get("MRPC") is registry.get("mrpc") is MrpcProcessor


def test_xnli_languages_are_names():
    processor = registry.get("xnli-fr")()
    assert isinstance(processor, XnliProcessor)
    assert processor.table.split("dev").where == (0, "fr")


def test_register_and_get():
    register("Mine")(Plain)
    assert registry.get("mine") is Plain
    assert "mine" in registry.names()


def test_unknown_name():
    text = message("mprc")
    assert text.startswith("no task 'mprc'; closest 'mrpc'; known: cola, mnli, ")
    assert "--processor_module=path/to/file.py" in text
    assert "--task_name=package.module:Class" in text
    assert "entry point in the group bert.processors" in text


def test_unknown_name_like_nothing_lists_the_names_once():
    assert message("zzzzzz").count("known: cola") == 1


def test_duplicate_names_both_owners(tmp_path):
    first = plug_in(tmp_path, PLUG_IN.format(name="mine"), "first.py")
    second = plug_in(tmp_path, PLUG_IN.format(name="mine"), "second.py")
    registry.import_module(first)
    text = message("mine", second)
    assert f"task 'mine' is registered twice: by {first}:4 and by {second}:4; rename one of them" in text
    assert "registered twice: by processors.tables.glue (built in) and by " in message(
        "x", plug_in(tmp_path, PLUG_IN.format(name="mrpc"), "third.py")
    )


def test_same_file_under_two_module_names(tmp_path, monkeypatch):
    path = plug_in(tmp_path, PLUG_IN.format(name="mine"), "twice_imported.py")
    monkeypatch.syspath_prepend(tmp_path)
    registry.import_module(path)
    assert registry.get("mine", "twice_imported").__name__ == "Mine"


def test_module_by_path_is_imported_once_and_sees_its_neighbours(tmp_path):
    plug_in(tmp_path, "NAME = 'mine'\n", "a_neighbour.py")
    path = plug_in(tmp_path, "import a_neighbour\n" + PLUG_IN.format(name="mine"))
    first = registry.get("mine", path)
    assert registry.get("mine", path) is first


def test_plug_in_stays_known_after_the_registry_was_isolated(tmp_path):
    path = plug_in(tmp_path, PLUG_IN.format(name="mine"))
    with registry.isolated():
        registry.import_module(path)
    assert registry.get("mine", path).__name__ == "Mine"


def test_class_by_dotted_name(tmp_path, monkeypatch):
    plug_in(tmp_path, PLUG_IN.format(name="mine"), "dotted_plug_in.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.get("dotted_plug_in:Mine").__name__ == "Mine"
    assert "module dotted_plug_in has no 'Mime'; closest 'Mine'" in message("dotted_plug_in:Mime")
    assert "--task_name=no_such_module:X: no module 'no_such_module' on the import path" in message("no_such_module:X")
    assert "--task_name=:X: expected package.module:Class" in message(":X")


@pytest.mark.parametrize("target", ["json:JSONDecoder", "json:dumps"])
def test_object_that_is_no_processor(target):
    assert "expected a subclass of processors.DataProcessor; derive from it" in message(target)


def test_decorated_class_that_is_no_processor():
    with pytest.raises(RegistryError) as caught:
        register("mine")(int)
    text = str(caught.value)
    assert text.startswith(f"{__file__}:")
    assert "@register('mine'): found class int, expected a subclass" in text


BARE = "from processors import DataProcessor\nclass Mine(DataProcessor):\n    pass\n"


def test_the_only_processor_of_a_module_needs_no_name(tmp_path):
    path = plug_in(tmp_path, BARE)
    assert registry.get("anything", path).__name__ == "Mine"
    text = message("mrpc", path)
    assert text.startswith(f"--processor_module={path} defines Mine, but --task_name=mrpc is built in; ")


def test_the_only_processor_may_have_registered_another_name(tmp_path):
    path = plug_in(tmp_path, PLUG_IN.format(name="mine"))
    assert registry.get("anything", path).__name__ == "Mine"
    assert registry.get("mrpc", path) is MrpcProcessor
    second = "@register('second')\nclass Second(Mine):\n    pass\n"
    several = plug_in(tmp_path, PLUG_IN.format(name="first") + second, "several.py")
    assert message("anything", several) == (
        f"--processor_module={several} registers first, second, and no 'anything'; give --task_name with one of them"
    )


def test_the_dictionary_of_a_module_names_its_processors(tmp_path):
    path = plug_in(tmp_path, BARE + "class Other(Mine):\n    pass\nprocessors = {'selfsim': Mine, 'CoLA': Other}\n")
    assert registry.get("selfsim", path).__name__ == "Mine"
    assert registry.get("cola", path).__name__ == "Other"
    assert "defines Mine, Other, and none is called 'none'; register one with @register('none')" in message(
        "none", path
    )


def test_a_class_with_upstreams_methods_is_a_processor(tmp_path):
    methods = "".join(f"    def get_{name}(self, data_dir=None): return []\n" for name in
                      ("labels", "train_examples", "dev_examples", "test_examples"))  # fmt: skip
    path = plug_in(tmp_path, "class Own:\n" + methods)
    assert registry.get("own", path).__name__ == "Own"


def test_a_module_without_a_processor(tmp_path):
    assert message("mine", plug_in(tmp_path, "NUMBER = 1\n")).startswith("no task 'mine'")


def test_names_that_upstream_has_and_this_project_lacks_are_named_at_their_line(tmp_path):
    path = plug_in(tmp_path, "import os\nfrom run_classifier import FLAGS, DataProcessor\n")
    text = message("mine", path)
    assert text.startswith(f"--processor_module={path}: {path}:2: run_classifier.FLAGS: not in this project; flags are")
    assert text.endswith("or run the script; correct the module")


@pytest.mark.parametrize(
    ("parameters", "body", "expected"),
    [
        (
            "file, column",
            "pass",
            "Mine.__init__: missing a required argument: 'file'; a processor is made without argum",
        ),
        ("file='none.csv'", "open(file)", r"Mine.__init__: .*plug_in.py:\d+: FileNotFoundError: .*none.csv.*; correct"),
    ],
)
def test_a_class_that_cannot_be_made(tmp_path, parameters, body, expected):
    path = plug_in(tmp_path, BARE.replace("    pass", f"    def __init__(self, {parameters}):\n        {body}"))
    with pytest.raises(RegistryError, match=expected):
        registry.made(registry.get("mine", path))


def test_missing_module_file(tmp_path):
    text = message("mine", str(tmp_path / "none.py"))
    assert f"--processor_module={tmp_path / 'none.py'}: no such file; expected a Python file" in text


def test_missing_dotted_module():
    assert "--processor_module=no.such: no module 'no' on the import path" in message("mine", "no.such")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "x = 1\nimport no_such_package\n",
            ":2: ModuleNotFoundError: No module named 'no_such_package'; correct the module",
        ),
        ("x = 1\n\nx = = 2\n", ":3: SyntaxError: invalid syntax; correct the module"),
        ("def f():\n    raise ValueError('two\\nlines')\nf()\n", ":2: ValueError: two lines; correct the module"),
        ("raise SystemExit(3)\n", ":1: SystemExit: 3; correct the module"),
    ],
)
def test_module_that_fails(tmp_path, text, expected):
    path = plug_in(tmp_path, text)
    assert message("mine", path) == f"--processor_module={path}: {path}{expected}"


def test_module_that_fails_leaves_nothing_behind(tmp_path):
    path = plug_in(tmp_path, PLUG_IN.format(name="mine") + "\nraise ValueError('late')\n")
    message("mine", path)
    assert "mine" not in registry.names()
    plug_in(tmp_path, PLUG_IN.format(name="mine"))
    assert registry.get("mine", path).__name__ == "Mine"


def test_temporary():
    with registry.temporary("mrpc", Plain):
        assert registry.get("mrpc") is Plain
    assert registry.get("mrpc") is MrpcProcessor


def entry_points(monkeypatch, name, value):
    point = importlib.metadata.EntryPoint(name, value, registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [point])


def test_entry_point(monkeypatch):
    entry_points(monkeypatch, "packaged", f"{MrpcProcessor.__module__}:MrpcProcessor")
    assert registry.get("packaged") is MrpcProcessor
    assert registry.get("packaged") is MrpcProcessor
    assert "packaged" in registry.names()


def test_entry_point_with_a_taken_name(monkeypatch):
    entry_points(monkeypatch, "mrpc", "elsewhere:Mrpc")
    assert "by processors.tables.glue (built in) and by entry point mrpc = elsewhere:Mrpc" in message("mrpc")


def test_entry_point_that_leads_nowhere(monkeypatch):
    entry_points(monkeypatch, "packaged", "no_such_module:X")
    assert message("packaged").startswith("entry point packaged = no_such_module:X of")


def test_importing_the_package_is_cheap():
    code = (
        "import sys, processors\nfrom processors import registry, TableProcessor\nregistry.names()\n"
        "print([name for name in ('tensorflow', 'pandas', 'numpy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
