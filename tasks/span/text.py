"""From a span of tokens back to the characters of the context."""

import functools
import logging
import re
from typing import NamedTuple, Protocol

from processors.squad.windows import Document, Window
from tokenization import BasicTokenizer, BulkTokenizer
from tokenization.base import Encoding, Tokenizer

log = logging.getLogger(__name__)

ANSWER_TEXTS = ("upstream", "offsets")
"""Ways to take an answer's text: upstream's alignment, or the exact characters of the tokens."""

_ASCII_TOKEN = re.compile("[A-Za-z0-9]+|[^A-Za-z0-9 ]")
_MEMO_WORDS = 500_000


class LocatedText(NamedTuple):
    """An answer's text and where it stands in the context, end exclusive.

    Whitespace of the context is a single blank in upstream's text, so the two can differ in that.
    """

    text: str
    start: int
    end: int


class TextOfSpans(Protocol):
    """Gives the text of positions `start` to `end` (inclusive) of a window."""

    def __call__(self, window: Window, start: int, end: int) -> LocatedText:
        """The text and its place in the context."""

    def text(self, window: Window, start: int, end: int) -> str:
        """The text alone."""


class SpanText:
    """Gives the text of a span of tokens.

    Args:
      tokenizer: the one that made the windows.
      answer_text: `"upstream"` aligns the tokens with the words that hold them, as `get_final_text` does, and falls
        back to those words; `"offsets"` takes the tokens' own characters.
    """

    def __init__(self, tokenizer: Tokenizer, answer_text: str = "upstream") -> None:
        self._tokenizer = tokenizer
        self._aligner = _aligner(tokenizer.do_lower_case, tokenizer.strip_accents, tokenizer.tokenize_chinese_chars)
        self._unknown = tokenizer.special_ids.unk
        self._letters = [len(tokenizer.letters(token)) for token in tokenizer.tokens]
        self._offsets: dict[str, Encoding] = {}
        # Upstream's alignment is one of tokens.
        self._by_offsets = answer_text == "offsets" or tokenizer.kind != BulkTokenizer.kind

    def __call__(self, window: Window, start: int, end: int) -> LocatedText:
        """The text of positions `start` to `end` (inclusive) of a window, and its place; both are of the context."""
        passage = window.document.passage
        begin, stop = self._span(window, start, end)
        if self._by_offsets:
            return LocatedText(passage.text[begin:stop], begin, stop)
        last = passage.original_offset(stop - 1)
        return LocatedText(passage.joined[begin:stop], passage.original_offset(begin), last + 1)

    def text(self, window: Window, start: int, end: int) -> str:
        """The text alone, which is quicker."""
        begin, stop = self._span(window, start, end)
        passage = window.document.passage
        return passage.text[begin:stop] if self._by_offsets else passage.joined[begin:stop]

    def _span(self, window: Window, start: int, end: int) -> tuple[int, int]:
        """Characters of the passage's `joined` (by offsets: of its `text`), end exclusive."""
        document, shift = window.document, window.start - window.offset
        first, last = start + shift, end + shift
        if self._by_offsets:
            return self._piece_span(document, first)[0], self._piece_span(document, last)[1]
        first_word, last_word = document.piece_words[first], document.piece_words[last]
        first_piece, after_pieces = document.word_pieces[first_word], document.word_pieces[last_word + 1]
        passage = document.passage
        # As `joined_span` has it, without the cost of a call for each candidate.
        begin = passage.joined_starts[first_word]
        stop = passage.joined_starts[last_word] + len(passage.words[last_word])
        # Whole words need no alignment: both its success and its failure give them back.
        if first == first_piece and last + 1 == after_pieces:
            return begin, stop
        words, pieces = passage.joined[begin:stop], document.ids[first_piece:after_pieces]
        around = self._letters_around(words, pieces, first - first_piece, last + 1 - first_piece)
        if around:
            return begin + around[0], stop - around[1]
        inner, after = self._aligner.span(self._text_of(document.ids[first : last + 1]), words)
        return begin + inner, begin + after

    def _letters_around(self, words: str, pieces: list[int], first: int, after: int) -> tuple[int, int] | None:
        """How many characters of words stand before their token `first`, and from their token `after` on.

        Printable ASCII is only lower-cased and cut, so that the lengths of tokens are those of their characters. None
        where that is not so, or where the tokens could stand for an earlier place too, which is what upstream takes.
        """
        if not (words.isascii() and words.isprintable()) or self._unknown in pieces:
            return None
        letters = self._letters
        tail = sum([letters[piece] for piece in pieces[after:]])
        if not first:
            return 0, tail
        head = sum([letters[piece] for piece in pieces[:first]])
        unbroken = words.lower().replace(" ", "")
        return (head, tail) if unbroken.find(unbroken[head : len(unbroken) - tail]) == head else None

    def _piece_span(self, document: Document, piece: int) -> tuple[int, int]:
        """Characters of the context that a token stands for."""
        index = document.piece_words[piece]
        word = document.passage.words[index]
        if word not in self._offsets:
            if len(self._offsets) > _MEMO_WORDS:
                self._offsets.clear()
            self._offsets[word] = self._tokenizer.word_with_offsets(word)
        encoding = self._offsets[word]
        place = piece - document.word_pieces[index]
        origin = document.passage.starts[index]
        return origin + encoding.starts[place], origin + encoding.ends[place]

    def _text_of(self, ids: list[int]) -> str:
        return self._tokenizer.text(self._tokenizer.convert_ids_to_tokens(ids))


class TextAligner:
    """Finds normalised text (lower case, no accents, blanks around punctuation) in the original text.

    Both are compared without blanks; if they have equally many other characters, these correspond one by one.

    Args:
      do_lower_case: as the tokens were made.
      strip_accents: as they were made; default None, which is as `do_lower_case`.
      tokenize_chinese_chars: as they were made; default True.

    Source: `get_final_text` of google-research/bert.
    """

    def __init__(
        self, do_lower_case: bool, strip_accents: bool | None = None, tokenize_chinese_chars: bool = True
    ) -> None:
        self._basic = BasicTokenizer(do_lower_case, strip_accents, tokenize_chinese_chars)
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
            self._normal[word] = " ".join(self._tokens(word))
        return self._normal[word]

    def _tokens(self, word: str) -> list[str]:
        if not word.isascii() or not word.isprintable():
            return self._basic.tokenize(word)
        # Printable ASCII has no accents and nothing to drop: this is the same, and much faster.
        return _ASCII_TOKEN.findall(word.lower() if self._basic.do_lower_case else word)


def get_final_text(pred_text: str, orig_text: str, do_lower_case: bool) -> str:
    """The part of `orig_text` that `pred_text`, made of its tokens, stands for; see `TextAligner`."""
    start, end = _aligner(do_lower_case).span(pred_text, orig_text)
    return orig_text[start:end]


@functools.cache
def _aligner(
    do_lower_case: bool, strip_accents: bool | None = None, tokenize_chinese_chars: bool = True
) -> TextAligner:
    return TextAligner(do_lower_case, strip_accents, tokenize_chinese_chars)


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
