"""Standard input: a line in, a JSON line out, at once."""

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

from common.errors import DataError, one_line
from processors.reading import LONGEST_LINE, line_encoding, lone_surrogate
from processors.records.length_order import BATCHES_SORTED_AT_ONCE
from serving import lists

READ_BYTES = 1 << 16


class Answering(Protocol):
    """What answers rows of texts: a `serving.predictor.Predictor`."""

    @property
    def text_names(self) -> Sequence[str]:
        """Names of the texts of a row."""

    @property
    def required_names(self) -> Sequence[str]:
        """Those that every row has."""

    @property
    def list_names(self) -> Sequence[str]:
        """Those that are a list of texts, which come last."""

    def answer(self, rows: Sequence[Mapping[str, Any]], batch_size: int) -> list[dict[str, Any]]:
        """One answer a row."""


def answer_lines(
    predictor: Answering, source: IO[bytes], sink: IO[str], batch_size: int, encoding: str | None = None
) -> int:
    """Answers lines as they come: a JSON object a line out for each line in, in order, flushed at once.

    A line is `text_a`, `text_a<TAB>text_b`, or a JSON object with those keys, whose other keys come back beside the
    answer; `question<TAB>context` has both, and the choices of a question are all cells behind it. A line that cannot
    be answered gives `{"line": number, "error": why}`, and the stream goes on. Whatever has arrived is answered
    together, at most `batch_size` lines a run, so a person waits for one line only, and a pipe gets full batches of
    lines of similar length.

    Args:
      predictor: answers.
      source: the lines.
      sink: takes the answers.
      batch_size: most lines of a run.
      encoding: of the lines, as for `processors.reading.line_encoding`.

    Returns:
      The number of lines read.

    Raises:
      DataError: an encoding that cannot be used; at the end, where some lines could not be answered.
    """
    codec, count, failed = line_encoding(encoding), 0, 0
    first = ""
    for lines in arriving_lines(source, batch_size * BATCHES_SORTED_AT_ONCE):
        rows = [_read(line, number, predictor, codec) for number, line in enumerate(lines, count + 1)]
        for row, answer in zip(rows, _answers(predictor, rows, batch_size), strict=True):
            sink.write(json.dumps(row | answer, ensure_ascii=False) + "\n")
        sink.flush()
        count += len(rows)
        errors = [row for row in rows if "error" in row and "line" in row]
        failed += len(errors)
        first = first or next((f"line {row['line']}: {row['error']}" for row in errors), "")
    if failed:
        raise DataError(f"standard input: {failed} of {count} lines could not be answered (first: {first})")
    return count


def _answers(predictor: Answering, rows: Sequence[Mapping[str, Any]], batch_size: int) -> Iterator[dict[str, Any]]:
    """An answer for each row, an empty one for a row that is an error."""
    good = [row for row in rows if "error" not in row]
    texts = [{name: row.get(name) for name in predictor.text_names} for row in good]
    answers = iter(predictor.answer(texts, batch_size))
    return iter([{} if "error" in row else next(answers) for row in rows])


def arriving_lines(source: IO[bytes], batch_size: int) -> Iterator[list[bytes]]:
    """Batches of complete lines; blocks only while there is none.

    Of a line of more than `LONGEST_LINE` bytes only the beginning is kept and given, which is longer than that.
    """
    parts: list[bytes] = []
    size = 0
    while chunk := os.read(source.fileno(), READ_BYTES):
        first, *lines = chunk.split(b"\n")
        if size <= LONGEST_LINE:
            parts.append(first)
            size += len(first)
        if not lines:
            continue
        lines = [b"".join(parts), *lines]
        parts = [lines.pop()]
        size = len(parts[0])
        for start in range(0, len(lines), batch_size):
            yield lines[start : start + batch_size]
    if size:
        yield [b"".join(parts)]


def _read(line: bytes, number: int, predictor: Answering, codec: str) -> dict[str, Any]:
    """The row of a line, or its number and what is wrong with it."""
    names, required = predictor.text_names, predictor.required_names
    try:
        if len(line) > LONGEST_LINE:
            raise ValueError(f"a line of more than {LONGEST_LINE} bytes")
        text = line.decode(codec)
        return _parsed(text.removeprefix("\ufeff") if number == 1 else text, predictor)
    except (ValueError, RecursionError) as error:
        shown = [f"{name}<TAB>..." if name in predictor.list_names else name for name in names]
        columns = ", ".join("<TAB>".join(shown[:size]) for size in range(len(required), len(names) + 1))
        return {
            "line": number,
            "error": f"{one_line(error)}; expected {columns}, or a JSON object with {' and '.join(required)}",
        }


def _parsed(text: str, predictor: Answering) -> dict[str, Any]:
    names, required = predictor.text_names, predictor.required_names
    text = text.rstrip("\r")
    if text.startswith("{"):
        row: dict[str, Any] = json.loads(text)
    else:
        row = _of_cells(text, names, predictor.list_names)
    texts = {name: row.get(name) for name in names}
    for name, value in texts.items():
        if name in predictor.list_names:
            if fault := lists.fault(value):
                raise ValueError(f"{name} {fault}")
            continue
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} is {one_line(json.dumps(value), 60)}, no text")
        if name in required and (value is None or not value.strip()):
            raise ValueError(f"no {name}")
        if value is not None and lone_surrogate(value):
            raise ValueError(f"{name} has half a character")
    if "error" in row:
        raise ValueError("the key error is taken")
    plain = {name: value for name, value in texts.items() if name not in predictor.list_names}
    return row | {name: value if value and value.strip() else None for name, value in plain.items()}


def _of_cells(text: str, names: Sequence[str], list_names: Sequence[str]) -> dict[str, Any]:
    """The texts of a line whose cells are parted by tabs; a list has all that follow."""
    if names[-1] not in list_names:
        cells = text.split("\t", len(names) - 1)
        return dict(itertools.zip_longest(names, cells[: len(names)]))
    cells = text.split("\t")
    before = len(names) - 1
    return dict(itertools.zip_longest(names[:-1], cells[:before])) | {names[-1]: cells[before:]}
