"""Long sentences as overlapping windows of word pieces, such that every word is in one and has one answer."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from common.errors import DataError
from tokenization.base import Tokenizer

Piece = TypeVar("Piece", int, str)
Value = TypeVar("Value")


class Window(NamedTuple):
    """Words `start` to `end` of a sentence, the latter not included."""

    start: int
    end: int


class Windows(NamedTuple):
    """The windows of a sentence, and for each word the index of the window that answers for it."""

    windows: list[Window]
    owners: list[int]


def pieces_of_words(words: Iterable[str], tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Ids of the tokens of each word; one of which nothing is left (control characters, say) is the unknown token, so
    that none vanishes.
    """
    once = list(dict.fromkeys(words))
    unknown = [tokenizer.special_ids.unk]
    return {word: ids or unknown for word, ids in zip(once, tokenizer.encode_words(once), strict=True)}


def cut_windows(lengths: Sequence[int], capacity: int, overlap: int) -> Windows:
    """Cuts a sentence into windows between words.

    A word is answered by the window in which the smaller of its left and right context is largest; among equals by the
    window of more pieces, then by the first. Windows share at most `overlap` pieces, fewer where the next word would
    not fit otherwise.

    Args:
      lengths: number of pieces of each word, at least 1.
      capacity: pieces a window holds; a longer word is a window of its own, and its first pieces stand for it.
      overlap: pieces that neighbouring windows share, less than `capacity`.

    Returns:
      The windows in order, each of which ends with a word that no window before it has.

    Raises:
      DataError: no room for a piece, or an overlap outside of `[0, capacity)`.
    """
    if capacity < 1 or not 0 <= overlap < capacity:
        raise DataError(
            f"windows hold {capacity} pieces and share {overlap}, expected room for one piece at least and to share "
            "fewer than that; raise --max_seq_length or lower the overlap"
        )
    lengths = [min(length, capacity) for length in lengths]
    windows, start = [], 0
    while start < len(lengths):
        end = _last_fitting(lengths, start, capacity)
        windows.append(Window(start, end))
        start = len(lengths) if end == len(lengths) else _next_start(lengths, windows[-1], capacity, overlap)
    return Windows(windows, _owners(lengths, windows))


def _last_fitting(lengths: Sequence[int], start: int, capacity: int) -> int:
    end, room = start, capacity
    while end < len(lengths) and lengths[end] <= room:
        room -= lengths[end]
        end += 1
    return end


def _next_start(lengths: Sequence[int], window: Window, capacity: int, overlap: int) -> int:
    """Goes back from the end of a window as far as the overlap and the first new word allow."""
    room = min(overlap, capacity - lengths[window.end])
    start = window.end
    while start - 1 > window.start and lengths[start - 1] <= room:
        start -= 1
        room -= lengths[start]
    return start


def _owners(lengths: Sequence[int], windows: Sequence[Window]) -> list[int]:
    best = [(-1, -1)] * len(lengths)
    owners = [0] * len(lengths)
    for index, (start, end) in enumerate(windows):
        total, left = sum(lengths[start:end]), 0
        for word in range(start, end):
            context = (min(left, total - left - lengths[word]), total)
            if context > best[word]:
                best[word], owners[word] = context, index
            left += lengths[word]
    return owners


def window_pieces(pieces: Sequence[list[Piece]], window: Window, capacity: int) -> tuple[list[Piece], list[int]]:
    """The pieces of a window, and where the first piece of each of its words is among them."""
    tokens: list[Piece] = []
    starts: list[int] = []
    for word in pieces[window.start : window.end]:
        starts.append(len(tokens))
        tokens += word[:capacity]
    return tokens, starts


def join_windows(cut: Windows, values: Sequence[Sequence[Value]]) -> list[Value]:
    """Takes the value of each word of a sentence from the window that answers for it.

    Args:
      cut: what `cut_windows` gave.
      values: for each window a value for each of its words.

    Raises:
      ValueError: a window has another number of values than words.
    """
    for window, found in zip(cut.windows, values, strict=True):
        if len(found) != window.end - window.start:
            raise ValueError(f"found {len(found)} values for words {window.start} to {window.end}, expected one each")
    return [values[owner][word - cut.windows[owner].start] for word, owner in enumerate(cut.owners)]
