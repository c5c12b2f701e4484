"""A JSON text value by value: a list of any length takes the memory of one item."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from common.errors import DataError, one_line
from processors.reading import LARGEST_VALUE

_DECODE = json.JSONDecoder().raw_decode
_NO_WHITESPACE = re.compile(r"[^ \t\r\n]")
_READ_CHARACTERS = 1 << 20
_EXPONENT = 3
_LONGEST_TOKEN = 32
"""An error further than this from the end of what has been read is not due to what has not, but for texts."""


class JsonStream:
    """Reads values from a text as the caller walks through it.

    Args:
      text: open at its start.
      path: its file, for messages.
      expected: what the file should be and what to do, the end of each message.
      largest: most characters of a value; default `LARGEST_VALUE`.
    """

    def __init__(self, text: IO[str], path: Path, expected: str, largest: int | None = None) -> None:
        self._text, self._path, self._expected = text, path, expected
        self._largest = largest or LARGEST_VALUE
        self._buffer = text.read(1).removeprefix("\ufeff")  # a second byte order mark
        self._at = 0
        self._lines = self._columns = self._characters = 0

    @property
    def line(self) -> int:
        """Number of the line of the next character, from 1."""
        return self._place(self._at)[0]

    @property
    def position(self) -> int:
        """Characters before the next one."""
        return self._characters + self._at

    def peek(self) -> str:
        """The next character that is no whitespace, which is not taken; "" at the end."""
        while True:
            found = _NO_WHITESPACE.search(self._buffer, self._at)
            if found:
                self._at = found.start()
                return found.group()
            self._at = len(self._buffer)
            if not self._read_more():
                return ""

    def items(self) -> Iterator[Any]:
        """Yields the items of a list."""
        for _ in self._elements("[", "]"):
            yield self.value()

    def object_keys(self) -> Iterator[str]:
        """Yields the keys of an object; the caller takes the value of each before it asks for the next key.

        Raises:
          DataError: not JSON.
        """
        for _ in self._elements("{", "}"):
            if self.peek() != '"':
                raise self._error("Expecting property name enclosed in double quotes", self._at)
            key: str = self.value()
            self._expect(":")
            yield key

    def value(self) -> Any:
        """Takes a whole value.

        Raises:
          DataError: not JSON, nested too deep, a number of thousands of digits, or a value that is too large.
        """
        self.peek()
        while True:
            try:
                value, end = _DECODE(self._buffer, self._at)
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._read_more():
                    continue
                raise self._error(error.msg, error.pos) from None
            except RecursionError:
                raise self._error("nested too deep", self._at) from None
            except ValueError as error:
                raise self._error(one_line(error, 80), self._at) from None
            # A number may go on behind what has been read, as with 1e+5 of which 1e+ has.
            if end + _EXPONENT <= len(self._buffer) or not self._read_more():
                self._at = end
                return value

    def end(self) -> None:
        """Checks that nothing follows.

        Raises:
          DataError: something does.
        """
        if self.peek():
            raise self._error("Extra data", self._at)

    def _elements(self, opening: str, closing: str) -> Iterator[None]:
        self._expect(opening)
        if self._take(closing):
            return
        while True:
            yield
            if self._take(closing):
                return
            self._expect(",")

    def _take(self, char: str) -> bool:
        found = self.peek() == char
        self._at += found
        return found

    def _expect(self, char: str) -> None:
        if not self._take(char):
            raise self._error(f"Expecting {char!r} delimiter", self._at)

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated") or error.pos > len(self._buffer) - _LONGEST_TOKEN

    def _read_more(self) -> bool:
        """Reads on, as much again as is waiting, so that a long value is not parsed often; False at the end."""
        waiting = len(self._buffer) - self._at
        if waiting > self._largest:
            raise DataError(
                f"{self._path}:{self.line}: found a JSON value of more than {self._largest} characters; expected "
                f"{self._expected}; break it up"
            )
        more = self._text.read(max(waiting, _READ_CHARACTERS))
        if not more:
            return False
        line, column = self._place(self._at)
        self._lines, self._columns = line - 1, column - 1
        self._characters += self._at
        self._buffer, self._at = self._buffer[self._at :] + more, 0
        return True

    def _place(self, at: int) -> tuple[int, int]:
        """Line and column of a character of the buffer, from 1."""
        breaks = self._buffer.count("\n", 0, at)
        column = at - self._buffer.rfind("\n", 0, at) - 1 if breaks else self._columns + at
        return self._lines + breaks + 1, column + 1

    def _error(self, problem: str, at: int) -> DataError:
        line, column = self._place(at)
        return DataError(
            f"{self._path}:{line}: is not JSON that can be read ({problem}, column {column}); expected {self._expected}"
        )
