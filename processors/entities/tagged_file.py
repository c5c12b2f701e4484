"""A file of tagged sentences in any form and scheme, read as IOB2."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from processors.entities.columns import Columns, read_columns
from processors.entities.json_forms import read_json_sentences
from processors.entities.sentence import Sentence
from processors.entities.tags import NONE, SCHEMES, SchemeDetector, ill_formed, spans_of_tags, tags_of_spans
from processors.reading import JSON_LINES, data_suffix


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


def read_sentences(path: Path, form: FileForm = DEFAULT_FORM) -> Iterator[Sentence]:
    """Sentences as the file has them, one at a time: JSON lines by the name of the file, else columns.

    Raises:
      DataError: as for `read_columns` and `read_json_sentences`.
    """
    if data_suffix(path) in JSON_LINES:
        return read_json_sentences(path, form.columns.tag is not None, form.by_character, form.encoding)
    return read_columns(path, form.columns, form.encoding)


def inspect_tags(path: Path, form: FileForm = DEFAULT_FORM, scheme: str | None = None) -> TagCounts:
    """Finds the scheme, the tags and the ill-formed places of a file, in two passes of constant memory.

    Args:
      path: file with tags.
      form: how to read it.
      scheme: one of `SCHEMES`, or None to detect it.

    Returns:
      The counts; `tags` are those that `read_tagged` gives, `O` first, then sorted.

    Raises:
      DataError: an unknown scheme, a tag outside of it, letters of several schemes.
    """
    if scheme is not None and scheme not in SCHEMES:
        raise DataError(f"--tag_scheme={scheme} is not known, expected one of {', '.join(SCHEMES)}")
    scheme = scheme or _detected(path, form)
    sentences = words = broken = 0
    tags: set[str] = set()
    for sentence in read_sentences(path, form):
        found = _tags(path, sentence)
        broken += _located(path, sentence, scheme)
        sentences, words = sentences + 1, words + len(found)
        tags.update(to_internal(found, scheme))
    return TagCounts(scheme, sentences, words, broken, tuple(sorted(tags, key=lambda tag: (tag != "O", tag))))


def _detected(path: Path, form: FileForm) -> str:
    detector = SchemeDetector()
    for sentence in read_sentences(path, form):
        try:
            detector.observe(_tags(path, sentence))
        except DataError as error:
            raise DataError(f"{path}:{sentence.line}: in the sentence that starts here {error}") from None
    try:
        return detector.scheme()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


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


def read_tagged(path: Path, scheme: str, form: FileForm = DEFAULT_FORM) -> Iterator[Sentence]:
    """Sentences with IOB2 tags; what is ill-formed keeps its words in an entity, as conlleval reads it.

    Raises:
      DataError: as for `read_sentences`; a sentence without tags, a tag outside the scheme.
    """
    for sentence in read_sentences(path, form):
        _located(path, sentence, scheme)
        yield sentence._replace(tags=to_internal(_tags(path, sentence), scheme))
