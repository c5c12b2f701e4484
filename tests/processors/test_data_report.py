"""The report of `--validate_only`: counts that can be checked by hand."""

import json

import pytest

from common.errors import DataError
from processors import Columns, DataProcessor, TableProcessor, TableSpec, data_report, format_report
from processors.example_source import ExampleSource
from tokenization import BulkTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "two", "three", "four"]


@pytest.fixture
def tokenizer(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return BulkTokenizer(str(path))


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.tsv").write_text("a\tb\tlabel\none\ttwo\tx\none\ttwo\ty\none two three\tfour\tx\ntwo\tfive\tx\n")
    (data / "dev.tsv").write_text("a\tb\tlabel\none\ttwo\tx\nthree\tthree\ty\n")
    return data


def report_of(folder, tokenizer, max_seq_length=6, columns=None, **options):
    processor = TableProcessor(TableSpec(columns or Columns("a", "b", "label"), **options), str(folder))
    report = data_report(ExampleSource(processor, str(folder)), tokenizer, max_seq_length)
    return json.loads(json.dumps(report))


def test_counts(folder, tokenizer):
    train = report_of(folder, tokenizer)["splits"]["train"]
    assert train["rows"] == 4
    assert train["labels"] == {"x": 3, "y": 1}
    assert train["majority"] == {"label": "x", "accuracy": 0.75}
    assert (train["duplicates"], train["contradicting_duplicates"]) == (1, 1)
    assert train["lengths"] == {"50": 5, "90": 7, "95": 7, "99": 7, "max": 7}
    assert train["truncated"] == 1
    assert train["unknown_rate"] == pytest.approx(1 / 10)


def test_leakage_absence_and_warnings(folder, tokenizer):
    report = report_of(folder, tokenizer)
    assert report["leakage"] == [{"splits": ["train", "dev"], "texts": 1}]
    assert "no test.* in " in report["splits"]["test"]["absent"]
    assert report["warnings"] == [
        "train: 10.0% of the pieces are unknown, expected below 5%; "
        "check that --vocab_file and --do_lower_case suit the text",
        "train: 1 rows repeat a text with another label",
        "1 texts are in both train and dev; scores on the latter flatter",
    ]


def test_label_that_training_never_shows(folder, tokenizer):
    assert (
        "train: no row has label 'z'; it cannot be learnt"
        in report_of(folder, tokenizer, labels=["x", "y", "z"])["warnings"]
    )


def test_single_texts_scores_and_unlabelled_rows(tmp_path, tokenizer):
    (tmp_path / "train.tsv").write_text("a\tlabel\none\t1\ntwo two\t3\n")
    (tmp_path / "dev.tsv").write_text("a\tlabel\nthree\t2\n")
    (tmp_path / "test.tsv").write_text("a\nfour\n")
    report = report_of(tmp_path, tokenizer, columns=Columns("a", label="label"), problem_type="regression")
    assert report["splits"]["train"]["scores"] == {"min": 1.0, "mean": 2.0, "max": 3.0, "standard_deviation": 1.0}
    assert report["splits"]["train"]["lengths"]["max"] == 4
    assert report["splits"]["test"]["unlabelled"] == 1


def test_several_labels_a_row(tmp_path, tokenizer):
    (tmp_path / "train.tsv").write_text("a\tlabel\none\tx,y\ntwo\ty\n")
    (tmp_path / "dev.tsv").write_text("a\tlabel\nthree\tx\n")
    train = report_of(tmp_path, tokenizer, columns=Columns("a", label="label"), problem_type="multi_label")["splits"][
        "train"
    ]
    assert train["labels"] == {"x": 1, "y": 2}
    assert "majority" not in train


def test_skipped_rows(folder, tokenizer):
    with (folder / "train.tsv").open("a") as stream:
        stream.write("one\n")
    with pytest.raises(DataError) as caught:
        report_of(folder, tokenizer)
    assert "train.tsv:6: found 1 columns" in str(caught.value)
    train = report_of(folder, tokenizer, on_bad_row="skip")["splits"]["train"]
    assert (train["rows"], train["skipped"]) == (4, {"short row": 1})
    assert train["skipped_summary"] == "skipped 1 of 5 rows of train.tsv: 1 short row (first: row 6)"


def test_lines_to_read(folder, tokenizer):
    processor = TableProcessor(TableSpec(Columns("a", "b", "label"), on_bad_row="skip"), str(folder))
    with (folder / "train.tsv").open("a") as stream:
        stream.write("one\n")
    lines = format_report(data_report(ExampleSource(processor, str(folder)), tokenizer, 6)).splitlines()
    assert lines[:8] == [
        "train: 4 rows",
        "  labels: x 3 (75.0%), y 1 (25.0%)",
        "  always x: accuracy 75.0%",
        "  pieces a row: 50% 5, 90% 7, 95% 7, 99% 7, max 7; 1 rows (25.0%) are truncated at 6",
        "  unknown pieces: 10.00%",
        "  duplicates: 1, of them 1 with another label",
        "  skipped 1 of 5 rows of train.tsv: 1 short row (first: row 6)",
        "dev: 2 rows",
    ]
    assert "test: absent (" in "\n".join(lines)
    assert "in both train and dev: 1 texts" in lines
    assert lines[-1].startswith("warning: 1 texts are in both")


def test_a_processor_without_files(tmp_path, tokenizer):
    class Empty(DataProcessor):
        def get_labels(self):
            return ["x", "y"]

    with pytest.raises(DataError) as caught:
        data_report(ExampleSource(Empty(), str(tmp_path)), tokenizer, 6)
    assert "processor Empty has no get_train_examples; define it in Empty" in str(caught.value)


def test_mrpc(shared, vocab_dir):
    from processors import registry

    tokenizer = BulkTokenizer(str(vocab_dir / "bert-base-uncased" / "vocab.txt"))
    report = data_report(ExampleSource(registry.get("mrpc")(), str(shared / "data" / "glue" / "MRPC")), tokenizer, 128)
    assert {split: entry["rows"] for split, entry in report["splits"].items()} == {
        "train": 3668,
        "dev": 408,
        "test": 1725,
    }
    assert report["splits"]["train"]["labels"] == {"0": 1194, "1": 2474}
    assert report["splits"]["train"]["lengths"]["max"] == 103
    assert report["warnings"] == []
