"""JSON tables: lines of objects, an array of objects, or an object of columns."""

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError
from processors.json_stream import JsonStream
from processors.reading import LARGEST_VALUE, open_characters, open_text, parse_json, read_json_lines

_EXPECTED = "one object a line, an array of objects, or columns"

Objects = Iterator[tuple[int, dict[str, Any] | None, str]]


def read_objects(path: Path, encoding: str | None = None, keep_undecodable: bool = False) -> Objects:
    """Objects of a JSON file as `(line or number from 1, object, problem)`; with a problem, the object is None.

    A file is an array where it begins with `[`, and an object of columns where its first line is not an object of its
    own. Lines and items are read one after the other; columns are held in memory.

    Args:
      path: the file.
      encoding: as for `open_text`.
      keep_undecodable: as for `read_json_lines`; other files have no rows to leave out.

    Raises:
      DataError: as for `open_text`; an array that is not JSON.
    """
    with open_characters(path, encoding, "surrogateescape") as text:
        if JsonStream(text, path, _EXPECTED).peek() == "[":
            return _items(path, encoding)
    if _is_lines(path, encoding):
        return read_json_lines(path, encoding, keep_undecodable)
    with open_characters(path, encoding) as text:
        content = text.read(LARGEST_VALUE + 1)
    if len(content) > LARGEST_VALUE:
        raise DataError(f"{path}: found a JSON value of more than {LARGEST_VALUE} characters; expected {_EXPECTED}")
    value, problem = parse_json(content)
    if problem:
        return iter([(1, None, f"{problem}, expected {_EXPECTED}")])
    return _numbered(_rows_of_columns(value) if isinstance(value, dict) else [value])


def _items(path: Path, encoding: str | None) -> Objects:
    with open_characters(path, encoding) as text:
        stream = JsonStream(text, path, _EXPECTED)
        yield from _numbered(stream.items())
        stream.end()


def _is_lines(path: Path, encoding: str | None) -> bool:
    """Whether a file has an object a line; a file whose first line cannot be read is taken to have."""
    with open_text(path, encoding, "surrogateescape", longest=LARGEST_VALUE) as lines:
        first, second = itertools.islice(itertools.chain((line for line in lines if line.strip()), ["", ""]), 2)
    start = first.lstrip("\ufeff").lstrip()
    if not start:
        return True
    if start[:1] == "{" and not second.strip():  # one line: a row, or all columns
        value, problem = parse_json(start)
        return bool(problem) or not _is_columns(value)
    try:
        json.loads(start)
    except (ValueError, RecursionError):
        return start.strip() not in ("{", "") and not second.strip().startswith('"')
    return True


def _is_columns(value: Any) -> bool:
    """Whether an object holds columns: lists of one length, or objects with the same keys."""
    if not isinstance(value, dict) or not value:
        return False
    first = next(iter(value.values()))
    if isinstance(first, list):
        return all(isinstance(column, list) and len(column) == len(first) for column in value.values())
    return isinstance(first, dict) and all(
        isinstance(column, dict) and column.keys() == first.keys() for column in value.values()
    )


def _rows_of_columns(value: dict[str, Any]) -> list[Any]:
    if not _is_columns(value):
        return [value]
    columns = {name: list(column.values()) if isinstance(column, dict) else column for name, column in value.items()}
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _numbered(values: Iterable[Any]) -> Objects:
    for number, value in enumerate(values, 1):
        if isinstance(value, dict):
            yield number, value, ""
        else:
            yield number, None, f"item is a JSON {type(value).__name__}, expected an object"
