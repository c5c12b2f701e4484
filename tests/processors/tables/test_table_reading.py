"""Tables of every format: delimiters, quotes, headers, encodings, compression, JSON lines, real files."""

import bz2
import gzip
import lzma
import sys
import zipfile
from pathlib import Path

import pytest

from common.errors import DataError
from processors import Columns, DataProcessor, Split, TableFormat, TableProcessor, TableSpec
from processors.reading import data_suffix, read_delimited
from processors.tables.spec import parse_labels

ROWS = [("good film", "pos"), ('bad "film"', "neg"), ("läßt sich sehen 好", "pos")]
TSV = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in ROWS)


def read(folder, name="train.tsv", columns=None, split="train", **options):
    """The examples of one file as `(text_a, label)`."""
    spec_options = {key: options.pop(key) for key in ("labels", "problem_type", "on_bad_row") if key in options}
    spec_options.setdefault("labels", ["neg", "pos"])
    spec = TableSpec(columns or Columns("text", label="label"), TableFormat(**options), **spec_options)
    processor = TableProcessor(spec, **{f"{split}_file": name}, dev_fraction=0)
    return [(example.text_a, example.label) for example in getattr(processor, f"get_{split}_examples")(str(folder))]


def failure(*arguments, **options):
    with pytest.raises(DataError) as caught:
        read(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_tab_separated_takes_quotes_as_text(tmp_path):
    (tmp_path / "train.tsv").write_text(TSV, encoding="utf-8")
    assert read(tmp_path) == ROWS


def test_comma_separated_takes_quotes_as_quoting(tmp_path):
    (tmp_path / "train.csv").write_text('text,label\n"one, ""two""\nthree",pos\nfour,neg\n', encoding="utf-8")
    assert read(tmp_path, "train.csv") == [('one, "two"\nthree', "pos"), ("four", "neg")]


def test_delimiter_and_quoting_by_hand(tmp_path):
    (tmp_path / "train.dat").write_text('text;label\n"a;b";pos\nc;neg\n')
    assert read(tmp_path, "train.dat", delimiter=";") == [("a;b", "pos"), ("c", "neg")]
    (tmp_path / "train.csv").write_text('text,label\n"a,pos\n')
    assert read(tmp_path, "train.csv", quoting="none") == [('"a', "pos")]
    (tmp_path / "train.tsv").write_text('text\tlabel\n"a\tb"\tpos\n')
    assert read(tmp_path, quoting="minimal", delimiter="\\t") == [("a\tb", "pos")]


def test_columns_by_index_with_and_without_header(tmp_path):
    (tmp_path / "train.tsv").write_text(TSV, encoding="utf-8")
    assert read(tmp_path, columns=Columns(0, label="-1")) == ROWS
    (tmp_path / "bare.tsv").write_text(TSV.partition("\n")[2], encoding="utf-8")
    assert read(tmp_path, "bare.tsv", columns=Columns("0", label="1"), header=False) == ROWS


def test_digits_are_a_name_where_the_header_has_it(tmp_path):
    (tmp_path / "train.tsv").write_text("1\t0\npos\ta\n")
    assert read(tmp_path, columns=Columns("0", label="1")) == [("a", "pos")]


def test_row_identifiers_from_a_column(tmp_path):
    (tmp_path / "test.tsv").write_text("id\ttext\nx7\ta\n")
    processor = TableProcessor(TableSpec(Columns("text", guid="id"), labels=["neg", "pos"]))
    assert [example.guid for example in processor.get_test_examples(str(tmp_path))] == ["x7"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8"])
def test_byte_order_marks_are_found_and_dropped(tmp_path, encoding):
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    (tmp_path / "train.tsv").write_bytes((mark + TSV).encode(encoding))
    assert read(tmp_path) == ROWS


def test_mark_in_front_of_declared_utf8(tmp_path):
    (tmp_path / "train.tsv").write_bytes(TSV.encode("utf-8-sig"))
    assert read(tmp_path, encoding="UTF8") == ROWS


def test_encoding_by_name(tmp_path):
    (tmp_path / "train.tsv").write_text("text\tlabel\n质量很好\tpos\n", encoding="gb18030")
    assert read(tmp_path, encoding="gb18030") == [("质量很好", "pos")]


def test_undecodable_byte(tmp_path):
    rows = b"".join(b"row %d\tpos\n" % i for i in range(5000))
    (tmp_path / "train.tsv").write_bytes(b"text\tlabel\n" + rows + b"caf\xe9\tpos\n")
    text = failure(tmp_path)
    assert "train.tsv:5002: byte 4 of the row: found 0xe9, which is not utf-8; name the file's encoding" in text
    assert "--encoding=" in text


def test_undecodable_compressed_and_wide(tmp_path):
    with gzip.open(tmp_path / "train.tsv.gz", "wb") as stream:
        stream.write(b"text\tlabel\n\xff\tpos\n")
    assert "train.tsv.gz:2: byte 1 of the row: found 0xff" in failure(tmp_path, "train.tsv.gz")
    (tmp_path / "train.tsv").write_bytes("text\tlabel\n".encode("utf-16") + b"\x00\xd8\x00")
    assert "train.tsv: found 0x00, which is not utf-16" in failure(tmp_path)


@pytest.mark.parametrize("name", ["utf-99", "base64"])
def test_unknown_encoding(tmp_path, name):
    (tmp_path / "train.tsv").write_text(TSV, encoding="utf-8")
    assert f"--encoding={name} is not the name of a text encoding; try utf-8" in failure(tmp_path, encoding=name)


def zip_bytes(path, data):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.tsv", data)


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        (".gz", lambda path, data: path.write_bytes(gzip.compress(data))),
        (".bz2", lambda path, data: path.write_bytes(bz2.compress(data))),
        (".xz", lambda path, data: path.write_bytes(lzma.compress(data))),
        (".zip", zip_bytes),
    ],
)
def test_compressed(tmp_path, suffix, write):
    write(tmp_path / f"train.tsv{suffix}", TSV.encode("utf-16"))
    assert read(tmp_path, f"train.tsv{suffix}") == ROWS


def test_zstandard(tmp_path):
    zstandard = pytest.importorskip("zstandard", reason="pip install zstandard to read .zst")
    (tmp_path / "train.tsv.zst").write_bytes(zstandard.compress(TSV.encode()))
    assert read(tmp_path, "train.tsv.zst") == ROWS
    (tmp_path / "train.tsv.zst").write_bytes(TSV.encode())
    assert "cannot be decompressed" in failure(tmp_path, "train.tsv.zst")


def test_zstandard_without_its_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "train.tsv.zst").write_bytes(b"")
    assert "train.tsv.zst: .zst needs another package; pip install zstandard" in failure(tmp_path, "train.tsv.zst")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_broken_archives(tmp_path, suffix):
    (tmp_path / f"train.tsv{suffix}").write_bytes(TSV.encode("utf-8"))
    assert "cannot be decompressed" in failure(tmp_path, f"train.tsv{suffix}")


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "train.tsv").write_text(TSV, encoding="utf-8")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "train.tsv: cannot be read (Permission denied); check its permissions" in failure(tmp_path)


def test_truncated_archive(tmp_path):
    data = gzip.compress("".join(f"row {i * 7919}\tpos\n" for i in range(5000)).encode())
    (tmp_path / "train.tsv.gz").write_bytes(data[: len(data) // 2])
    text = failure(tmp_path, "train.tsv.gz", columns=Columns(0, label=1), header=False)
    assert "train.tsv.gz: cannot be decompressed" in text
    assert "copy or download it again" in text


def test_archive_of_two(tmp_path):
    with zipfile.ZipFile(tmp_path / "train.tsv.zip", "w") as archive:
        archive.writestr("a.tsv", TSV)
        archive.writestr("b.tsv", TSV)
    assert "train.tsv.zip: holds 2 files, expected exactly one" in failure(tmp_path, "train.tsv.zip")


def test_json_lines(tmp_path):
    lines = ['{"text": "a", "label": "pos", "n": 1}', '{"label": "neg", "text": "b", "more": null}', ""]
    (tmp_path / "train.jsonl").write_text("\n".join(lines))
    assert read(tmp_path, "train.jsonl") == [("a", "pos"), ("b", "neg")]


def test_json_values_other_than_text(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n')
    assert read(tmp_path, "train.jsonl", labels=["0", "1"]) == [("a", "1"), ("b", "0")]
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": true}\n')
    assert read(tmp_path, "train.jsonl", labels=["false", "true"]) == [("a", "true")]
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": ["x", "y"]}\n{"text": "b", "label": []}\n')
    options = {"labels": ["x", "y"], "problem_type": "multi_label"}
    assert read(tmp_path, "train.jsonl", **options) == [("a", ("x", "y")), ("b", ())]
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": 1.5}\n')
    assert read(tmp_path, "train.jsonl", labels=None, problem_type="regression") == [("a", 1.5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"text": "a", "label": "pos"}\n{"text": \n', ":2: not JSON ("),
        ('[{"text": "a"}]\n', ":1: no column 'label' for --label; columns: text"),
        ('{"text": "a", "label": "pos"}\n{"text": null, "label": "pos"}\n', ":2: column 'text': found no text"),
        (
            '{"text": ["a"], "label": "pos"}\n',
            ":1: column 'text': found a list (['a']), expected the text for --text_a",
        ),
        ('{"text": "a", "label": ["x", "y"]}\n', ":1: column 'label': found a list (['x', 'y']), expected one label"),
        ("\n\n", ": is empty, expected rows"),
    ],
)
def test_broken_json_lines(tmp_path, text, expected):
    (tmp_path / "train.jsonl").write_text(text)
    assert f"train.jsonl{expected}" in failure(tmp_path, "train.jsonl")


def test_unknown_extension(tmp_path):
    (tmp_path / "train.dat").write_text(TSV, encoding="utf-8")
    assert "extension '.dat' does not tell the format (.csv, .tsv" in failure(tmp_path, "train.dat")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"delimiter": "||"}, "--delimiter='||': expected one character, or \\t for a tab"),
        ({"quoting": "all"}, "--quoting=all: expected none (quotes are text) or minimal"),
    ],
)
def test_unusable_format(options, expected):
    with pytest.raises(DataError) as caught:
        TableFormat(**options)
    assert expected in str(caught.value)


def test_unclosed_quote_names_the_row_it_opens_in(tmp_path):
    (tmp_path / "train.csv").write_text('text,label\na,pos\n"b,neg\nc,pos\n')
    text = failure(tmp_path, "train.csv")
    assert "train.csv:3: malformed quoting" in text
    assert "--quoting=none if quotes are plain text" in text


def test_rows_know_their_line_after_quoted_line_breaks(tmp_path):
    (tmp_path / "a.csv").write_text('x\n"1\n2"\n3\n')
    assert [row.line for row in read_delimited(tmp_path / "a.csv", ",", "minimal")] == [1, 2, 4]


def test_long_cells(tmp_path):
    (tmp_path / "train.tsv").write_text(f"text\tlabel\n{'word ' * 50_000}\tpos\n")
    assert len(read(tmp_path)[0][0]) == 250_000


def test_windows_line_ends_and_a_path_with_spaces(tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    (folder / "train.tsv").write_bytes(b"text\tlabel\r\na\tpos\r\n")
    assert read(folder) == [("a", "pos")]


def test_upstream_helper_reads_rows(tmp_path):
    (tmp_path / "a.tsv").write_bytes('\ufefftext\tlabel\n"a\t1\n'.encode())
    assert DataProcessor._read_tsv(str(tmp_path / "a.tsv")) == [["text", "label"], ['"a', "1"]]
    (tmp_path / "b.tsv").write_text('"a\tb"\t1\n')
    assert DataProcessor._read_tsv(tmp_path / "b.tsv", quotechar='"') == [["a\tb", "1"]]
    (tmp_path / "c.tsv").write_bytes(b"a\rb\t1\r\n\n\tx\t\n")
    assert DataProcessor._read_tsv(tmp_path / "c.tsv") == [["a\rb", "1"], [], ["", "x", ""]]
    with pytest.raises(DataError, match=r"c.tsv:1: new-line character seen in unquoted field.* without quotechar"):
        DataProcessor._read_tsv(tmp_path / "c.tsv", quotechar='"')


def test_data_suffix():
    assert [data_suffix(Path(name)) for name in ("a.TSV.gz", "b.csv", "c", "d.jsonl.zst")] == [
        ".tsv",
        ".csv",
        "",
        ".jsonl",
    ]


def test_chnsenticorp(shared):
    folder = str(shared / "data" / "chnsenticorp")
    processor = TableProcessor(TableSpec(Columns("text_a", label="label")), folder)
    assert processor.get_labels() == ["0", "1"]
    assert [
        sum(1 for _ in getattr(processor, f"get_{split}_examples")(folder)) for split in ("train", "dev", "test")
    ] == [
        9600,
        1200,
        1200,
    ]


def test_goemotions(shared):
    folder = shared / "data" / "goemotions"
    columns, layout = Columns(0, label=1, guid=2), TableFormat(header=False)
    labels = parse_labels(str(folder / "labels.txt"))
    processor = TableProcessor(TableSpec(columns, layout, labels=labels, problem_type="multi_label", label_as="index"))
    examples = list(processor.get_dev_examples(str(folder)))
    assert (len(labels), len(examples)) == (28, 5426)
    assert (examples[0].label, examples[1].label, examples[1].guid) == (
        ("neutral",),
        ("approval", "neutral"),
        "ee84bjg",
    )


def test_cosmosqa_has_real_quoting(shared):
    folder = str(shared / "data" / "cosmosqa")
    processor = TableProcessor(TableSpec(Columns("context", "question", "label"), splits={"dev": Split("valid.csv")}))
    processor = TableProcessor(processor.table, labels=["0", "1", "2", "3"])
    assert sum(1 for _ in processor.get_dev_examples(folder)) == 2985


def test_xnli_development_file_as_a_table(shared):
    folder = str(shared / "data" / "xnli")
    spec = TableSpec(Columns("text_a", "text_b", "label"), dev_fraction=0).replace(train_file="zh_dev.tsv")
    processor = TableProcessor(spec, folder)
    assert processor.get_labels() == ["contradiction", "entailment", "neutral"]
    assert sum(1 for _ in processor.get_train_examples(folder)) == 2490
