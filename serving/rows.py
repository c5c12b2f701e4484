"""Rows of texts as requests bring them: what a model asks for, what a row costs, and what is wrong with one."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from processors.reading import lone_surrogate
from serving import lists
from serving.errors import UnprocessableError
from serving.settings import RequestLimits

Row = Mapping[str, Any]
"""Texts by input name, a list of them where the input is one; None where an optional text is not given."""

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

    @property
    def list_names(self) -> tuple[str, ...]:
        """Names of the texts that are lists."""
        return tuple(self.settings.get("lists", ()))

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
        faults = ((name, self._fault_of(name, row.get(name), max_characters)) for name in self.text_names)
        return next((f"{name} {fault}" for name, fault in faults if fault), "")

    def _fault_of(self, name: str, value: Any, max_characters: int) -> str:
        is_required = name in self.required_names
        if name in self.list_names:
            return self._list_fault(value, max_characters)
        if value is None or value == "":
            return f"is {'missing' if value is None else 'blank'}; give a text" if is_required else ""
        if not isinstance(value, str):
            return f"is a {type(value).__name__}, expected text"
        if len(value) > max_characters:
            return f"has {len(value)} characters, at most {max_characters} are taken; shorten it"
        if is_required and not value.strip():
            return "is blank; give a text"
        return "has half of a surrogate pair; send valid Unicode" if lone_surrogate(value) else ""

    @staticmethod
    def _list_fault(value: Any, max_characters: int) -> str:
        fault = lists.fault(value)
        if not fault and (size := lists.length(value)) > max_characters:
            return f"has {size} characters, at most {max_characters} are taken; shorten it"
        return fault

    def tokens(self, row: Row) -> int:
        """Estimated tokens of a row: what a batch's budget and the queue count.

        An estimate needs no tokenizer in the server's process. Texts that are read in windows count whole, and each
        text of a list with all others of the row.
        """
        if self.list_names:
            texts = [one for name in self.list_names for one in row[name] if one]
            others = {name: value for name, value in row.items() if name not in self.list_names}
            return sum(self._tokens_of([*others.values(), one]) for one in texts)
        return self._tokens_of([row.get(name) for name in self.text_names])

    def _tokens_of(self, texts: Sequence[str | None]) -> int:
        count = SPECIAL_TOKENS + sum(_tokens(text or "") for text in texts)
        return count if self.reads_windows else min(count, self.max_seq_length)


def _tokens(text: str) -> int:
    if text.isascii():
        return len(text) // CHARACTERS_A_TOKEN + 1
    ascii_count = len(text.encode("ascii", "ignore"))
    return ascii_count // CHARACTERS_A_TOKEN + len(text) - ascii_count + 1
