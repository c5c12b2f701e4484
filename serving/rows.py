"""Rows of texts as requests bring them: what a model asks for, what a row costs, and what is wrong with one."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from processors.reading import lone_surrogate
from serving.errors import UnprocessableError
from serving.settings import RequestLimits

Row = Mapping[str, str | None]
"""Texts by input name; None where an optional text is not given."""

CHARACTERS_A_TOKEN = 4
"""Of ASCII text; a character beyond ASCII counts as a token."""
SPECIAL_TOKENS = 3


@dataclasses.dataclass(frozen=True)
class Description:
    """What an export says of itself, as its process reads it.

    Args:
      problem_type: decides the form of an answer.
      text_names: names of the texts of a row.
      required_names: those that every row has.
      labels: names of the classes, none where there are none.
      max_seq_length: most tokens of a row (or window).
      reads_windows: whether long texts are read whole, in windows.
      signatures: the signatures of the SavedModel, in the JSON form of their protocol buffers.
      settings: of the tokenizer and of the texts, as the export has them.
      outputs: by name, the type (`text`, or a name of NumPy's) and the rank, rows included.
    """

    problem_type: str
    text_names: tuple[str, ...]
    required_names: tuple[str, ...]
    labels: tuple[str, ...]
    max_seq_length: int
    reads_windows: bool = False
    signatures: dict[str, Any] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    outputs: dict[str, tuple[str, int]] = dataclasses.field(default_factory=dict)

    def check(self, rows: Sequence[Mapping[str, Any]], limits: RequestLimits) -> None:
        """Checks the rows of one request.

        Raises:
          UnprocessableError: too many rows, or a row that cannot be answered; its number, from 0, is given.
        """
        limits.check_count(len(rows))
        for number, row in enumerate(rows):
            fault = self._fault(row, limits.max_characters)
            if fault:
                raise UnprocessableError(f"text {number}: {fault}")

    def _fault(self, row: Mapping[str, Any], max_characters: int) -> str:
        unknown = sorted(str(name) for name in row.keys() - set(self.text_names))
        if unknown:
            return f"unknown key {unknown[0][:80]!r}; expected {', '.join(self.text_names)}"
        for name in self.text_names:
            value = row.get(name)
            if value is None or value == "":
                if name in self.required_names:
                    return f"{name} is {'missing' if value is None else 'blank'}; give a text"
                continue
            if not isinstance(value, str):
                return f"{name} is a {type(value).__name__}, expected text"
            if len(value) > max_characters:
                return f"{name} has {len(value)} characters, at most {max_characters} are taken; shorten it"
            if name in self.required_names and not value.strip():
                return f"{name} is blank; give a text"
            if lone_surrogate(value):
                return f"{name} has half of a surrogate pair; send valid Unicode"
        return ""

    def tokens(self, row: Row) -> int:
        """Estimated tokens of a row: what a batch's budget and the queue count.

        An estimate needs no tokenizer in the server's process. Texts that are read in windows count whole.
        """
        count = SPECIAL_TOKENS + sum(_tokens(row.get(name) or "") for name in self.text_names)
        return count if self.reads_windows else min(count, self.max_seq_length)


def _tokens(text: str) -> int:
    if text.isascii():
        return len(text) // CHARACTERS_A_TOKEN + 1
    ascii_count = len(text.encode("ascii", "ignore"))
    return ascii_count // CHARACTERS_A_TOKEN + len(text) - ascii_count + 1
