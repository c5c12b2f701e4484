"""Classes of other people: their examples, labels and mistakes; what decides their examples."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from common.errors import DataError
from common.source_code import is_users, source_digest
from processors.base import DataProcessor, InputExample
from processors.example_source import ExampleSource
from processors.problem_types import label_text
from processors.reading import MissingDataError
from processors.tables.glue import MrpcProcessor


class OwnExample:
    """As many scripts bring it along."""

    def __init__(self, guid, text_a, text_b=None, label=None):
        self.guid, self.text_a, self.text_b, self.label = guid, text_a, text_b, label


class Given(DataProcessor):
    """Gives what a test hands it."""

    def __init__(self, examples, labels=("0", "1"), problem_type="single_label"):
        self._examples, self._labels, self.problem_type = examples, labels, problem_type

    def get_train_examples(self, data_dir):
        return self._examples

    get_test_examples = get_train_examples

    def get_dev_examples(self, data_dir):
        raise NotImplementedError

    def get_labels(self):
        return self._labels


def read(examples, split="train", **options):
    return list(ExampleSource(Given(examples, **options), "").examples(split))


def test_an_example_class_of_their_own():
    (example,) = read([OwnExample("train-1", "a text", "", "1")])
    assert example == InputExample("train-1", "a text", None, "1")
    (example,) = read([SimpleNamespace(guid=7, text_a=b"caf\xc3\xa9")], "test")
    assert example == InputExample("7", "café", None, None)


def test_examples_take_further_attributes():
    example = InputExample("1", "a")
    example.weight = 2.0
    assert example.weight == 2.0


@pytest.mark.parametrize(
    ("label", "text"),
    [(1, "1"), (np.int64(1), "1"), (1.0, "1"), (np.float32(1), "1"), (True, "True"), (np.bool_(True), "True"),
     ("1", "1"), (0.5, "0.5"), (b"1", "1")],
)  # fmt: skip
def test_labels_become_text_once(label, text):
    assert label_text(label) == text


@pytest.mark.parametrize("labels", [[0, 1], (np.int64(0), np.int64(1)), ["0", "1"], range(2), [0.0, 1.0]])
def test_numbers_as_labels(labels):
    examples = [OwnExample("a", "x", None, 1), OwnExample("b", "x", None, "0"), OwnExample("c", "x", None, np.int32(1))]
    source = ExampleSource(Given(examples, labels), "")
    assert source.labels == ["0", "1"]
    assert [example.label for example in source.examples("train")] == ["1", "0", "1"]


def test_a_set_of_labels_is_sorted_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        assert ExampleSource(Given([], {"b", "c", "a"}), "").labels == ["a", "b", "c"]
    assert "Given.get_labels gives a set, which has no order; the classes are ['a', 'b', 'c']" in caplog.text


def test_rows_to_predict_may_have_any_label():
    examples = [OwnExample("a", "x", None, ""), OwnExample("b", "x", None, "none"), OwnExample("c", "x", None, "1")]
    assert [example.label for example in read(examples, "test")] == [None, None, "1"]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ({"text_a": "x"}, "Given.get_train_examples: item 0 is a dict without guid, expected an example with guid"),
        (OwnExample("a", "x", None, "2"), "example 'a': label '2' is not one of the labels; known: 0, 1"),
        (OwnExample("a", " ", None, "1"), "example 'a': text_a is blank, expected a text"),
        (OwnExample("a", None, None, "1"), "example 'a': text_a is None, a NoneType; expected text"),
        (OwnExample("a", "x", 3, "1"), "example 'a': text_b is 3, a int; expected text"),
        (OwnExample("a", "x\ud83d", None, "1"), "example 'a': text_a has half a character (U+D83D)"),
        (OwnExample("a", b"\xff", None, "1"), "example 'a': text_a is bytes that are not UTF-8"),
        (OwnExample("a", "x", None, b"\xff"), "example 'a': label b'\\xff' is not one of the labels"),
        (OwnExample("a", "x", None, np.array([0, 1])), "example 'a': label array([0, 1]) is not one of the labels"),
        (None, "Given.get_train_examples: item 0 is a NoneType without guid"),
    ],
)
def test_examples_that_cannot_be_used(example, message):
    with pytest.raises(DataError) as refused:
        read([example])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("options", "label", "message"),
    [
        ({"problem_type": "regression"}, "high", "label 'high' is not a finite float32 number"),
        ({"problem_type": "regression"}, 1e39, "label 1e+39 is not a finite float32 number"),
        ({"problem_type": "multi_label"}, "1", "label '1' is not a list of labels"),
        ({"labels": ["a", "a"]}, "a", "Given.get_labels: 'a' is there twice"),
        ({"problem_type": "regression"}, 10**400, "is not a finite float32 number"),
        ({"labels": []}, "a", "Given.get_labels: gives no label"),
        ({"labels": ["a"]}, "a", "Given.get_labels: gives 'a' alone, expected at least 2 labels"),
        ({"labels": ["a", "b\r"]}, "a", "Given.get_labels: 'b\\r' has a line break"),
    ],
)
def test_labels_that_cannot_be_used(options, label, message):
    with pytest.raises(DataError) as refused:
        read([OwnExample("a", "x", None, label)], **options)
    assert message in str(refused.value)


def test_several_labels():
    (example,) = read([OwnExample("a", "x", None, [1, 0, 1])], problem_type="multi_label")
    assert example.label == ("1", "0")


def test_a_split_that_is_not_implemented_is_not_there():
    with pytest.raises(MissingDataError, match=r"Given\.get_dev_examples is not implemented"):
        list(ExampleSource(Given([]), "").examples("dev"))


def test_an_error_in_their_class_is_one_line_with_their_line():
    def examples():
        yield OwnExample("a", "x", None, "1")
        raise KeyError("column")

    with pytest.raises(DataError) as refused:
        read(examples())
    assert str(refused.value).startswith(f"Given.get_train_examples: {__file__}:")
    assert str(refused.value).endswith("KeyError: 'column'; correct the class (--traceback shows all)")


def test_files_below_the_folder_decide_the_examples(tmp_path):
    for name in ("neg/1.txt", "pos/1.txt", ".cache/x", "run/eval.tf_record"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    source = ExampleSource(Given([]), str(tmp_path), leave_out=tmp_path / "run")
    assert source.data_files("train") == [tmp_path / "neg" / "1.txt", tmp_path / "pos" / "1.txt"]
    assert source.description("train")["names"] == ["neg/1.txt", "pos/1.txt"]


def test_names_of_theirs_are_never_ours(tmp_path):
    class Theirs(Given):
        def get_examples(self, path, kind):
            raise AssertionError

        data_files = settings = examples = held_out_file = get_examples

    source = ExampleSource(Theirs([OwnExample("a", "x", None, "1")]), str(tmp_path))
    assert len(list(source.examples("train"))) == 1
    assert source.data_files("train") == []
    assert source.description("train")["settings"] == {}
    assert source.held_out_file() is None


def test_the_code_of_a_class_is_part_of_its_digest(tmp_path, monkeypatch):
    import importlib.util

    def loaded(text):
        path = tmp_path / "theirs.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location("theirs", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.Theirs

    text = "from processors import DataProcessor\nclass Theirs(DataProcessor):\n    def swap(self): return False\n"
    first = source_digest(loaded(text))
    assert first == source_digest(loaded(text))
    assert first != source_digest(loaded(text.replace("False", "True")))
    assert is_users(loaded(text))
    assert source_digest(MrpcProcessor) is None
    assert not is_users(MrpcProcessor)
