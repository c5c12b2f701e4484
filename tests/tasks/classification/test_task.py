"""What a classification task says of its rows."""

import csv
import json

import numpy as np
import pytest

from common.errors import DataError
from processors.base import InputExample
from processors.example_source import ExampleSource
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, TableSpec
from tasks.base import DEV, TRAIN
from tasks.classification.task import ClassificationTask
from tests.support import tiny
from tokenization import BulkTokenizer


@pytest.fixture
def make(tmp_path):
    """Makes a task on a table whose rows are sorted by their label."""
    rows = sorted(tiny.rows(20), key=lambda row: row[1])
    (tmp_path / "train.tsv").write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    (tmp_path / "dev.tsv").write_text("text\tlabel\na film\tpos\n")
    (tmp_path / "vocab.txt").write_text("\n".join(tiny.TOKENS))

    def build(limit=None):
        spec = TableSpec(Columns("text", label="label"))
        source = ExampleSource(TableProcessor(spec, str(tmp_path)), str(tmp_path))
        return ClassificationTask("table", source, BulkTokenizer(tmp_path / "vocab.txt"), 24, limits={TRAIN: limit})

    return build


def test_a_label_without_a_row_left_is_a_warning(make, caplog):
    assert [example.label for example in make(limit=8).examples(TRAIN)] == ["neg"] * 8
    assert caplog.messages == [
        "no training row has label pos; it cannot be learned; --max_train_examples takes the first rows only"
    ]


def test_all_labels_seen_are_no_warning(make, caplog):
    assert len(list(make().examples(TRAIN))) == 20
    assert len(list(make(limit=12).examples(TRAIN))) == 12
    assert [example.label for example in make().examples(DEV)] == ["pos"]
    assert caplog.messages == []


def test_a_row_to_evaluate_without_a_label(make, tmp_path):
    (tmp_path / "dev.tsv").write_text("text\tlabel\na film\t\n")
    with pytest.raises(DataError, match=r"dev.tsv:2: column 'label': found nothing, expected a label to evaluate with"):
        list(make().examples(DEV))


def test_a_label_called_like_a_column_has_a_column_of_its_own(tmp_path):
    (tmp_path / "train.tsv").write_text("text\tlabel\nrumah\tid\nhouse\ten\n")
    (tmp_path / "vocab.txt").write_text("\n".join(tiny.TOKENS))
    source = ExampleSource(TableProcessor(TableSpec(Columns("text", label="label")), str(tmp_path)), str(tmp_path))
    task = ClassificationTask("table", source, BulkTokenizer(tmp_path / "vocab.txt"), 24)
    with task.answers(tmp_path) as sink:
        sink(InputExample("7", "rumah"), [], [{"probabilities": np.array([0.25, 0.75], np.float32)}])
    (row,) = csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines())
    assert row == {"id": "7", "text_a": "rumah", "text_b": "", "label": "id", "en": "0.25", "p(id)": "0.75"}


def test_several_labels_with_commas_can_be_told_apart(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(tiny.TOKENS))
    for separator, names in ((",", ["a", "b", "c"]), (";", ["a, b", "a", "b"])):
        (tmp_path / "train.tsv").write_text(f"text\tlabel\nx\t{separator.join(names[:2])}\ny\t{names[2]}\n")
        spec = TableSpec(Columns("text", label="label"), problem_type="multi_label", label_separator=separator)
        source = ExampleSource(TableProcessor(spec, str(tmp_path)), str(tmp_path))
        task = ClassificationTask("table", source, BulkTokenizer(tmp_path / "vocab.txt"), 24)
        with task.answers(tmp_path) as sink:
            scores = np.array([0.9 if label in names[:2] else 0.1 for label in task.labels], np.float32)
            sink(InputExample("7", "x"), [], [{"probabilities": scores}])
        (row,) = csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines())
        assert sorted(json.loads(row["label"]) if separator == ";" else row["label"].split(",")) == sorted(names[:2])
