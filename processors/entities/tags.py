"""Tag schemes: which tag may follow which, which scheme a data set is written in, tags to spans and back.

Tags are kept as IOB2 inside; the other schemes are what files are written in. A tag is `O`, or a prefix and a type that
a hyphen joins (`B-person`), or a prefix alone where a data set has one kind of span (`B`, as in word segmentation).
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from common.errors import DataError

IOB1, IOB2, BIOES, BILOU, BMES, NONE = "iob1", "iob2", "bioes", "bilou", "bmes", "none"
SCHEMES = (IOB1, IOB2, BIOES, BILOU, BMES, NONE)
"""`none` is for tags that are no spans, such as parts of speech."""

OUTSIDE = "O"
_LETTERS = {IOB1: "OBI", IOB2: "OBI", BIOES: "OBIESLU", BILOU: "OBILUES", BMES: "OBMES"}
"""Letters that are read; BIOES and BILOU say the same in other letters."""
_SAME_PREFIX = {"L": "E", "U": "S", "M": "I"}
"""BILOU's and BMES's letters, as the ones of BIOES that mean the same."""


class Span(NamedTuple):
    """An entity: words `start` to `end`, the latter not included, and its type."""

    start: int
    end: int
    type: str


def split_tag(tag: str) -> tuple[str, str]:
    """The prefix of a tag, as one of `O B I E S`, and its type.

    Raises:
      DataError: the tag is none of a span scheme.

    Example:
      >>> split_tag("M-creative-work")
      ('I', 'creative-work')
    """
    letter, hyphen, kind = tag.partition("-")
    prefix = _SAME_PREFIX.get(letter, letter)
    if prefix == OUTSIDE and not hyphen:
        return prefix, ""
    if prefix not in ("B", "I", "E", "S") or (hyphen and not kind):
        raise DataError(
            f"found tag {tag!r:.60}, expected O, or B, I, E, S, M, L or U with -TYPE; --tag_scheme=none if tags are "
            "no spans"
        )
    return prefix, kind


def may_follow(scheme: str, before: str | None, after: str | None) -> bool:
    """Tells whether a scheme lets two tags stand side by side; None is the edge of the sentence.

    Args:
      scheme: one of `SCHEMES`; for `bioes`, `bilou` and `bmes` alike an entity is closed by E (L) or is one S (U).
      before: the tag of a word, or None in front of the first.
      after: the tag of the next word, or None behind the last.
    """
    if scheme == NONE:
        return True
    left, left_type = split_tag(before or OUTSIDE)
    right, right_type = split_tag(after or OUTSIDE)
    same_type = left_type == right_type
    if scheme == IOB1:
        return right != "B" or (left in ("B", "I") and same_type)
    if scheme == IOB2:
        return right != "I" or (left in ("B", "I") and same_type)
    if left in ("B", "I"):
        return right in ("I", "E") and same_type
    return right in (OUTSIDE, "B", "S")


def allowed_transitions(tags: Sequence[str], scheme: str) -> list[list[bool]]:
    """Which tag may follow which, for decoding.

    Returns:
      A table `[L + 1, L + 1]`, from row to column; the last row is the start of a sentence, the last column its end.
    """
    edges: list[str | None] = [*tags, None]
    return [[may_follow(scheme, before, after) for after in edges] for before in edges]


def ill_formed(tags: Sequence[str], scheme: str) -> int:
    """How many neighbours in a sentence break the scheme, its edges included.

    Raises:
      DataError: a tag whose letter the scheme does not have.
    """
    letters = _LETTERS.get(scheme, "")
    for tag in tags if letters else ():
        split_tag(tag)
        if tag[0] not in letters:
            raise DataError(
                f"found tag {tag!r:.60}, expected a letter of {scheme}: {', '.join(letters)}; write "
                "all files in one scheme, that of --tag_scheme or, without it, of the training file"
            )
    return _breaks(tags, scheme)


def _breaks(tags: Sequence[str], scheme: str) -> int:
    edges: list[str | None] = [None, *tags, None]
    return sum(not may_follow(scheme, before, after) for before, after in itertools.pairwise(edges))


def spans_of_tags(tags: Iterable[str]) -> Iterator[Span]:
    """Reads the entities of a sentence in any scheme, ill-formed tags included.

    What continues nothing opens an entity, as in conlleval: an I or E at the start, after O, after a closed entity, or
    after another type. Nothing that is tagged is dropped.
    """
    start, kind, is_open, position = 0, "", False, -1
    for position, tag in enumerate(tags):
        prefix, found = split_tag(tag)
        continues = is_open and prefix in ("I", "E") and found == kind
        if is_open and not continues:
            yield Span(start, position, kind)
        if not continues:
            start, kind = position, found
        is_open = prefix != OUTSIDE
        if prefix in ("E", "S"):
            yield Span(start, position + 1, kind)
            is_open = False
    if is_open:
        yield Span(start, position + 1, kind)


def tags_of_spans(spans: Iterable[Span], length: int, scheme: str = IOB2) -> list[str]:
    """Writes entities as tags.

    Args:
      spans: entities, in any order.
      length: number of words in the sentence.
      scheme: one of `SCHEMES`, but for `none`.

    Returns:
      A tag for each word.

    Raises:
      DataError: two entities overlap, or one is empty or goes beyond the sentence.
    """
    tags = [OUTSIDE] * length
    end_before, type_before = -1, ""
    for span in sorted(spans):
        if not 0 <= span.start < span.end <= length:
            raise DataError(f"entity {span.type!r:.60} covers words {span.start} to {span.end} of {length}")
        if span.start < end_before:
            raise DataError(
                f"entities {type_before!r:.60} and {span.type!r:.60} overlap at word {span.start}, expected one at "
                "most for each word; keep one of them"
            )
        touches = span.start == end_before and span.type == type_before
        hyphenated = f"-{span.type}" if span.type else ""
        letters = _letters(span.end - span.start, scheme, touches)
        tags[span.start : span.end] = [letter + hyphenated for letter in letters]
        end_before, type_before = span.end, span.type
    return tags


def _letters(length: int, scheme: str, touches_same_type: bool) -> str:
    if scheme == IOB1:
        return ("B" if touches_same_type else "I") + "I" * (length - 1)
    if scheme == IOB2:
        return "B" + "I" * (length - 1)
    middle, last, single = {BMES: ("M", "E", "S"), BILOU: ("I", "L", "U")}.get(scheme, ("I", "E", "S"))
    return single if length == 1 else "B" + middle * (length - 2) + last


def scheme_of_labels(labels: Sequence[str]) -> str:
    """The scheme of a model's labels: IOB2 where all of them are its tags, `none` where one is no tag of any scheme.

    Raises:
      DataError: they are of a scheme whose tags are kept as IOB2 here.

    Example:
      >>> scheme_of_labels(["O", "B-city", "I-city"]), scheme_of_labels(["NOUN", "VERB"])
      ('iob2', 'none')
    """
    try:
        prefixes = {split_tag(label)[0] for label in labels}
    except DataError:
        return NONE
    letters = {label[0] for label in labels if label != OUTSIDE}
    if OUTSIDE not in prefixes:
        return NONE
    if not letters <= set("BI"):
        raise DataError(
            f"its labels begin with {', '.join(sorted(letters))}, expected the B and I of IOB2; train it further "
            "(--do_train) on data in any scheme"
        )
    return IOB2


class SchemeDetector:
    """Finds the scheme of a data set from its tags, one sentence at a time, in constant memory."""

    def __init__(self) -> None:
        self._letters: set[str] = set()
        self._broken = {IOB1: 0, IOB2: 0}

    def observe(self, tags: Sequence[str]) -> None:
        """Takes the tags of one sentence into account.

        Raises:
          DataError: a tag that is none of a span scheme.
        """
        for tag in tags:
            split_tag(tag)
        self._letters.update(tag[0] for tag in tags)
        for scheme in self._broken:
            self._broken[scheme] += _breaks(tags, scheme)

    @property
    def is_ambiguous(self) -> bool:
        """Whether spans are closed as in BIOES and BMES alike, and none is long enough to have an I or an M."""
        return bool(self._letters & set("ES")) and not self._letters & set("IMLU")

    def scheme(self) -> str:
        """The scheme: by its letters, and between IOB1 and IOB2 the one that fewer tags break, IOB2 where none tells.

        Raises:
          DataError: letters of several schemes stand in the same data.
        """
        letters = self._letters
        if (letters & set("ESM") and letters & set("LU")) or {"M", "I"} <= letters:
            raise DataError(
                f"tags begin with {', '.join(sorted(letters))}, which are letters of several schemes; expected IOB1, "
                "IOB2, BIOES, BILOU or BMES throughout"
            )
        if letters & set("LU"):
            return BILOU
        if "M" in letters or (self.is_ambiguous and OUTSIDE not in letters):
            return BMES  # where every word is part of a span, words are segmented
        if letters & set("ES"):
            return BIOES
        return IOB1 if self._broken[IOB1] < self._broken[IOB2] else IOB2
