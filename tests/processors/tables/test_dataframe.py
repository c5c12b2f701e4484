"""Examples from DataFrames: every kind of label, texts as pandas has them, and what cannot be used."""

import numpy as np
import pandas
import pytest

from common.errors import DataError
from processors import DataFrameProcessor
from processors.example_source import ExampleSource
from processors.reading import MissingDataError
from tests.support.processor_contract import check_processor

TEXTS = ["a good film", "a bad film", "a dull day", "a fine day"]


def frame(labels, **columns):
    return pandas.DataFrame({"text": TEXTS, "label": labels, **columns}, index=[10, "x", 7.5, None])


def labels_of(processor, split="train"):
    return [example.label for example in ExampleSource(processor, "").examples(split)]


def test_the_contract_of_processors():
    rows = frame(["pos", "neg", "neg", "pos"])
    check_processor(DataFrameProcessor(rows, rows, rows, text_a="text", label="label"), "")


@pytest.mark.parametrize(
    ("values", "names", "found"),
    [
        (["pos", "neg", "neg", "pos"], ["neg", "pos"], ["pos", "neg", "neg", "pos"]),
        ([10, 9, 9, 10], ["9", "10"], ["10", "9", "9", "10"]),
        ([1.0, 0.0, 0.0, 1.0], ["0", "1"], ["1", "0", "0", "1"]),
        ([True, False, False, True], ["False", "True"], ["True", "False", "False", "True"]),
        (np.array([1, 0, 0, 1], np.int8), ["0", "1"], ["1", "0", "0", "1"]),
        (pandas.array([1, 0, 0, 1], "Int64"), ["0", "1"], ["1", "0", "0", "1"]),
        (pandas.Categorical(["b", "a", "a", "b"], categories=["b", "a", "c"]), ["b", "a", "c"], ["b", "a", "a", "b"]),
        (["NA", "None", "NA", "None"], ["NA", "None"], ["NA", "None", "NA", "None"]),
    ],
)
def test_labels_of_any_type(values, names, found):
    processor = DataFrameProcessor(frame(values), text_a="text", label="label")
    assert processor.get_labels() == names
    assert labels_of(processor) == found


def test_numbers_several_labels_and_a_column_a_label():
    scores = DataFrameProcessor(frame([1, 2.5, -3, 0]), text_a="text", label="label", problem_type="regression")
    assert (scores.get_labels(), labels_of(scores)) == ([], [1.0, 2.5, -3.0, 0.0])
    lists = DataFrameProcessor(
        frame([["a", "b"], [], ("b",), {"a"}]), text_a="text", label="label", problem_type="multi_label"
    )
    assert (lists.get_labels(), labels_of(lists)) == (["a", "b"], [("a", "b"), (), ("b",), ("a",)])
    arrays = DataFrameProcessor(
        frame([np.array(["a", "b"]), np.array([]), ["b"], ["a"]]), text_a="text", label="label",
        problem_type="multi_label",
    )  # fmt: skip
    assert (arrays.get_labels(), labels_of(arrays)) == (["a", "b"], [("a", "b"), (), ("b",), ("a",)])
    columns = DataFrameProcessor(
        frame([0, 1, 1, 0], b=[True, False, True, False]), text_a="text", label=["label", "b"],
        problem_type="multi_label",
    )  # fmt: skip
    assert columns.get_labels() == ["label", "b"]
    assert labels_of(columns) == [("b",), ("label",), ("label", "b"), ()]


def test_texts_ids_and_rows_to_predict():
    rows = frame(["?", "?", "?", None], other=["x", None, float("nan"), " "], key=[5, 6, 7, 8])
    processor = DataFrameProcessor(
        test=rows, text_a="text", text_b="other", label="label", labels=["neg", "pos"], guid="key"
    )
    examples = list(processor.get_test_examples(None))
    assert [(one.guid, one.text_b, one.label) for one in examples] == [
        ("5", "x", None), ("6", None, None), ("7", None, None), ("8", None, None),
    ]  # fmt: skip
    plain = DataFrameProcessor(test=rows[["text"]], text_a="text", labels=["neg", "pos"])
    assert [one.guid for one in plain.get_test_examples(None)] == ["test-0", "test-1", "test-2", "test-3"]
    assert list(rows.columns) == ["text", "label", "other", "key"]  # as it was


def test_what_a_split_holds_decides_its_fingerprint():
    def description(values, split="train"):
        rows = frame(values)
        return ExampleSource(DataFrameProcessor(rows, rows, text_a="text", label="label"), "").description(split)

    assert description(["a", "b", "a", "b"]) == description(["a", "b", "a", "b"])
    assert description(["a", "b", "a", "b"]) != description(["a", "b", "b", "a"])
    assert "processors.tables.dataframe.DataFrameProcessor" in str(description(["a", "b", "a", "b"]))


def test_a_frame_that_is_changed_after_a_command_is_another():
    rows = frame([*"abab"])
    processor = DataFrameProcessor(rows, rows, text_a="text", label="label")
    before = processor.content_digest("dev")
    assert processor.content_digest("dev") == before
    rows.iloc[0, 0] = "another text"
    assert processor.content_digest("dev") != before


ERRORS = {
    "no column": ({"train": frame([*"abab"]), "text_a": "txt"}, "train frame: no column 'txt'; closest 'text'"),
    "label column": ({"train": frame([*"abab"]), "text_a": "text", "label": "y"}, "train frame: no column 'y'"),
    "problem": ({"text_a": "text", "problem_type": "multi"}, "problem_type='multi': expected one of single_label"),
    "columns": ({"text_a": "text", "label": ["a", "b"]}, "label names several columns, a column a label; give"),
    "twice": (
        {"train": pandas.concat([frame([*"abab"]), frame([*"abab"])], axis=1), "text_a": "text"},
        "train frame: several columns 'text'",
    ),
    "labels twice": ({"text_a": "text", "labels": ["a", "a"]}, "'a' is listed twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_meant_is_refused(name):
    arguments, message = ERRORS[name]
    with pytest.raises(DataError) as refused:
        DataFrameProcessor(**arguments)
    assert message in str(refused.value)


HALF = pandas.Series(["x", "\ud800", "y", "z"], [10, "x", 7.5, None], object)
ROWS = {
    "text": (
        frame([*"abab"]).assign(text=["x", 3, "y", "z"]),
        {},
        "row 'x', column 'text': found 3, a int",
    ),
    "blank": (
        frame([*"abab"]).assign(text=["x", " ", "y", "z"]),
        {},
        "row 'x', column 'text': found no text",
    ),
    "no label": (frame(["a", None, "b", "a"]), {}, "row 'x', column 'label': found no label; remove the row"),
    "unknown": (frame(["a", "c", "b", "a"]), {"labels": ["a", "b"]}, "label 'c' is not one of the labels; known: a, b"),
    "number": (frame([1, "x", 2, 3]), {"problem_type": "regression"}, "label 'x' is not a finite float32 number"),
    "list": (frame(["a", "b", "b", "a"]), {"problem_type": "multi_label"}, "label 'a' is not a list of labels"),
    "half": (
        frame([*"abab"]).assign(text=HALF),
        {},
        "row 'x', column 'text': half a character",
    ),
    "one label": (frame(list("aaaa")), {}, "train frame: every row has label 'a', expected at least two"),
    "fractions": (frame([0.1, 0.2, 0.3, 0.4]), {}, "for scores give --problem_type=regression"),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_cannot_be_used_is_named(name):
    rows, options, message = ROWS[name]
    with pytest.raises(DataError) as refused:
        list(ExampleSource(DataFrameProcessor(rows, text_a="text", label="label", **options), "").examples("train"))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("flags", "column", "found"),
    [([0, 2, 1, 0], "label", "2"), ([0, None, 1, 0], "label", "nan"), ([0, 1, 1, 0], "b", "<NA>")],
)
def test_a_flag_column_holds_0_and_1_alone(flags, column, found):
    rows = frame(flags, b=pandas.array([1, None if column == "b" else 0, 1, 0], "Int64"))
    processor = DataFrameProcessor(rows, text_a="text", label=["label", "b"], problem_type="multi_label")
    with pytest.raises(DataError, match=f"row 'x', column '{column}': found {found}, expected 0 or 1"):
        list(processor.get_train_examples(None))


def test_a_split_that_was_not_given():
    with pytest.raises(MissingDataError, match=r"has no rows for the dev split; give dev=<DataFrame>"):
        list(DataFrameProcessor(frame([*"abab"]), text_a="text", label="label").get_dev_examples(None))
    with pytest.raises(MissingDataError, match=r"no rows for the train split to find the labels in; give train=<Data"):
        DataFrameProcessor(test=frame([*"abab"]), text_a="text").get_labels()


def test_labels_of_a_frame_that_look_the_same_are_named(caplog):
    rows = pandas.DataFrame({"text": ["a", "b", "c", "d"], "label": ["p", "p ", "n", "n"]})
    assert labels_of(DataFrameProcessor(rows, text_a="text", label="label")) == ["p", "p ", "n", "n"]
    assert "train frame: the labels 'p' and 'p ' are two classes" in caplog.text
    assert "write 'p ' as 'p' to make them one" in caplog.text
