"""Every registered processor passes the contract on a tiny data set in its own layout."""

from pathlib import Path

import pytest

from processors import Columns, DataProcessor, InputExample, TableProcessor, TableSpec, registry
from tests.support.processor_contract import check_processor
from tests.support.tiny_data_sets import TINY_DATA

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def built_in_names():
    return [name for name in registry.names() if name != "selfsim"]


def make(name):
    options = {"spec": TableSpec(Columns("text", label="label"))} if name == "table" else {}
    return registry.get(name)(**options)


@pytest.mark.parametrize("name", built_in_names())
def test_every_registered_processor_keeps_the_contract(name, tmp_path):
    assert name in TINY_DATA, f"a newly registered processor {name!r} needs tiny data here"
    TINY_DATA[name](tmp_path)
    processor = make(name)
    if name == "table":
        processor = TableProcessor(processor.table, str(tmp_path))
    check_processor(processor, tmp_path)


@pytest.mark.parametrize("data", ["selfsim-en", "selfsim-zh"])
def test_the_sample_plug_in_keeps_the_contract(data):
    with registry.isolated():
        processor = registry.get("selfsim", str(EXAMPLES / "custom_processor.py"))()
        check_processor(processor, EXAMPLES / data)
        assert len(processor.get_train_examples(str(EXAMPLES / data))) == 240


def test_the_sample_plug_in_is_at_most_25_lines():
    assert len((EXAMPLES / "custom_processor.py").read_text(encoding="utf-8").splitlines()) <= 25


class Broken(DataProcessor):
    """Breaks the contract in one place at a time."""

    def __init__(self, labels=("a", "b"), examples=None):
        self._labels = list(labels)
        self._examples = examples or [InputExample("1", "x", None, "a"), InputExample("2", "y", None, "b")]

    def get_labels(self):
        return self._labels

    def get_train_examples(self, data_dir):
        return self._examples

    get_dev_examples = get_train_examples


@pytest.mark.parametrize(
    "processor",
    [
        Broken(labels=("a", "a")),
        Broken(labels=()),
        Broken(examples=[InputExample("1", "x", None, "a"), InputExample("1", "y", None, "b")]),
        Broken(examples=[InputExample("1", "x", None, "c")]),
        Broken(examples=[InputExample("1", "x", None, None)]),
        Broken(examples=[InputExample("1", " ", None, "a")]),
        Broken(examples=[InputExample("1", "x", "y", "a"), InputExample("2", "x", None, "a")]),
        Broken(examples=iter([InputExample("1", "x", None, "a")])),
    ],
)
def test_the_contract_notices(processor, tmp_path):
    (tmp_path / "data.txt").write_text("x")
    check_processor(Broken(), tmp_path)
    with pytest.raises(AssertionError):
        check_processor(processor, tmp_path)
