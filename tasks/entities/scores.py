"""Scores of entities: precision, recall and F1 by type, micro and macro, strict and conlleval's way; token accuracy.

Source: `conlleval` of the CoNLL-2000 shared task; `seqeval`, with the results of which the tests compare.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.entities.tags import NONE, OUTSIDE, Span, spans_of_tags, split_tag

Tags = Sequence[str]
NO_TYPE = "_"
"""Names the one type of entities that have none, as in seqeval."""


class _Counts(NamedTuple):
    """Entities by type: those of the data, those predicted, and those that are both."""

    gold: Counter[str]
    predicted: Counter[str]
    right: Counter[str]


def entity_scores(sentences: Sequence[tuple[Tags, Tags]]) -> dict[str, float]:
    """Scores over all sentences.

    conlleval reads a tag that continues nothing as the start of an entity; strictly such an entity counts nowhere.

    Args:
      sentences: gold and predicted tags of each in IOB2, one for each word.

    Returns:
      `eval_precision`, `eval_recall`, `eval_f1` over all entities, `..._macro` as the mean over types, `...[type]`,
      all conlleval's way; `eval_strict_...` and `eval_strict_..._macro`; `eval_accuracy` of words.
    """
    lenient = _Counts(Counter(), Counter(), Counter())
    strict = _Counts(Counter(), Counter(), Counter())
    for gold, predicted in sentences:
        for counts, spans in ((lenient, spans_of_tags), (strict, strict_spans)):
            of_gold, of_predicted = set(spans(gold)), set(spans(predicted))
            counts.gold.update(span.type for span in of_gold)
            counts.predicted.update(span.type for span in of_predicted)
            counts.right.update(span.type for span in of_gold & of_predicted)
    return {**_summary("", lenient), **_summary("strict_", strict), **word_scores(sentences), **_by_type(lenient)}


def word_scores(sentences: Sequence[tuple[Tags, Tags]]) -> dict[str, float]:
    """`eval_accuracy` of words: all there is to say of tags that are no spans."""
    words = sum(len(gold) for gold, _ in sentences)
    right = sum(one == other for pair in sentences for one, other in zip(*pair, strict=True))
    return {"eval_accuracy": right / max(words, 1)}


def types_of_words(
    sentences: Sequence[tuple[Tags, Tags]], scheme: str
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Which type of entity each word is of; its tag where tags are no spans.

    Args:
      sentences: gold and predicted tags of each.
      scheme: of the data.

    Returns:
      Names of the types that occur, those outside of entities first, and the number of that of each word, in the data
      and as predicted.
    """
    sides = [[_type_of(tag, scheme) for pair in sentences for tag in pair[side]] for side in (0, 1)]
    names = sorted(set().union(*sides), key=lambda name: (name != OUTSIDE, name))
    number = {name: index for index, name in enumerate(names)}
    gold, predicted = (np.array([number[name] for name in side], np.int64) for side in sides)
    return names, gold, predicted


def _type_of(tag: str, scheme: str) -> str:
    if scheme == NONE or tag == OUTSIDE:
        return tag
    return split_tag(tag)[1] or NO_TYPE


def strict_spans(tags: Tags) -> Iterator[Span]:
    """The entities that IOB2 tags spell out in full, from a B- on."""
    return (span for span in spans_of_tags(tags) if tags[span.start][0] == "B")


def _summary(prefix: str, counts: _Counts) -> dict[str, float]:
    micro = _named(prefix, "", counts.right.total(), counts.predicted.total(), counts.gold.total())
    by_type = [_triple(counts.right[kind], counts.predicted[kind], counts.gold[kind]) for kind in _types(counts)]
    means = [sum(column) / len(by_type) for column in zip(*by_type, strict=True)] or [0.0] * 3
    names = ("precision", "recall", "f1")
    return micro | {f"eval_{prefix}{name}_macro": mean for name, mean in zip(names, means, strict=True)}


def _by_type(counts: _Counts) -> dict[str, float]:
    scores: dict[str, float] = {}
    for kind in _types(counts):
        name = kind or NO_TYPE
        scores |= _named("", f"[{name}]", counts.right[kind], counts.predicted[kind], counts.gold[kind])
        scores[f"eval_entities[{name}]"] = counts.gold[kind]
    return scores


def _types(counts: _Counts) -> list[str]:
    return sorted(counts.gold.keys() | counts.predicted.keys())


def _named(prefix: str, suffix: str, right: int, predicted: int, gold: int) -> dict[str, float]:
    names = ("precision", "recall", "f1")
    values = _triple(right, predicted, gold)
    return {f"eval_{prefix}{name}{suffix}": value for name, value in zip(names, values, strict=True)}


def _triple(right: int, predicted: int, gold: int) -> tuple[float, float, float]:
    """Precision, recall, F1; 0 where there is nothing to divide by."""
    precision, recall = right / max(predicted, 1), right / max(gold, 1)
    return precision, recall, 2 * right / max(predicted + gold, 1)
