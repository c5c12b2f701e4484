"""A document that is longer than the model's length as overlapping windows: how many, where they start, what is cut.

One text is cut into windows as it is. Of a pair the longer text is; the other stands in every window.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from common.errors import FlagError
from processors.records.pair_layout import PairLayout

WINDOWS = "windows"
"""Value of `--truncation`."""


class WindowPlan(NamedTuple):
    """The windows of a text or pair.

    Args:
      is_second: whether the second text is the one in windows.
      kept: tokens that every window has of the other text.
      room: most tokens that a window has of the text.
      stride: tokens between the starts of two windows.
      num_windows: windows that are read, at least one.
      needed: windows that the whole text has.
      lost: tokens that are in no window, of both texts.
    """

    is_second: bool
    kept: int
    room: int
    stride: int
    num_windows: int
    needed: int
    lost: int


@dataclasses.dataclass(frozen=True)
class DocumentWindows:
    """How long documents are read.

    Args:
      doc_stride: tokens between the starts of two windows; None for half of the room that a window has for the text.
        Where the other text of a pair leaves less room than this, windows touch.
      max_windows: windows that are read of a document, from its start; None for all.
      pooling: how the scores of its windows become those of a document, one of
        `modeling.heads.pooling_names.WINDOW_POOLINGS`.
      refuses: whether a document with more than `max_windows` is an error.
    """

    doc_stride: int | None = None
    max_windows: int | None = None
    pooling: str = "mean"
    refuses: bool = False

    def check(self, max_seq_length: int, layout: PairLayout[Any]) -> None:
        """Checks the lengths against each other.

        Raises:
          FlagError: windows would not advance, would not cover a text, or have no room for a pair.
        """
        least = layout.specials_of_pair + 2
        if max_seq_length < least:
            raise FlagError(
                f"--max_seq_length={max_seq_length} leaves no room for two texts in a window; expected at least {least}"
            )
        room = max_seq_length - layout.specials_alone
        if self.doc_stride is not None and self.doc_stride < 1:
            raise FlagError(f"--doc_stride={self.doc_stride}: windows would never advance; expected 1 to {room}")
        if self.doc_stride is not None and self.doc_stride > room:
            raise FlagError(
                f"--doc_stride={self.doc_stride} is larger than the {room} tokens of text in a window of "
                f"--max_seq_length={max_seq_length}; expected 1 to {room}, so that windows overlap or touch"
            )

    def plan(self, length_a: int, length_b: int, budget: int) -> WindowPlan:
        """The windows of a text or pair of so many tokens.

        Args:
          length_a: tokens of the first text.
          length_b: tokens of the second; 0 where there is none.
          budget: tokens of text that a window has room for, at least 1, for a pair at least 2.

        Example:
          >>> DocumentWindows(doc_stride=4).plan(20, 2, 10)
          WindowPlan(is_second=False, kept=2, room=8, stride=4, num_windows=4, needed=4, lost=0)
        """
        length, other = max(length_a, length_b), min(length_a, length_b)
        kept = min(other, budget // 2)
        room = budget - kept
        stride = max(room // 2, 1) if self.doc_stride is None else min(self.doc_stride, room)
        needed = 1 + max(length - room + stride - 1, 0) // stride
        count = needed if self.max_windows is None else min(needed, self.max_windows)
        unread = 0 if count == needed else length - ((count - 1) * stride + room)
        return WindowPlan(length_b > length_a, kept, room, stride, count, needed, unread + other - kept)

    def settings(self) -> dict[str, Any]:
        """What decides the windows, as plain JSON."""
        return {"doc_stride": self.doc_stride, "max_windows": self.max_windows}


def stated_truncation(settings: Mapping[str, Any]) -> str | DocumentWindows:
    """What an export says that becomes of texts that are too long."""
    if settings["truncation"] != WINDOWS:
        return str(settings["truncation"])
    return DocumentWindows(settings["doc_stride"], settings["max_windows"])
