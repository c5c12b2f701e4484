"""Column files in the manner of CoNLL: a word a line with its tag, a blank line after each sentence."""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from processors.entities.sentence import OnProblem, Sentence, stop
from processors.reading import LONE_RETURN, open_text

_DOCUMENT_START = "-DOCSTART-"
_CONLLU_WIDTH = 10
_ID = re.compile(r"[0-9]+([-.][0-9]+)?")
"""In the first column of CoNLL-U: the number of a word, of several that are one in the text, or of an empty node."""
_NAMED_COMMENT = re.compile(r"#\s*[\w.-]+ = ")


class Columns(NamedTuple):
    """Which column holds what; counted from 0, or from the last with -1. A `tag` of None: the file has no tags."""

    token: int = 0
    tag: int | None = -1


FIRST_AND_LAST = Columns()


class _Layout(NamedTuple):
    delimiter: str | None  # a tab, or None for runs of blanks and tabs
    width: int
    is_conllu: bool = False

    def cells(self, line: str) -> list[str]:
        if self.delimiter:
            return [cell.strip(" ") for cell in line.split(self.delimiter)]
        return [cell for cell in re.split("[ \t]+", line) if cell]  # a non-breaking space may be part of a word


def read_columns(
    path: Path, columns: Columns = FIRST_AND_LAST, encoding: str | None = None, on_problem: OnProblem = stop
) -> Iterator[Sentence]:
    """Sentences of a column file, which may be tab- or blank-separated.

    The first line with a word decides how cells are separated and how many each line has. `-DOCSTART-` lines are
    skipped. Of CoNLL-U (ten columns parted by tabs, the first a number), the lines `1-2` and `1.1` are no words and are
    counted. A line that starts with `# ` is a comment if it has another number of cells or reads `# name = value`: a
    hashtag is a word.

    Args:
      path: file, compressed or not.
      columns: which cell is the word and which the tag.
      encoding: as for `open_text`.
      on_problem: takes the error of a row that cannot be used, which is left out where this returns.

    Yields:
      The sentences, with their cells.

    Raises:
      DataError: a word without a tag or the reverse, another number of cells, a column that is not there.
    """
    with open_text(path, encoding) as raw:
        layout, lines = _detect(path, _whole_lines(path, raw, on_problem))
        _check(path, columns, layout)
        rows: list[list[str]] = []
        start = left_out = 0
        for number, line in lines:
            if _is_no_word(line, columns, layout):
                left_out += 1
                continue
            try:
                cells = _cells(f"{path}:{number}", line, columns, layout)
            except DataError as error:
                on_problem(error)
                continue
            if cells is None:
                continue
            if cells:
                start = start if rows else number
                rows.append(cells)
            elif rows:
                yield _sentence(start, rows, columns, left_out)
                rows, left_out = [], 0
        if rows:
            yield _sentence(start, rows, columns, left_out)


def _whole_lines(path: Path, raw: Iterable[str], on_problem: OnProblem) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends; a file whose lines end in carriage returns alone would be a single one."""
    for number, line in enumerate(raw, 1):
        text = line.rstrip("\r\n").strip(" ")
        if "\r" in text:
            on_problem(DataError(f"{path}:{number}: found {LONE_RETURN}; convert the line ends of the file"))
            continue
        yield number, text


def _detect(path: Path, lines: Iterator[tuple[int, str]]) -> tuple[_Layout, Iterator[tuple[int, str]]]:
    """Finds how a file separates its cells, and gives its lines from the first again."""
    seen: list[tuple[int, str]] = []
    hash_line = ""
    for number, text in lines:
        seen.append((number, text))
        if not text.strip(" \t") or text.startswith(_DOCUMENT_START):
            continue
        if text.startswith("#"):
            hash_line = hash_line or text
            continue
        return _layout(text), itertools.chain(seen, lines)
    if not hash_line:
        raise DataError(f"{path}: has no words, expected a word and its tag a line")
    return _layout(hash_line), iter(seen)


def _layout(text: str) -> _Layout:
    delimiter = "\t" if "\t" in text else None
    cells = _Layout(delimiter, 0).cells(text)
    is_conllu = delimiter is not None and len(cells) == _CONLLU_WIDTH and _ID.fullmatch(cells[0]) is not None
    return _Layout(delimiter, len(cells), is_conllu)


def _check(path: Path, columns: Columns, layout: _Layout) -> None:
    wanted = {"token": columns.token} | ({} if columns.tag is None else {"tag": columns.tag})
    places = {name: index + layout.width if index < 0 else index for name, index in wanted.items()}
    for name, place in places.items():
        if not 0 <= place < layout.width:
            raise DataError(f"{path}: the {name} column is {wanted[name]}, but lines have {layout.width} columns")
    if len(set(places.values())) < len(places):
        raise DataError(
            f"{path}: token and tag are both read from column {places['token']} of {layout.width}; expected two columns"
        )


def _cells(where: str, line: str, columns: Columns, layout: _Layout) -> list[str] | None:
    """The cells of a word; none of them at the end of a sentence; None for a comment."""
    if not line.strip(" \t"):
        return []
    cells = layout.cells(line)
    if _is_comment(line, len(cells), layout):
        return None
    if line.startswith(_DOCUMENT_START):
        return []
    if len(cells) != layout.width:
        raise DataError(
            f"{where}: found {len(cells)} columns, expected {layout.width} as in the first line; each word needs its "
            "tag, and each tag its word"
        )
    for name, index in (("word", columns.token), ("tag", columns.tag)):
        if index is not None and not cells[index]:
            raise DataError(f"{where}: the {name} is empty, expected a word with its tag; fill it in or remove the row")
    return cells


def _is_comment(line: str, cells: int, layout: _Layout) -> bool:
    """A hashtag without its tag is none: it must not vanish."""
    if layout.delimiter and layout.delimiter in line:
        return False
    return bool(_NAMED_COMMENT.match(line)) or (line.startswith("# ") and cells != layout.width)


def _is_no_word(line: str, columns: Columns, layout: _Layout) -> bool:
    """Whether a line of CoNLL-U is of several words (`1-2`), which follow it, or of none in the text (`1.1`)."""
    if not layout.is_conllu or columns.token in (0, -_CONLLU_WIDTH):
        return False
    number = layout.cells(line)[0]
    return not number.isdecimal() and _ID.fullmatch(number) is not None


def _sentence(line: int, rows: list[list[str]], columns: Columns, left_out: int) -> Sentence:
    tag = columns.tag
    tags = None if tag is None else [cells[tag] for cells in rows]
    return Sentence(line, [cells[columns.token] for cells in rows], tags, rows, left_out=left_out)
