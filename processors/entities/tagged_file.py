"""A file of tagged sentences in any form and scheme, read as IOB2."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from processors.entities.columns import Columns, read_columns
from processors.entities.json_forms import TAG_KEYS, read_json_sentences
from processors.entities.sentence import OnProblem, Sentence, stop
from processors.entities.tags import (
    BIOES,
    BMES,
    NONE,
    SCHEMES,
    SchemeDetector,
    ill_formed,
    spans_of_tags,
    tags_of_spans,
)
from processors.reading import JSON_LINES, data_suffix, read_json_lines

log = logging.getLogger(__name__)

SUFFIXES = (".conll", ".txt", ".tsv", ".bio", ".bioes", ".bmes", ".iob", *JSON_LINES)
"""Names of files that are looked for as sentences."""


class FileForm(NamedTuple):
    """How to read a file of sentences: its columns if it has any, how text is split, its encoding."""

    columns: Columns = Columns()
    by_character: bool = False
    encoding: str | None = None


DEFAULT_FORM = FileForm()


class TagCounts(NamedTuple):
    """What a pass over a file found: its scheme, and how many sentences, words and ill-formed tags it has."""

    scheme: str
    sentences: int
    words: int
    ill_formed: int
    tags: tuple[str, ...]


def read_sentences(path: Path, form: FileForm = DEFAULT_FORM, on_problem: OnProblem = stop) -> Iterator[Sentence]:
    """Sentences as the file has them, one at a time: JSON lines by the name of the file, else columns.

    Raises:
      DataError: as for `read_columns` and `read_json_sentences`.
    """
    if data_suffix(path) in JSON_LINES:
        return read_json_sentences(path, form.columns.tag is not None, form.by_character, form.encoding, on_problem)
    return read_columns(path, form.columns, form.encoding, on_problem)


def inspect_tags(
    path: Path, form: FileForm = DEFAULT_FORM, scheme: str | None = None, on_problem: OnProblem = stop
) -> TagCounts:
    """Finds the scheme, the tags and the ill-formed places of a file, in two passes of constant memory.

    Args:
      path: file with tags.
      form: how to read it.
      scheme: one of `SCHEMES`, or None to detect it.
      on_problem: as for `read_columns`.

    Returns:
      The counts; `tags` are those that `read_tagged` gives, `O` first, then sorted.

    Raises:
      DataError: an unknown scheme, a tag outside of it, letters of several schemes.
    """
    if scheme is not None and scheme not in SCHEMES:
        raise DataError(f"--tag_scheme={scheme} is not known, expected one of {', '.join(SCHEMES)}")
    scheme = scheme or _detected(path, form, on_problem)
    sentences = words = broken = 0
    tags: set[str] = set()
    for sentence in read_sentences(path, form, on_problem):
        try:
            internal, found = as_internal(path, sentence, scheme)
        except DataError as error:
            on_problem(error)
            continue
        broken += found
        sentences, words = sentences + 1, words + len(sentence.words)
        tags.update(internal.tags or [])
    return TagCounts(scheme, sentences, words, broken, tuple(sorted(tags, key=lambda tag: (tag != "O", tag))))


def _detected(path: Path, form: FileForm, on_problem: OnProblem) -> str:
    detector = SchemeDetector()
    for sentence in read_sentences(path, form, on_problem):
        try:
            detector.observe(_tags(path, sentence))
        except DataError as error:
            on_problem(DataError(f"{path}:{sentence.line}: in the sentence that starts here {error}"))
    try:
        scheme = detector.scheme()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if detector.is_ambiguous:
        log.warning(
            "%s: no entity has three words or more, so that its tags are the same in %s and %s; taken for %s; give "
            "--tag_scheme where it is the other", path, BIOES, BMES, scheme,
        )  # fmt: skip
    return scheme


def _located(path: Path, sentence: Sentence, scheme: str) -> int:
    try:
        return ill_formed(_tags(path, sentence), scheme)
    except DataError as error:
        raise DataError(f"{path}:{sentence.line}: in the sentence that starts here {error}") from None


def _tags(path: Path, sentence: Sentence) -> list[str]:
    if sentence.tags is None:
        raise DataError(f"{path}:{sentence.line}: the sentence has no tags, expected one for each word")
    return sentence.tags


def to_internal(tags: list[str], scheme: str) -> list[str]:
    """The tags of a sentence in IOB2; as they are where the scheme is `none`."""
    return tags if scheme == NONE else tags_of_spans(spans_of_tags(tags), len(tags))


def as_internal(path: Path, sentence: Sentence, scheme: str) -> tuple[Sentence, int]:
    """A sentence with IOB2 tags, and how many of its own break the scheme.

    Raises:
      DataError: the sentence has no tags, or one outside the scheme.
    """
    broken = _located(path, sentence, scheme)
    return sentence._replace(tags=to_internal(_tags(path, sentence), scheme)), broken


def read_tagged(path: Path, scheme: str, form: FileForm = DEFAULT_FORM) -> Iterator[Sentence]:
    """Sentences with IOB2 tags; what is ill-formed keeps its words in an entity, as conlleval reads it.

    Raises:
      DataError: as for `read_sentences` and `as_internal`.
    """
    for sentence in read_sentences(path, form):
        yield as_internal(path, sentence, scheme)[0]


def has_tags(path: Path, form: FileForm = DEFAULT_FORM) -> bool:
    """Whether the first sentence of a file has tags: a second column, or their key in JSON.

    Raises:
      DataError: as for `read_sentences`.
    """
    if form.columns.tag is None:
        return False
    if data_suffix(path) in JSON_LINES:
        rows = (row for _, row, _ in read_json_lines(path, form.encoding) if row is not None)
        return any(key in row for row in itertools.islice(rows, 1) for key in TAG_KEYS)
    untagged = form._replace(columns=form.columns._replace(tag=None))
    first = next(read_sentences(path, untagged), None)
    return first is not None and first.columns is not None and len(first.columns[0]) > 1
