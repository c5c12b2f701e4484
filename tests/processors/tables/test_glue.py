"""GLUE as published: rows, columns, labels in upstream's order."""

import pytest

from common.errors import DataError
from processors import registry
from processors.tables.glue import XnliProcessor
from tests.support.tiny_data_sets import TINY_DATA


@pytest.mark.parametrize(
    ("name", "folder", "rows"),
    [
        ("mrpc", "MRPC", {"train": 3668, "dev": 408, "test": 1725}),
        ("cola", "CoLA", {"train": 8551, "dev": 1043, "test": 1063}),
        ("sts-b", "STS-B", {"train": 5749, "dev": 1500}),
        ("sst-2", "SST-2", {"train": 67349, "dev": 872}),
    ],
)
def test_row_counts_of_the_published_files(shared, name, folder, rows):
    processor = registry.get(name)()
    data_dir = str(shared / "data" / "glue" / folder)
    assert {split: sum(1 for _ in getattr(processor, f"get_{split}_examples")(data_dir)) for split in rows} == rows


def test_mrpc_first_rows(shared):
    processor, data_dir = registry.get("mrpc")(), str(shared / "data" / "glue" / "MRPC")
    first = next(processor.get_train_examples(data_dir))
    assert (first.guid, first.label) == ("train-1", "1")
    assert first.text_a.startswith('Amrozi accused his brother , whom he called " the witness " ,')
    assert first.text_b.startswith('Referring to him as only " the witness "')
    assert next(processor.get_test_examples(data_dir)).label is None


def test_cola_has_a_header_in_its_test_file_only(shared):
    processor, data_dir = registry.get("cola")(), str(shared / "data" / "glue" / "CoLA")
    first = next(processor.get_train_examples(data_dir))
    assert (first.guid, first.text_a[:11], first.text_b, first.label) == ("train-0", "Our friends", None, "1")
    first = next(processor.get_test_examples(data_dir))
    assert (first.guid, first.text_a, first.label) == ("test-1", "Bill whistled past the house.", None)


def test_sts_b_scores_are_numbers(shared):
    data_dir = str(shared / "data" / "glue" / "STS-B")
    scores = [example.label for example in registry.get("sts-b")().get_dev_examples(data_dir)]
    assert (min(scores), max(scores), scores[1]) == (0.0, 5.0, 4.75)


def test_labels_are_in_the_order_of_upstream():
    labels = {name: registry.get(name)().get_labels() for name in ("mrpc", "cola", "mnli", "xnli", "rte", "sts-b")}
    assert labels == {
        "mrpc": ["0", "1"],
        "cola": ["0", "1"],
        "mnli": ["contradiction", "entailment", "neutral"],
        "xnli": ["contradiction", "entailment", "neutral"],
        "rte": ["entailment", "not_entailment"],
        "sts-b": [],
    }


def test_official_metrics():
    metrics = {name: registry.get(name).metrics for name in ("mrpc", "cola", "sts-b", "sst-2", "qqp")}
    assert metrics == {
        "mrpc": ("accuracy", "f1"),
        "cola": ("matthews_corrcoef",),
        "sts-b": ("pearson", "spearman"),
        "sst-2": ("accuracy",),
        "qqp": ("accuracy", "f1"),
    }


def test_mnli_takes_the_last_column_as_the_label(tmp_path):
    TINY_DATA["mnli"](tmp_path)
    example = next(registry.get("mnli")().get_dev_examples(str(tmp_path)))
    assert (example.text_a, example.text_b, example.label) == ("First 0", "Second 0", "neutral")


def test_xnli_reads_its_language_and_renames_contradictory(tmp_path):
    TINY_DATA["xnli-fr"](tmp_path)
    processor = registry.get("xnli-fr")()
    assert [example.label for example in processor.get_train_examples(str(tmp_path))][2] == "contradiction"
    dev = list(processor.get_dev_examples(str(tmp_path)))
    assert [example.guid for example in dev] == ["dev-1", "dev-2", "dev-3", "dev-4"]
    assert (dev[0].text_a, dev[0].text_b, dev[0].label) == ("First 0", "Second 0", "neutral")
    assert len(list(processor.get_test_examples(str(tmp_path)))) == 4


def test_xnli_without_such_a_language():
    with pytest.raises(DataError) as caught:
        XnliProcessor("xx")
    assert "XNLI has no language 'xx'; known: ar, bg" in str(caught.value)


def test_broken_row_of_qqp_stops_or_is_skipped(tmp_path):
    TINY_DATA["qqp"](tmp_path)
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as stream:
        stream.write("9\ta question that breaks\n")
    with pytest.raises(DataError) as caught:
        list(registry.get("qqp")().get_train_examples(str(tmp_path)))
    assert "train.tsv:6: found 2 columns, expected 6 as in row 1" in str(caught.value)
    processor = registry.get("qqp")(on_bad_row="skip")
    assert len(list(processor.get_train_examples(str(tmp_path)))) == 4
    assert processor.bad_rows["train"].counts == {"short row": 1}
