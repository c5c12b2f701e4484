"""Bad rows, labels, missing files and columns: what a table says, stops at, or skips."""

import logging

import pytest

from common.errors import DataError
from processors import Columns, Split, TableFormat, TableProcessor, TableSpec
from processors.tables.spec import parse_labels

GOOD = "text\tlabel\none\tpos\ntwo\tneg\n"


def table(folder, train=GOOD, columns=None, **options):
    if train is not None:
        (folder / "train.tsv").write_text(train, encoding="utf-8")
    return TableProcessor(TableSpec(columns or Columns("text", label="label"), **options), str(folder), dev_fraction=0)


def examples(processor, folder, split="train"):
    return list(getattr(processor, f"get_{split}_examples")(str(folder)))


def failure(call, *arguments, **options):
    with pytest.raises(DataError) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def failed_read(folder, train=GOOD, split="train", columns=None, **options):
    return failure(lambda: examples(table(folder, train, columns, **options), folder, split))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("three", "found 1 columns, expected 2 as in row 1; look for a stray delimiter"),
        ("three\tpos\tmore", "found 3 columns, expected 2 as in row 1"),
        (" \tpos", "column 'text': found no text, expected the text for --text_a; correct the row"),
        ("three\t", "column 'label': found nothing, expected a label to train with; add it"),
        ("\nthree\tpos", "blank line, expected a row; remove it"),
    ],
)
def test_bad_row_stops_with_file_and_row(tmp_path, row, expected):
    text = failed_read(tmp_path, GOOD + row + "\nfour\tpos\n")
    assert f"train.tsv:4: {expected}" in text
    assert "--on_bad_row=skip" in text


def test_unknown_label(tmp_path):
    text = failed_read(tmp_path, GOOD + "three\tpoz\n", labels=["neg", "pos"])
    assert "train.tsv:4: column 'label': found label 'poz', closest 'pos'; correct the row, add it to --labels" in text


@pytest.mark.parametrize("number", ["high", "nan", "inf"])
def test_no_number(tmp_path, number):
    text = failed_read(tmp_path, f"text\tlabel\none\t1.5\ntwo\t{number}\n", problem_type="regression")
    assert f"train.tsv:3: column 'label': found '{number}', expected a finite number" in text


def test_columns_without_names_in_messages(tmp_path):
    text = failed_read(tmp_path, "one\t1\ntwo\t\n", columns=Columns(0, label=1), format=TableFormat(header=False))
    assert "train.tsv:2: column 1: found nothing" in text


def test_skipped_rows_are_counted_and_reported_once(tmp_path, caplog):
    train = GOOD + "three\nfour\tpoz\n\tpos\nfive\tpoz\nsix\tpos\n"
    processor = table(tmp_path, train, labels=["neg", "pos"], on_bad_row="skip")
    with caplog.at_level(logging.WARNING):
        assert [example.guid for example in examples(processor, tmp_path)] == ["train-1", "train-2", "train-7"]
        assert len(examples(processor, tmp_path)) == 3
    assert caplog.messages == [
        "skipped 4 of 7 rows of train.tsv: 2 unknown label (first: row 5), 1 short row (first: row 4), "
        "1 empty text (first: row 6)"
    ]
    assert processor.bad_rows["train"].counts == {"unknown label": 2, "short row": 1, "empty text": 1}


def test_rows_to_predict_may_have_any_label(tmp_path, caplog):
    (tmp_path / "test.tsv").write_text("text\tlabel\none\t-1\ntwo\tpos\n")
    with caplog.at_level(logging.INFO):
        assert [example.label for example in examples(table(tmp_path), tmp_path, "test")] == [None, "pos"]
    assert "test.tsv: 1 rows have labels that are not among those of the model" in caplog.text


@pytest.mark.parametrize(("header", "rows"), [("text", ["one", "two"]), ("text\tlabel", ["one\t", "two\t"])])
def test_test_rows_need_no_label(tmp_path, header, rows):
    (tmp_path / "test.tsv").write_text("\n".join([header, *rows]))
    assert [example.label for example in examples(table(tmp_path), tmp_path, "test")] == [None, None]


def test_test_rows_need_no_label_column_by_index(tmp_path):
    (tmp_path / "test.tsv").write_text("text\none\n")
    assert examples(table(tmp_path, columns=Columns(0, label=1)), tmp_path, "test")[0].label is None


def test_empty_cells_at_the_end_and_blank_lines_at_the_end_are_forgiven(tmp_path):
    assert len(examples(table(tmp_path, GOOD + "three\tpos\t\t\n\n\n"), tmp_path)) == 3


def test_labels_are_stripped_and_texts_are_not(tmp_path):
    first = examples(table(tmp_path, "text\tlabel\n one \t pos \ntwo\tneg\n"), tmp_path)[0]
    assert (first.text_a, first.label) == (" one ", "pos")


def test_missing_empty_and_header_only_files(tmp_path):
    assert "train.tsv: is empty, expected rows" in failed_read(tmp_path, "")
    assert "train.tsv: has a header and no rows, expected rows; give --header=false" in failed_read(
        tmp_path, "text\tlabel\n"
    )
    assert "train.tsv:1: is a blank line, expected a row" in failed_read(tmp_path, "\n" + GOOD)
    text = failure(
        lambda: examples(table(tmp_path).__class__(table(tmp_path).table, test_file="no.tsv"), tmp_path, "test")
    )
    assert f"{tmp_path / 'no.tsv'}: no such file; check the path and --data_dir" in text
    (tmp_path / "folder.tsv").mkdir()
    processor = TableProcessor(table(tmp_path).table, test_file="folder.tsv")
    assert "folder.tsv: is a folder, expected a file" in failure(lambda: examples(processor, tmp_path, "test"))


def test_no_table_for_a_split(tmp_path):
    text = failed_read(tmp_path, split="test")
    assert f"no test.* in {tmp_path} (there: train.tsv); give --test_file=PATH" in text
    assert "--test_file" in text
    assert "no dev.*, val.*, valid.*, validation.* in" in failed_read(tmp_path, split="dev")


def test_no_data_dir(tmp_path):
    processor = table(tmp_path, labels=["neg", "pos"])
    assert "no such folder" in failure(lambda: next(processor.get_train_examples(str(tmp_path / "none"))))


def test_several_files_for_a_split(tmp_path):
    (tmp_path / "train.csv").write_text(GOOD)
    assert "2 files fit the train split (train.csv, train.tsv); name one with --train_file" in failed_read(tmp_path)


@pytest.mark.parametrize("name", ["dev.tsv", "valid.tsv", "validation.tsv"])
def test_files_are_found_by_stem(tmp_path, name):
    (tmp_path / name).write_text(GOOD)
    (tmp_path / "dev.tf_record").write_text("not a table")
    processor = table(tmp_path)
    assert processor.data_files("dev", str(tmp_path)) == [tmp_path / name]
    assert examples(processor, tmp_path, "dev")[0].guid == "dev-1"


def test_explicit_files_under_data_dir_or_as_they_stand(tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "mine.tsv").write_text(GOOD)
    (tmp_path / "other.tsv").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    spec = table(tmp_path).table
    for file, path in (("mine.tsv", tmp_path / "inside" / "mine.tsv"), ("other.tsv", "other.tsv")):
        processor = TableProcessor(spec, train_file=file)
        assert [str(found) for found in processor.data_files("train", str(tmp_path / "inside"))] == [str(path)]


def test_column_that_is_not_in_the_header(tmp_path):
    text = failed_read(tmp_path, columns=Columns("texd", label="label"))
    assert "train.tsv:1: no column 'texd' for --text_a; closest 'text'; columns: text, label" in text
    assert "no column 'zzz' for --text_b; columns: text, label" in failed_read(tmp_path, columns=Columns("text", "zzz"))
    assert "no column 7 for --text_a; the file has 2, numbered 0 to 1" in failed_read(tmp_path, columns=Columns("7"))


def test_column_name_without_a_header(tmp_path):
    text = failed_read(tmp_path, format=TableFormat(header=False))
    assert "--text_a=text: " in text
    assert "is read without a header; give an index from 0 to 1" in text


def test_column_name_that_the_header_has_twice(tmp_path):
    text = failed_read(tmp_path, "text\ttext\tlabel\na\tb\tpos\n")
    assert "train.tsv:1: the header has 'text' twice; give --text_a as one of the indices 0, 1" in text


def test_label_column_is_needed_to_train(tmp_path):
    assert "--label is missing: the train split needs" in failed_read(
        tmp_path, columns=Columns("text"), labels=["neg", "pos"]
    )
    assert "train.tsv:1: no column 'label' for --label; columns: text" in failed_read(
        tmp_path, "text\none\n", labels=["neg", "pos"]
    )


@pytest.mark.parametrize("labels", [None, ["neg", "pos"]])
def test_data_taken_for_a_header(tmp_path, labels):
    text = failed_read(tmp_path, "zero\tpos\none\tpos\ntwo\tneg\n", columns=Columns(0, label=1), labels=labels)
    assert "train.tsv:1: read as a header, but its label column holds the label 'pos'; give --header=false" in text


def test_a_table_without_columns():
    assert "--task_name=table needs the column of the text; give --text_a" in failure(TableProcessor)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"labels": ["a", "b", "a"]}, "--labels: 'a' is listed twice; leave one out"),
        ({"labels": ["a", " "]}, "--labels: label number 2 is blank"),
        ({"labels": ["a"]}, "--labels: found 1 (a), expected at least two"),
        ({"labels": ["a", "b"], "problem_type": "regression"}, "--labels is given with --problem_type=regression"),
        ({"problem_type": "ranking"}, "--problem_type=ranking: expected single_label, regression, multi_label"),
        ({"on_bad_row": "ignore"}, "--on_bad_row=ignore: expected stop or skip"),
        ({"dev_fraction": 1.0}, "--dev_fraction=1.0: expected a share of at least 0 and below 1"),
        ({"label_separator": ""}, "--label_separator is empty"),
    ],
)
def test_unusable_declarations(options, expected):
    assert expected in failure(TableSpec, Columns("text"), **options)


def test_labels_from_flags(tmp_path):
    assert parse_labels("a, b,c") == ["a", "b", "c"]
    path = tmp_path / "labels.txt"
    path.write_text("one label\ntwo, three\n\n", encoding="utf-8")
    assert parse_labels(str(path)) == ["one label", "two, three"]
    path.write_bytes(b"one\rlabel\r\ntwo\xe2\x80\xa8lines\n \n")
    assert parse_labels(str(path)) == ["one\rlabel", "two\u2028lines"]
    path.write_bytes(b"caf\xe9\n")
    assert parse_labels(str(path), "latin-1") == ["café"]
    assert "labels.txt:1: byte 4 of the row: found 0xe9" in failure(parse_labels, str(path))
    assert len(parse_labels(",".join(map(str, range(2000))))) == 2000
    path.write_text("")
    assert "labels.txt: the file is empty" in failure(parse_labels, str(path))
    assert "--labels=none.txt: no such file; give a file with one label a line" in failure(parse_labels, "none.txt")


@pytest.mark.parametrize(
    ("written", "expected"), [(["10", "9", "-1"], ["-1", "9", "10"]), (["b", "10", "a"], ["10", "a", "b"])]
)
def test_labels_are_found_in_training_and_ordered(tmp_path, written, expected):
    train = "text\tlabel\n" + "".join(f"t\t{label}\n" for label in written)
    assert table(tmp_path, train).get_labels() == expected


def test_multi_label_names_are_found(tmp_path):
    processor = table(
        tmp_path, "text\tlabel\none\tb|a\ntwo\t\nthree\tc|a|a\n", problem_type="multi_label", label_separator="|"
    )
    assert processor.get_labels() == ["a", "b", "c"]
    assert [example.label for example in examples(processor, tmp_path)] == [("b", "a"), (), ("c", "a")]


@pytest.mark.parametrize("problem_type", ["single_label", "multi_label"])
def test_a_cell_holds_an_index_only_if_it_is_said_to(tmp_path, problem_type):
    train = "text\tlabel\none\t1\ntwo\t0\n"
    options = {"problem_type": problem_type, "labels": ["joy", "fear"]}
    assert "found label '1', known: fear, joy" in failed_read(tmp_path, train, **options)
    found = [example.label for example in examples(table(tmp_path, train, label_as="index", **options), tmp_path)]
    assert found in (["fear", "joy"], [("fear",), ("joy",)])
    text = failed_read(tmp_path, train.replace("1", "2"), label_as="index", **options)
    assert "found '2', expected an index from 0 to 1 (--label_as=index)" in text
    without = failed_read(tmp_path, train, label_as="index", problem_type=problem_type)
    assert "--label_as=index needs the labels in order; give --labels" in without


def test_labels_without_a_training_file(tmp_path):
    processor = table(tmp_path, train=None)
    assert "give --train_file=PATH, or without training rows the labels: --labels=a,b,c or --labels=FILE" in failure(
        processor.get_labels
    )


def test_one_label_only(tmp_path):
    text = failure(table(tmp_path, "text\tlabel\none\ta\ntwo\ta\n").get_labels)
    assert "every row has label 'a', expected at least two" in text


def test_scores_are_no_classes(tmp_path):
    train = "text\tlabel\n" + "".join(f"row {i}\t{i / 10}\n" for i in range(50))
    text = failure(table(tmp_path, train).get_labels)
    assert "the label column has 50 different fractions in 50 rows, expected a few classes" in text
    assert "--problem_type=regression" in text
    assert examples(table(tmp_path, train, problem_type="regression"), tmp_path)[3].label == 0.3


def test_texts_are_no_classes(tmp_path):
    train = "text\tlabel\n" + "".join(f"row {i}\tsentence {i}\n" for i in range(50))
    assert "has 50 different values in 50 rows, expected a few classes; check --label" in failure(
        table(tmp_path, train).get_labels
    )


def test_renamed_labels_and_filtered_rows(tmp_path):
    train = "lang\ttext\tlabel\nfr\tun\tyes\nen\tone\tYES\nen\ttwo\tno\n"
    spec = TableSpec(
        Columns("text", label="label"),
        splits={"train": Split("train.tsv", where=("lang", "en"))},
        labels=["no", "yes"],
        rename={"YES": "yes"},
    )
    (tmp_path / "train.tsv").write_text(train)
    found = examples(TableProcessor(spec, dev_fraction=0), tmp_path)
    assert [(example.guid, example.label) for example in found] == [("train-2", "yes"), ("train-3", "no")]


def test_settings_are_plain_json(tmp_path):
    import json

    processor = table(tmp_path, labels=["neg", "pos"]).__class__(table(tmp_path).table, labels=["neg", "pos"])
    settings = json.loads(json.dumps(processor.settings()))
    assert (settings["labels"], settings["columns"]["text_a"]) == (["neg", "pos"], "text")
