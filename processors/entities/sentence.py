"""A sentence of words, and text with entities as character offsets made into one."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from common.errors import DataError, one_line
from processors.entities.tags import Span, tags_of_spans
from tokenization.characters import is_chinese_char, is_control, is_punctuation, is_whitespace

PART, BLANK, ALONE = range(3)

OnProblem = Callable[[DataError], None]
"""What becomes of a row that cannot be used: raises the error, or notes it and lets reading go on."""


def stop(error: DataError) -> None:
    """Stops at the first problem.

    Raises:
      DataError: the error.
    """
    raise error


class Sentence(NamedTuple):
    """The words of one sentence and what the file says about them.

    `line` is where the sentence starts in its file (the first line is 1), `file` that file, "" for none. `tags` has a
    tag for each word, or is None where the file has none. `columns` holds the input cells of each word of a column
    file. `text` and `offsets` are the text of the sentence, and where in it each word starts and ends. `left_out`
    counts lines between its words that stand for no word.
    """

    line: int
    words: list[str]
    tags: list[str] | None = None
    columns: list[list[str]] | None = None
    text: str | None = None
    offsets: list[tuple[int, int]] | None = None
    file: str = ""
    left_out: int = 0


def split_words(text: str, by_character: bool = False) -> Iterator[tuple[int, int]]:
    """Finds the words of a text as the tokenizer does: whitespace parts them, punctuation and Chinese stand alone.

    Args:
      text: any text.
      by_character: every character that is no whitespace is a word, as Chinese data sets are tagged.

    Yields:
      Where each word starts and ends, in characters of `text`.
    """
    start = None
    for position, char in enumerate(text):
        kind = kind_of(char, by_character)
        if kind != PART and start is not None:
            yield start, position
            start = None
        if kind == ALONE:
            yield position, position + 1
        elif kind == PART and start is None:
            start = position
    if start is not None:
        yield start, len(text)


def kind_of(char: str, by_character: bool) -> int:
    """What a character does to words: `BLANK` parts them, `ALONE` is one by itself, `PART` belongs to one."""
    if is_whitespace(char) or (char.isspace() and is_control(char)):
        return BLANK
    return ALONE if by_character or is_punctuation(char) or is_chinese_char(ord(char)) else PART


def text_of(sentence: Sentence, between: str = " ") -> tuple[str, list[tuple[int, int]]]:
    """The text of a sentence, and where in it each word starts and ends; words alone are joined by `between`."""
    if sentence.text is not None and sentence.offsets is not None:
        return sentence.text, sentence.offsets
    lengths = [len(word) for word in sentence.words]
    starts = itertools.accumulate((length + len(between) for length in lengths[:-1]), initial=0)
    offsets = [(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    return between.join(sentence.words), offsets


def sentence_of_text(
    line: int, text: str, entities: Iterable[Span] | None = None, by_character: bool = False
) -> Sentence:
    """Splits a text into words and its entities into their tags.

    Args:
      line: where the text stands in its file.
      text: the text; offsets count its characters.
      entities: character offsets and type of each entity; None where they are not known.
      by_character: as for `split_words`.

    Raises:
      DataError: no word in the text; an entity that is empty, out of range, cuts a word or overlaps another.
    """
    offsets = list(split_words(text, by_character))
    if not offsets:
        raise DataError("the text has no word, expected at least one; remove the row")
    tags = None
    if entities is not None:
        tags = tags_of_spans((_words_of(text, offsets, entity) for entity in entities), len(offsets))
    return Sentence(line, [text[start:end] for start, end in offsets], tags, None, text, offsets)


def _words_of(text: str, offsets: list[tuple[int, int]], entity: Span) -> Span:
    """The words that an entity covers, whitespace at its edges put aside."""
    start, end, kind = entity
    shown = one_line([start, end, kind], 80)
    if not 0 <= start < end <= len(text):
        raise DataError(
            f"entity {shown} does not fit the text of {len(text)} characters, expected 0 <= start < "
            "end <= length, the end not included"
        )
    covered = [index for index, (first, last) in enumerate(offsets) if first < end and last > start]
    if not covered:
        raise DataError(f"entity {shown} covers whitespace alone, expected words")
    first, last = offsets[covered[0]][0], offsets[covered[-1]][1]
    if first < start or last > end:
        cut = covered[0] if first < start else covered[-1]
        raise DataError(
            f"entity {shown} cuts the word {text[slice(*offsets[cut])]!r:.60} apart, expected whole "
            "words; correct the offsets, or split by character"
        )
    return Span(covered[0], covered[-1] + 1, kind)
