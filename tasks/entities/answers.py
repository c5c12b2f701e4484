"""The answer to one sentence: a tag for each word, entities with their characters; one form for files and exports."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from processors.entities.tags import NONE, Span, spans_of_tags
from tasks.answers import Answer, ExportAnswers, Outputs

Offsets = Sequence[tuple[int, int]]
_OFFSETS = ("token_starts", "token_ends")
_OF_AN_ENTITY: Mapping[str, tuple[str, Any]] = {
    "start": ("entity_starts", 0),
    "end": ("entity_ends", 0),
    "type": ("entity_types", ""),
    "text": ("entity_texts", ""),
    "probability": ("entity_probabilities", 0.0),
}
"""What an answer says of an entity, with the output that has it for all and what fills rows up."""


def sentence_answer(
    text: str, offsets: Offsets, tags: Sequence[str], probabilities: Sequence[float], entities: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The words of a text, the characters of each, their tags with the probability of each, and the entities.

    Args:
      text: of the sentence.
      offsets: where in it each word starts and ends.
      tags: of the words.
      probabilities: of the tags.
      entities: as `entity` gives them.
    """
    return {
        "tokens": [text[start:end] for start, end in offsets],
        "offsets": [list(pair) for pair in offsets],
        "tags": list(tags),
        "probabilities": [float(value) for value in probabilities],
        "entities": list(entities),
    }


def entity(text: str, start: int, end: int, kind: str, probability: float) -> dict[str, Any]:
    """One entity: characters `start` to `end` of a text, the latter not included, its type, its text, its probability
    (that all its words have their tags).
    """
    return {"start": start, "end": end, "type": kind, "text": text[start:end], "probability": probability}


def spans_of(tags: Sequence[str], scheme: str) -> Iterator[Span]:
    """The entities that predicted tags make; none where tags are no spans."""
    return iter(()) if scheme == NONE else spans_of_tags(tags)


class EntityAnswers(ExportAnswers):
    """The words of a text with their tags, and its entities."""

    reads_windows = True

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        """As `sentence_answer`."""
        rows = ({name: values[row] for name, values in outputs.items()} for row in range(count))
        return [_answer(row) for row in rows]

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """Rows of fewer words or entities than others are filled up, as in the signature: "" and 0."""
        words = [answer["tokens"] for answer in answers]
        entities = [answer["entities"] for answer in answers]
        starts, ends = ([[pair[side] for pair in answer["offsets"]] for answer in answers] for side in (0, 1))
        by_name = {name: [[one[name] for one in row] for row in entities] for name in _OF_AN_ENTITY}
        return {
            "num_tokens": list(map(len, words)),
            "tokens": _filled(words, ""),
            "tags": _filled([answer["tags"] for answer in answers], ""),
            "probabilities": _filled([answer["probabilities"] for answer in answers], 0.0),
            "token_starts": _filled(starts, 0),
            "token_ends": _filled(ends, 0),
            "num_entities": list(map(len, entities)),
            **{output: _filled(by_name[name], default) for name, (output, default) in _OF_AN_ENTITY.items()},
        }


def _answer(outputs: Mapping[str, Any]) -> Answer:
    count, entities = int(outputs["num_tokens"]), int(outputs.get("num_entities", 0))
    return {
        "tokens": [token.decode() for token in outputs["tokens"][:count]],
        "offsets": [list(pair) for pair in zip(*(outputs[name][:count].tolist() for name in _OFFSETS), strict=True)],
        "tags": [tag.decode() for tag in outputs["tags"][:count]],
        "probabilities": outputs["probabilities"][:count].tolist(),
        "entities": [
            {name: _plain(outputs[output][index]) for name, (output, _) in _OF_AN_ENTITY.items()}
            for index in range(entities)
        ],
    }


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.item()


def _filled(rows: Sequence[Sequence[Any]], default: Any) -> list[list[Any]]:
    most = max(map(len, rows))
    return [[*row, *[default] * (most - len(row))] for row in rows]
