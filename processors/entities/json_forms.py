"""JSON lines of sentences: lists of tokens and tags, text with character spans, and CLUENER's entities by type."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.entities.sentence import OnProblem, Sentence, sentence_of_text, stop
from processors.entities.tags import Span
from processors.reading import read_json_lines

TAG_KEYS = ("tags", "entities", "label")
"""Where a row has its tags or entities, each form its own."""


def read_json_sentences(
    path: Path,
    with_tags: bool = True,
    by_character: bool = False,
    encoding: str | None = None,
    on_problem: OnProblem = stop,
) -> Iterator[Sentence]:
    """Sentences of a JSON-lines file; the keys of an object tell its form, which is the same in every row.

    `{"tokens": [...], "tags": [...]}`, `{"text": ..., "entities": [[start, end, type], ...]}` with the end not
    included, or `{"text": ..., "label": {type: {surface: [[start, last], ...]}}}` with the last character included.

    Args:
      path: file, compressed or not.
      with_tags: rows must have tags or entities; without, they are not read.
      by_character: text is split into characters instead of words.
      encoding: as for `open_text`.
      on_problem: takes the error of a row that cannot be used, which is left out where this returns.

    Yields:
      The sentences; tags made from spans are IOB2.

    Raises:
      DataError: a row that is malformed or of another form than the first, named by its line.
    """
    first_form = ""
    for line, row, problem in read_json_lines(path, encoding):
        try:
            if problem:
                raise DataError(problem)
            if row is None:
                continue
            form = _form(row, with_tags)
            first_form = first_form or form
            if form != first_form:
                raise DataError(f"found a row with {form!r}, expected {first_form!r} as in the rows before")
            yield (
                _from_tokens(line, row, with_tags)
                if form == "tokens"
                else sentence_of_text(line, _text(row), _ENTITIES[form](row), by_character)
            )
        except DataError as error:
            on_problem(DataError(f"{path}:{line}: {error}"))
    if not first_form:
        raise DataError(f"{path}: has no rows, expected one sentence a line")


def _form(row: dict[str, Any], with_tags: bool) -> str:
    if "tokens" in row:
        return "tokens"
    if "text" in row and not with_tags:
        return "text"
    if "text" in row and "entities" in row and "label" in row:
        raise DataError('found both "entities" and "label", expected one of them')
    for form in ("entities", "label"):
        if "text" in row and form in row:
            return form
    wanted = '"tokens" and "tags", or "text" and "entities" or "label"' if with_tags else '"tokens" or "text"'
    raise DataError(f"found the keys {one_line(', '.join(map(repr, row))) or 'none'}, expected {wanted}")


def _from_tokens(line: int, row: dict[str, Any], with_tags: bool) -> Sentence:
    words = _strings(row, "tokens")
    if not words:
        raise DataError('"tokens" is empty, expected at least one; remove the row')
    if not with_tags:
        return Sentence(line, words)
    tags = _strings(row, "tags")
    if len(tags) != len(words):
        raise DataError(f"found {len(words)} tokens and {len(tags)} tags, expected a tag for each token")
    return Sentence(line, words, tags)


def _strings(row: dict[str, Any], key: str) -> list[str]:
    values = row.get(key)
    if not isinstance(values, list):
        raise DataError(f'"{key}" is {"missing" if values is None else type(values).__name__}, expected a list of text')
    for index, value in enumerate(values):
        if not isinstance(value, str) or not value:
            advice = "leave the word and its tag out" if value == "" else "write tags as names, not as numbers"
            raise DataError(f'"{key}"[{index}] is {value!r:.40}, expected text; {advice}')
    return values


def _text(row: dict[str, Any]) -> str:
    text = row["text"]
    if not isinstance(text, str):
        raise DataError(f'"text" is {type(text).__name__}, expected text')
    return text


def _no_entities(row: dict[str, Any]) -> None:
    del row


def _listed_entities(row: dict[str, Any]) -> list[Span]:
    entities = row["entities"]
    if not isinstance(entities, list):
        raise DataError(f'"entities" is {type(entities).__name__}, expected a list of [start, end, type]')
    return [_span(entity) for entity in entities]


def _span(entity: Any) -> Span:
    is_span = isinstance(entity, list) and len(entity) == 3 and isinstance(entity[2], str) and entity[2]
    if not is_span or not all(type(offset) is int for offset in entity[:2]):
        raise DataError(f"found the entity {entity!r:.80}, expected [start, end, type] with whole numbers and a name")
    return Span(*entity)


def _entities_by_type(row: dict[str, Any]) -> list[Span]:
    """CLUENER's entities; the surface that stands beside the offsets must be what stands there in the text."""
    found: list[Span] = []
    text, by_type = _text(row), row["label"]
    expected = "expected {type: {surface: [[start, last], ...]}}"
    if not isinstance(by_type, dict):
        raise DataError(f'"label" is {type(by_type).__name__}, {expected}')
    for kind, surfaces in by_type.items():
        if not isinstance(surfaces, dict) or not all(isinstance(places, list) for places in surfaces.values()):
            raise DataError(f'"label" has {surfaces!r:.60} for {kind!r}, {expected}')
        for surface, places in surfaces.items():
            for place in places:
                start, last, _ = _span([*place, kind] if isinstance(place, list) else place)
                if text[max(start, 0) : last + 1] != surface:
                    raise DataError(
                        f"entity {kind!r} [{start}, {last}] is {text[max(start, 0) : last + 1]!r:.60} in the text, "
                        f"expected {surface!r:.60}; the last character counts"
                    )
                found.append(Span(start, last + 1, kind))
    return found


_ENTITIES = {"text": _no_entities, "entities": _listed_entities, "label": _entities_by_type}
