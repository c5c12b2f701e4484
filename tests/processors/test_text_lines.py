"""Lines of text files and of standard input, in any encoding, of bounded length."""

import gzip

import pytest

from common.errors import DataError
from processors import reading, text_lines
from processors.text_lines import decoded_lines, read_text_lines

TEXTS = {
    "gbk": "他住在北京。",
    "gb18030": "他住在北京\U00020000",
    "latin-1": "Le café",
    "cp1252": "100 €",
    "utf-16": "né",
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_encodings(tmp_path, encoding):
    path = tmp_path / "text.txt.gz"
    path.write_bytes(gzip.compress(f"{TEXTS[encoding]}\r\none\rline\n\nlast".encode(encoding)))
    found = [(line.number, line.text) for line in read_text_lines(path, encoding)]
    assert found == [(1, TEXTS[encoding]), (2, "one\rline"), (3, ""), (4, "last")]
    if encoding != "utf-16":  # which its byte order mark tells
        with pytest.raises(DataError, match=r"text.txt.gz:1: byte \d+ of the row: found 0x.*--encoding=gb18030"):
            list(read_text_lines(path))


@pytest.mark.parametrize("encoding", [name for name in TEXTS if name != "utf-16"])
def test_encodings_of_standard_input(encoding):
    lines = [TEXTS[encoding].encode(encoding), b"one\rline"]
    found = [line for batch in decoded_lines([lines, [b"last"]], encoding=encoding) for line in batch]
    assert [(line.where, line.text) for line in found] == [
        ("standard input:1", TEXTS[encoding]), ("standard input:2", "one\rline"), ("standard input:3", "last"),
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"standard input:1: .*; expected utf-8 text; name its encoding, e.g. --enc"):
        list(decoded_lines([lines]))


@pytest.mark.parametrize("encoding", ["nonsense", "base64", "rot13", "undefined", "a\0b", "é", ""])
def test_names_of_no_text_encoding(tmp_path, encoding):
    (tmp_path / "text.txt").write_text("a\n")
    for read in (lambda: read_text_lines(tmp_path / "text.txt", encoding), lambda: decoded_lines([], "in", encoding)):
        with pytest.raises(DataError, match="is not the name of a text encoding; try utf-8, utf-16, gb18030"):
            list(read())


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST_LINE", 100)
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 100)
    path = tmp_path / "text.txt"
    path.write_text("é" * 99 + "\n" + "é" * 101)
    lines = read_text_lines(path)
    assert next(lines).text == "é" * 99
    with pytest.raises(DataError, match=r"text.txt:2: found a line of more than 100 characters, expected lines that"):
        next(lines)
    with pytest.raises(DataError, match=r"standard input:2: found a line of more than 100 characters"):
        list(decoded_lines([[b"a" * 100, b"a" * 101]]))
