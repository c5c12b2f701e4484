"""From a span of pieces back to the characters of the context."""

import functools
import logging
from typing import Any, NamedTuple

from processors.squad_windows import Window
from tokenization import BasicTokenizer

log = logging.getLogger(__name__)

ANSWER_TEXTS = ("upstream", "offsets")
"""Ways to take an answer's text: upstream's alignment, or the exact characters of the pieces."""

_MEMO_WORDS = 500_000


class LocatedText(NamedTuple):
    """An answer's text and where it stands in the context, end exclusive.

    White space of the context is a single blank in upstream's text, so the two can differ in that.
    """

    text: str
    start: int
    end: int


class SpanText:
    """Gives the text of a span of pieces.

    Args:
      tokenizer: a `tokenization.BulkTokenizer`, the one that made the windows.
      answer_text: `"upstream"` aligns the pieces with the words that hold them, as `get_final_text` does, and falls
        back to those words; `"offsets"` takes the pieces' own characters.
    """

    def __init__(self, tokenizer: Any, answer_text: str = "upstream") -> None:
        self._tokenizer = tokenizer
        self._aligner = _aligner(tokenizer.do_lower_case)
        self._offsets: dict[str, Any] = {}
        self._locate = self._by_offsets if answer_text == "offsets" else self._by_alignment

    def __call__(self, window: Window, start: int, end: int) -> LocatedText:
        """The text of positions `start` to `end` (inclusive) of a window; both are of the context."""
        shift = window.start - window.offset
        return self._locate(window, start + shift, end + shift)

    def _by_alignment(self, window: Window, first: int, last: int) -> LocatedText:
        document = window.document
        passage = document.passage
        first_word, last_word = document.piece_words[first], document.piece_words[last]
        begin, stop = passage.joined_span(first_word, last_word)
        words = passage.joined[begin:stop]
        # Whole words need no alignment: both its success and its failure give them back.
        if first != document.word_pieces[first_word] or last + 1 != document.word_pieces[last_word + 1]:
            inner = self._aligner.span(self._pieces_text(document.ids[first : last + 1]), words)
            begin, stop = begin + inner[0], begin + inner[1]
            words = passage.joined[begin:stop]
        return LocatedText(words, passage.original_offset(begin), passage.original_offset(stop - 1) + 1)

    def _by_offsets(self, window: Window, first: int, last: int) -> LocatedText:
        start, end = self._piece_span(window, first)[0], self._piece_span(window, last)[1]
        return LocatedText(window.document.passage.text[start:end], start, end)

    def _piece_span(self, window: Window, piece: int) -> tuple[int, int]:
        """Characters of the context that a piece stands for."""
        document = window.document
        index = document.piece_words[piece]
        word = document.passage.words[index]
        if word not in self._offsets:
            if len(self._offsets) > _MEMO_WORDS:
                self._offsets.clear()
            self._offsets[word] = self._tokenizer.encode_with_offsets(word)
        encoding = self._offsets[word]
        place = piece - document.word_pieces[index]
        origin = document.passage.starts[index]
        return origin + encoding.starts[place], origin + encoding.ends[place]

    def _pieces_text(self, ids: list[int]) -> str:
        """Pieces put together again: `["play", "##er", "s"]` to `"player s"`."""
        joined = " ".join(self._tokenizer.convert_ids_to_tokens(ids))
        return " ".join(joined.replace(" ##", "").replace("##", "").split())


class TextAligner:
    """Finds normalised text (lower case, no accents, blanks around punctuation) in the original text.

    Both are compared without blanks; if they have equally many other characters, these correspond one by one.

    Args:
      do_lower_case: as the pieces were made.

    Source: `get_final_text` of google-research/bert.
    """

    def __init__(self, do_lower_case: bool) -> None:
        self._basic = BasicTokenizer(do_lower_case)
        self._normal: dict[str, str] = {}

    def span(self, pred_text: str, orig_text: str) -> tuple[int, int]:
        """Where `pred_text` stands in `orig_text`, end exclusive; all of `orig_text` where that is not certain.

        Example:
          >>> TextAligner(True).span("steve smith", "Steve Smith's")
          (0, 11)
        """
        everything = (0, len(orig_text))
        normal = " ".join(filter(None, map(self._normalized, orig_text.split(" "))))
        start = normal.find(pred_text)
        as_long = len(orig_text) - orig_text.count(" ") == len(normal) - normal.count(" ")
        if start < 0 or not pred_text or not as_long:
            log.debug("answer %r cannot be aligned with %r, which is given as a whole", pred_text, orig_text)
            return everything
        last = start + len(pred_text) - 1
        first_char = _position_of_character(orig_text, start - normal.count(" ", 0, start))
        last_char = _position_of_character(orig_text, last - normal.count(" ", 0, last))
        return first_char, last_char + 1

    def _normalized(self, word: str) -> str:
        """A word as the tokenizer sees it; words do not influence each other, so each is worked out once."""
        if word not in self._normal:
            if len(self._normal) > _MEMO_WORDS:
                self._normal.clear()
            self._normal[word] = " ".join(self._basic.tokenize(word))
        return self._normal[word]


def get_final_text(pred_text: str, orig_text: str, do_lower_case: bool) -> str:
    """The part of `orig_text` that `pred_text`, made of its pieces, stands for; see `TextAligner`."""
    start, end = _aligner(do_lower_case).span(pred_text, orig_text)
    return orig_text[start:end]


@functools.cache
def _aligner(do_lower_case: bool) -> TextAligner:
    return TextAligner(do_lower_case)


def _position_of_character(text: str, number: int) -> int:
    """Index of the character with a number (from 0), blanks not counted.

    Example:
      >>> _position_of_character("a b", 1)
      2
    """
    position = number
    while (shifted := number + text.count(" ", 0, position + 1)) != position:
        position = shifted
    return position
