"""Plain text, a line an example: read as it is needed, of any length."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path

from common.errors import DataError, one_line
from processors.base import InputExample
from processors.reading import LONGEST_LINE, line_encoding, open_text, too_long

PAIR_SEPARATOR = " ||| "


@dataclasses.dataclass(frozen=True)
class TextLine:
    """A line of a text without the whitespace at its ends.

    Args:
      where: file and number, for messages.
      number: of the line, from 1.
      text: what it says.
    """

    where: str
    number: int
    text: str


def read_text_lines(path: Path, encoding: str | None = None) -> Iterator[TextLine]:
    """Yields the lines of a text file, compressed or not, blank ones too.

    Args:
      path: the file.
      encoding: as for `open_text`.

    Raises:
      DataError: as for `open_text`.
    """
    with open_text(path, encoding) as lines:
        for number, line in enumerate(lines, start=1):
            yield TextLine(f"{path}:{number}", number, line.strip())


def decoded_lines(
    batches: Iterable[list[bytes]], source: str = "standard input", encoding: str | None = None
) -> Iterator[list[TextLine]]:
    """Batches of lines as text, as they come.

    Args:
      batches: lines without their ends.
      source: what to call them in messages.
      encoding: as for `line_encoding`.

    Raises:
      DataError: bytes that are not of the encoding, or a line that is too long; the lines of earlier batches are
        through by then.
    """
    codec, number = line_encoding(encoding), 0
    for batch in batches:
        made = []
        for line in batch:
            number += 1
            if len(line) > LONGEST_LINE:
                raise too_long(f"{source}:{number}", LONGEST_LINE)
            try:
                made.append(TextLine(f"{source}:{number}", number, line.decode(codec).strip()))
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{source}:{number}: {one_line(error)}; expected {codec} text; name its encoding, e.g. "
                    "--encoding=gb18030"
                ) from None
        yield made


def text_or_pair(line: TextLine) -> InputExample:
    """The example of a line: a text, or two of them as in `A ||| B` (the last ` ||| ` counts).

    Source: `read_examples` of google-research/bert's `extract_features.py`.
    """
    first, separator, second = line.text.rpartition(PAIR_SEPARATOR)
    guid = str(line.number)
    return InputExample(guid, first, second) if separator else InputExample(guid, line.text)
