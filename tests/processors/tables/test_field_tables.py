"""Tables as people have them: spreadsheets, data frames, other tools' JSON; each a case from a public report."""

import gzip
import json
import logging

import pytest

from common.errors import DataError
from processors import Columns, Split, TableFormat, TableProcessor, TableSpec
from processors.tables.glue import ColaProcessor
from processors.tables.labels import look_alikes

TWO = [("a good film", "pos"), ("a bad film", "neg")]


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def read(folder, split="train", columns=None, **options):
    spec = TableSpec(columns or Columns("text", label="label"), dev_fraction=0, **options)
    processor = TableProcessor(spec, str(folder))
    return [(e.text_a, e.label) for e in getattr(processor, f"get_{split}_examples")(str(folder))]


def refused(folder, split="train", **options):
    with pytest.raises(DataError) as caught:
        read(folder, split, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Silent wrong results


def test_numbers_written_otherwise_are_no_indices(tmp_path):
    write(tmp_path, "train.csv", "text,label\na,1.0\nb,2.0\nc,3.0\na,1.0\n")
    write(tmp_path, "dev.csv", "text,label\na,1\nb,2\n")
    text = refused(tmp_path, "dev", labels=["1.0", "2.0", "3.0"])
    assert "dev.csv:2: column 'label': found label '1', which is the number of the label '1.0', written in an" in text
    assert "(--label_names=1=1.0)" in text


def test_labels_of_training_that_are_hardly_meant_are_named(tmp_path, caplog):
    write(tmp_path, "train.tsv", "text\tlabel\na\t1\nb\t1.0\nc\t0\nd\tTrue\n")
    assert [label for _, label in read(tmp_path, columns=Columns("0", label="1"))] == ["1", "1.0", "0", "True"]
    assert "the labels '1' and '1.0' are two classes" in caplog.text
    assert "no other row" not in caplog.text
    rows = read(tmp_path, columns=Columns("0", label="1"), format=TableFormat(header=False))
    assert rows[0] == ("text", "label")
    assert "train.tsv:1: no other row has the label 'label' of this line; if it is a header" in caplog.text


@pytest.mark.parametrize(
    ("labels", "problem_type", "told"),
    [
        (
            ["a", "b;a", "c"],
            "multi_label",
            "'b;a' is a class of its own, but looks like several labels with ';' be",
        ),
        (
            ["a", "a,b", "b"],
            "single_label",
            "several labels with ',' between; to read it so, give --problem_type=mul",
        ),
        (["arts", "arts, culture", "b"], "single_label", ""),
        (["a", "a,b", "c"], "multi_label", ""),
    ],
)
def test_several_labels_that_would_become_one_class_are_named(tmp_path, caplog, labels, problem_type, told):
    write(tmp_path, "train.tsv", "text\tlabel\n" + "".join(f"x\t{label}\n" for label in labels))
    read(tmp_path, problem_type=problem_type)
    assert told in caplog.text
    assert bool(told) == bool(caplog.text)


def test_cells_that_look_quoted_are_read_as_they_are_and_counted(tmp_path, caplog):
    rows = 'text\tlabel\n"a ""good"" film"\tpos\n"so" said "he"\tneg\n"fine"\tpos\n'
    write(tmp_path, "train.tsv", rows)
    assert read(tmp_path)[0] == ('"a ""good"" film"', "pos")
    assert "train.tsv: 1 rows have cells that look quoted as spreadsheets write them" in caplog.text
    caplog.clear()
    assert read(tmp_path, format=TableFormat(quoting="none"))[0] == ('"a ""good"" film"', "pos")
    write(tmp_path, "train.tsv", rows.replace('"so" said "he"', "so said he"))
    assert read(tmp_path, format=TableFormat(quoting="minimal"))[0] == ('a "good" film', "pos")
    assert not caplog.text


def test_indices_where_names_were_trained(tmp_path):
    write(tmp_path, "train.csv", "text,label\na,entailment\nb,neutral\n")
    write(tmp_path, "dev.csv", "text,label\na,0\nb,1\n")
    assert "found label '0', known: entailment, neutral" in refused(tmp_path, "dev")


@pytest.mark.parametrize("cells", [["['joy']", "['joy', 'fear']", "[]"], ['["joy"]', '["joy", "fear"]', "[]"]])
def test_list_literals(tmp_path, cells):
    rows = "".join('a,"{}"\n'.format(cell.replace('"', '""')) for cell in cells)
    write(tmp_path, "train.csv", "text,label\n" + rows)
    assert read(tmp_path, problem_type="multi_label") == [("a", ("joy",)), ("a", ("joy", "fear")), ("a", ())]


def test_zeros_and_ones_for_each_label(tmp_path):
    write(tmp_path, "train.csv", 'text,label\na,"[0, 1, 0]"\nb,"[1, 0, 1]"\n')
    options = {"problem_type": "multi_label"}
    assert read(tmp_path, labels=["x", "y", "z"], **options) == [("a", ("y",)), ("b", ("x", "z"))]
    assert "a list of numbers; give --labels=a,b,c for their names" in refused(tmp_path, **options)
    assert "expected 0 or 1 for each of the 2 labels" in refused(tmp_path, labels=["x", "y"], **options)


def test_a_json_list_of_zeros_and_ones(tmp_path):
    write(tmp_path, "train.jsonl", '{"text": "a", "label": [0, 1]}\n{"text": "b", "label": [1, 1]}\n')
    found = read(tmp_path, labels=["x", "y"], problem_type="multi_label")
    assert found == [("a", ("y",)), ("b", ("x", "y"))]


def test_a_column_for_each_label(tmp_path):
    write(tmp_path, "train.csv", "id,comment,toxic,threat\n1,a,0,1\n2,b,1,1\n3,c,0,0\n")
    columns = Columns("comment", label=("toxic", "threat"))
    found = read(tmp_path, columns=columns, problem_type="multi_label")
    assert found == [("a", ("threat",)), ("b", ("toxic", "threat")), ("c", ())]
    processor = TableProcessor(TableSpec(columns, problem_type="multi_label"), str(tmp_path))
    assert processor.get_labels() == ["toxic", "threat"]
    write(tmp_path, "train.csv", "comment,toxic,threat\na,0,maybe\n")
    assert "column 'threat': found 'maybe', expected 0 or 1" in refused(
        tmp_path, columns=columns, problem_type="multi_label"
    )
    with pytest.raises(DataError, match="a column a label; give --problem_type=multi_label"):
        TableSpec(columns)


@pytest.mark.parametrize("cell", ["['joy'", "'fear']", "[joy, [fear]]", "[" * 40 + "]" * 40])
def test_brackets_never_become_names(tmp_path, cell):
    write(tmp_path, "train.tsv", f"text\tlabel\na\t{cell}\nb\tjoy\n")
    options = {"labels": ["joy", "fear"], "problem_type": "multi_label", "label_separator": ";"}
    assert "train.tsv:2: column 'label': found" in refused(tmp_path, **options)


def test_a_list_where_one_label_belongs(tmp_path):
    write(tmp_path, "train.csv", "text,label\na,['joy']\nb,['fear']\n")
    assert "for several labels a row give --problem_type=multi_label" in refused(tmp_path)


def test_a_first_line_that_only_a_person_can_tell_from_a_row_is_said_to_be_the_header(tmp_path, caplog):
    path = write(tmp_path, "train.tsv", "a good film\tfour stars\na bad film\t1.0\n")
    with caplog.at_level("INFO"):
        assert len(read(tmp_path, columns=Columns("0", label="1"), problem_type="regression")) == 1
    assert (
        f"{path}:1: is read as a header: 'a good film, four stars'; give --header=false where it is a row"
        in caplog.text
    )


def test_a_file_without_the_header_of_training(tmp_path):
    write(tmp_path, "train.tsv", "text\tlabel\na good film\tpos\na bad film\tneg\n")
    new = write(tmp_path, "new.txt", "first text\nsecond text\n")
    options = {"columns": Columns("0", label="1"), "splits": {"test": Split(str(new))}}
    assert f"{new}:1: read as a header, but it is 'first text' where train.tsv has 'text, label'" in refused(
        tmp_path, "test", **options
    )
    write(tmp_path, "new.txt", "text\nfirst text\n")
    assert read(tmp_path, "test", **options) == [("first text", None)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": {"en": "a"}, "label": "pos"}, "column 'text': found an object ({'en': 'a'}), expected the text"),
        (
            {"text": "a", "label": {"name": "pos"}},
            "column 'label': found an object ({'name': 'pos'}), expected a label",
        ),
        ({"text": ["a", ["b"]], "label": "pos"}, "column 'text': found a list"),
        ({"text": float("nan"), "label": "pos"}, "column 'text': found no text"),
        ({"text": "a", "label": float("nan")}, "column 'label': found nothing, expected a label"),
        ({"text": "half \ud83d", "label": "pos"}, "column 'text': holds half a character (U+D83D), which is no text"),
        ({"text": "a", "label": "pos\ude00"}, "column 'label': holds half a character (U+DE00), which is no text"),
    ],
)
def test_json_values_that_are_no_text(tmp_path, row, message):
    write(tmp_path, "train.jsonl", json.dumps({"text": "a", "label": "neg"}) + "\n" + json.dumps(row) + "\n")
    assert f"train.jsonl:2: {message}" in refused(tmp_path, labels=["neg", "pos"])


def test_two_files_one_after_the_other(tmp_path):
    write(tmp_path, "train.csv", "text,label\na,pos\ntext,label\nb,neg\n")
    assert "train.csv:3: repeats the header; two tables were joined?" in refused(tmp_path)
    assert read(tmp_path, on_bad_row="skip") == [("a", "pos"), ("b", "neg")]


# Refused or lost without help


def test_labels_of_a_declared_task_may_be_others(tmp_path):
    write(tmp_path, "train.tsv", "0\t0\ta\tone\n1\t2\ta\ttwo\n")
    with pytest.raises(DataError, match="found label '2'"):
        list(ColaProcessor().get_train_examples(str(tmp_path)))
    processor = ColaProcessor(labels=["0", "1", "2"])
    assert [example.label for example in processor.get_train_examples(str(tmp_path))] == ["0", "2"]


def test_a_row_of_another_encoding_is_skipped_and_counted(tmp_path, caplog):
    write(
        tmp_path,
        "train.tsv",
        "text\tlabel\na\tpos\ncaf\u00e9\tneg\n".encode("latin-1") + "d\u00e9j\u00e0\tneg\n".encode(),
    )
    assert "found 0xe9, which is not utf-8" in refused(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path, on_bad_row="skip") == [("a", "pos"), ("d\u00e9j\u00e0", "neg")]
    assert "skipped 1 of 3 rows of train.tsv: 1 malformed row (first: row 3)" in caplog.text


def test_a_json_line_of_another_encoding_is_skipped_and_counted(tmp_path, caplog):
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in [*TWO, ("café", "neg")]]
    write(tmp_path, "train.jsonl", "\n".join([lines[2], *lines[:2]]).encode("latin-1"))
    assert "train.jsonl:1: byte 14 of the row: found 0xe9, which is not utf-8" in refused(tmp_path)
    assert read(tmp_path, on_bad_row="skip", labels=["neg", "pos"]) == TWO
    assert "skipped 1 of 3 rows of train.jsonl: 1 malformed row (first: row 1)" in caplog.text


def test_a_first_json_line_that_cannot_be_read_is_skipped(tmp_path):
    lines = [json.dumps({"text": text, "label": label}) for text, label in TWO]
    write(tmp_path, "train.jsonl", "\n".join(["{text", *lines]))
    assert "train.jsonl:1: not JSON (Expecting property name" in refused(tmp_path)
    assert read(tmp_path, on_bad_row="skip") == TWO
    write(tmp_path, "train.jsonl", lines[0].replace("a good film", " ") + "\n")
    assert "train.jsonl: no row can be used to find the labels in" in refused(tmp_path, on_bad_row="skip")
    write(tmp_path, "train.jsonl", "{text\n{text\n")
    assert "train.jsonl:1: not JSON (Expecting property name" in refused(tmp_path, on_bad_row="skip")


def test_a_file_of_another_encoding_stops_even_when_rows_are_skipped(tmp_path):
    write(tmp_path, "train.tsv", b"text\tlabel\na\tpos\nb\tneg\n" + b"\xc4\xe3\xba\xc3\tpos\n" * 30)
    assert "30 of 32 rows are malformed or not of the encoding; give --encoding" in refused(tmp_path, on_bad_row="skip")


def test_close_labels_are_not_looked_for_where_rows_are_skipped(tmp_path, monkeypatch, caplog):
    write(tmp_path, "train.csv", "text,label\na,pos\nb,neg\nc,other\n")
    write(tmp_path, "test.csv", "text,label\na,pos\nb,other\n")
    expected = r"train.csv:4: column 'label': found label 'other', known: neg, pos; correct the row"
    with pytest.raises(DataError, match=expected):
        read(tmp_path, labels=["neg", "pos"])
    monkeypatch.setattr("processors.tables.labels.closest", None)  # not called
    assert read(tmp_path, labels=["neg", "pos"], on_bad_row="skip") == [("a", "pos"), ("b", "neg")]
    assert "skipped 1 of 3 rows of train.csv: 1 unknown label (first: row 4)" in caplog.text
    assert read(tmp_path, "test", labels=["neg", "pos"]) == [("a", "pos"), ("b", None)]


@pytest.mark.parametrize(("encoding", "text"), [("gbk", "他住在北京"), ("latin-1", "café"), ("utf-16-le", "né")])
@pytest.mark.parametrize("name", ["train.tsv", "train.csv", "train.jsonl", "train.json"])
def test_files_in_other_encodings(tmp_path, encoding, text, name):
    rows = [{"text": f"{text} {number}", "label": "ab"[number % 2]} for number in range(4)]
    content = {
        "train.tsv": "text\tlabel\n" + "".join(f"{row['text']}\t{row['label']}\r\n" for row in rows),
        "train.csv": "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows),
        "train.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        "train.json": json.dumps(rows, ensure_ascii=False),
    }[name]
    write(tmp_path, name, content.encode(encoding))
    expected = [(row["text"], row["label"]) for row in rows]
    assert read(tmp_path, format=TableFormat(encoding=encoding)) == expected


def test_a_declared_task_in_another_encoding(tmp_path):
    for split in ("train", "dev"):
        write(tmp_path, f"{split}.tsv", "a\t1\t\t他住在北京\nb\t0\t\t好\n".encode("gbk"))
    write(tmp_path, "test.tsv", "index\tsentence\n0\t好\n".encode("gbk"))
    processor = ColaProcessor(data_dir=str(tmp_path), encoding="gbk")
    assert [example.text_a for example in processor.get_train_examples(str(tmp_path))] == ["他住在北京", "好"]
    assert [example.text_a for example in processor.get_test_examples(str(tmp_path))] == ["好"]


@pytest.mark.parametrize("name", ["dev.csv", "val.csv", "valid.csv", "validation.csv"])
def test_names_of_dev_files(tmp_path, name):
    write(tmp_path, "train.csv", "text,label\na good film,pos\na bad film,neg\n")
    write(tmp_path, name, "text,label\nb,pos\n")
    assert read(tmp_path, "dev") == [("b", "pos")]


def test_a_file_that_looks_like_a_split_is_named(tmp_path, caplog):
    write(tmp_path, "train.csv", "text,label\n" + "".join(f"text {n},{'pn'[n % 2]}\n" for n in range(20)))
    write(tmp_path, "validate2.csv", "text,label\nb,pos\n")
    processor = TableProcessor(TableSpec(Columns("text", label="label")), str(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert len(list(processor.get_dev_examples(str(tmp_path)))) == 2
    assert "not used: validate2.csv; if one holds dev rows, give --dev_file" in caplog.text


def test_rows_that_end_before_unused_columns(tmp_path, caplog):
    write(tmp_path, "train.csv", "text,label,comment,notes\na,pos\nb,neg,,\nc,pos,x\n")
    with caplog.at_level(logging.INFO):
        assert read(tmp_path) == [("a", "pos"), ("b", "neg"), ("c", "pos")]
    assert "2 rows end before the last column; their missing cells are blank" in caplog.text
    write(tmp_path, "train.csv", "text,comment,label\na,x\nb,x,neg\n")
    assert "train.csv:2: found 2 columns, expected 3" in refused(tmp_path, labels=["pos", "neg"])


def test_a_blank_second_text_is_none(tmp_path):
    write(tmp_path, "test.csv", "title,body,label\na,,pos\nb,  ,neg\nc,text,neg\n")
    spec = TableSpec(Columns("title", "body", "label"), labels=["pos", "neg"])
    examples = list(TableProcessor(spec).get_test_examples(str(tmp_path)))
    assert [example.text_b for example in examples] == [None, None, "text"]


def test_a_last_column_that_is_the_text(tmp_path):
    write(tmp_path, "train.tsv", "text\tlabel\na\tpos\nb\tneg\n")
    write(tmp_path, "test.tsv", "text\nsome text\nmore text\n")
    found = read(tmp_path, "test", columns=Columns("0", label="-1"), splits={"test": Split(format=TableFormat())})
    assert found == [("some text", None), ("more text", None)]


def test_names_that_only_look_the_same(tmp_path):
    write(tmp_path, "train.tsv", "text\tlabel\na\tcaf\u00e9\nb\tbar\n")
    write(tmp_path, "dev.tsv", "text\tlabel\na\tcafe\u0301\n")
    text = refused(tmp_path, "dev")
    assert "which looks like the label 'caf\u00e9' but is written U+0063 U+0061 U+0066 U+0065 U+0301, not" in text
    assert look_alikes(["a", "B", "b", "a\u200b", "c"]) == [("B", "b"), ("a", "a\u200b")]


ARRAY = json.dumps([{"text": text, "label": label} for text, label in TWO], indent=2)
COLUMNS_OF_LISTS = json.dumps({"text": [text for text, _ in TWO], "label": [label for _, label in TWO]})
COLUMNS_OF_OBJECTS = json.dumps(
    {
        "text": {str(n): text for n, (text, _) in enumerate(TWO)},
        "label": {str(n): one for n, (_, one) in enumerate(TWO)},
    }
)


@pytest.mark.parametrize("text", [ARRAY, COLUMNS_OF_LISTS, COLUMNS_OF_OBJECTS, json.dumps(json.loads(ARRAY))])
def test_json_that_is_not_lines(tmp_path, text):
    write(tmp_path, "train.json", text)
    assert read(tmp_path) == TWO


def test_one_row_of_json_is_a_row(tmp_path):
    write(tmp_path, "test.jsonl", '{"text": "a", "label": "pos"}\n')
    assert read(tmp_path, "test", labels=["pos", "neg"]) == [("a", "pos")]


def test_keys_of_all_rows_count(tmp_path):
    write(tmp_path, "train.jsonl", '{"text": "a"}\n{"text": "b", "label": "pos"}\n{"text": "c", "label": "neg"}\n')
    assert "train.jsonl:1: column 'label': found nothing, expected a label" in refused(tmp_path)
    assert len(read(tmp_path, on_bad_row="skip")) == 2


def test_files_that_are_not_what_their_names_say(tmp_path):
    write(tmp_path, "train.csv", gzip.compress(b"text,label\na good film,pos\na bad film,neg\n"))
    assert read(tmp_path) == TWO
    write(tmp_path, "train.csv", b"PK\x03\x04" + bytes(30))
    assert "is a spreadsheet (Excel); save it as CSV (UTF-8)" in refused(tmp_path)


def test_parquet(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"text": [text for text, _ in TWO], "label": [label for _, label in TWO]})
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    assert read(tmp_path) == TWO
    write(tmp_path, "train.parquet", b"PAR1" + bytes(30))
    assert "train.parquet: not readable as Parquet" in refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train.csv", "sep=;\r\ntext;label\r\na;pos\r\n", "is Excel's line 'sep=;', not a header; remove the line"),
        ("train.csv", "text\tlabel\na\tpos\n", "the columns look separated by \\t: give --delimiter=\\t"),
        ("train.csv", "text;label\na;pos\n", "the columns look separated by ';': give --delimiter=';'"),
        ("train.tsv", '"text"\t"label"\n"1"\t"a"\t"pos"\n', "its names are quoted: give --quoting=minimal"),
        ("train.tsv", "a good film\tpos\na bad film\tneg\n", "give --header=false and columns as indices from 0"),
        ("train.tsv", "title\tlabel\na\tpos\n", "no column 'text' for --text_a; columns: title, label"),
    ],
)
def test_the_flag_that_would_help_is_named(tmp_path, name, text, message):
    write(tmp_path, name, text)
    assert message in refused(tmp_path)
    assert ("--header=false" in refused(tmp_path)) == ("good film" in text)


def test_row_names_of_r(tmp_path):
    write(tmp_path, "train.tsv", '"text"\t"label"\n"1"\t"a"\t"pos"\n"2"\t"b"\t"neg"\n')
    text = refused(tmp_path, format=TableFormat(quoting="minimal"))
    assert "found 3 columns, expected 2 as in row 1; R writes row names so: write the table with" in text


def test_two_byte_order_marks(tmp_path):
    write(tmp_path, "train.csv", b"\xef\xbb\xbf\xef\xbb\xbftext,label\na good film,pos\na bad film,neg\n")
    assert read(tmp_path) == TWO


@pytest.mark.parametrize("end", ["\r\r\n", "\r\n", "\n", "\n\n"])
def test_line_ends(tmp_path, end):
    write(tmp_path, "train.csv", end.join(["text,label", "a good film,pos", "a bad film,neg", ""]))
    assert read(tmp_path) == TWO


def test_a_lone_carriage_return_is_text(tmp_path):
    write(tmp_path, "train.tsv", "text\tlabel\na\rb\tpos\nc\tneg\n")
    assert read(tmp_path) == [("a\rb", "pos"), ("c", "neg")]


def test_equal_texts_stay_on_one_side(tmp_path):
    rows = "".join(f"text {n % 10},{'pn'[n % 2]}\n" for n in range(60))
    write(tmp_path, "train.csv", "text,label\n" + rows)
    processor = TableProcessor(TableSpec(Columns("text", label="label"), dev_fraction=0.3), str(tmp_path))
    train, dev = (
        {example.text_a for example in getattr(processor, f"get_{split}_examples")(str(tmp_path))}
        for split in ("train", "dev")
    )
    assert (len(train), len(dev), train & dev) == (6, 4, set())


def test_the_training_file_is_read_twice_for_both_splits(tmp_path):
    write(tmp_path, "train.csv", "text,label\n" + "".join(f"text {n},{'pn'[n % 2]}\n" for n in range(20)))
    processor = TableProcessor(TableSpec(Columns("text", label="label")), str(tmp_path))
    assert len(processor.get_labels()) == 2
    train, dev = (list(getattr(processor, f"get_{split}_examples")(str(tmp_path))) for split in ("train", "dev"))
    assert (len(train), len(dev)) == (18, 2)
    assert processor.passes == {"train.csv": 2}
    again = list(processor.get_dev_examples(str(tmp_path)))
    assert again == dev
    assert {example.guid.partition("-")[0] for example in dev} == {"dev"}


def test_names_for_labels(tmp_path):
    write(tmp_path, "train.csv", "text,label\na,1\nb,2\n")
    found = read(tmp_path, rename={"1": "World", "2": "Sports"})
    assert found == [("a", "World"), ("b", "Sports")]


@pytest.mark.parametrize("number", ["1e39", "-1e39", "1e999"])
def test_a_score_that_is_no_float32(tmp_path, number):
    write(tmp_path, "train.csv", f"text,label\na,1\nb,{number}\n")
    assert "train.csv:3: column 'label': found" in refused(tmp_path, problem_type="regression")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label": ' + "[" * 100_000 + "]" * 100_000 + "}", "JSON that is nested too deep"),
        ('{"text": "a", "label": ' + "1" * 5000 + "}", "JSON that cannot be read"),
    ],
)
def test_json_that_takes_too_much(tmp_path, line, message):
    write(tmp_path, "train.jsonl", '{"text": "a", "label": "pos"}\n' + line + "\n")
    assert f"train.jsonl:2: {message}" in refused(tmp_path, labels=["pos", "neg"])


def test_brackets_in_a_column_that_nobody_reads(tmp_path):
    deep = "[" * 36 + '"x"' + "]" * 36
    write(tmp_path, "train.jsonl", f'{{"text": "a", "label": "pos", "more": {deep}}}\n' * 3)
    assert read(tmp_path, labels=["pos", "neg"]) == [("a", "pos")] * 3


def test_many_labels_take_no_longer_each(tmp_path):
    TableSpec(Columns("text", label="label"), labels=[f"label {n}" for n in range(100_000)])
