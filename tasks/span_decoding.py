"""Start and end logits -> ranked answers: small functions over the windows of one question.

Source: `write_predictions` of google-research/bert, whose ranking this repeats to the last tie.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from processors.squad_windows import Window
from tasks.span_text import LocatedText

NO_CANDIDATE_ODDS = 1_000_000.0
"""Stands for "certainly no answer" where no span of the context can be one; finite, so that it is JSON."""

Locate = Callable[[Window, int, int], LocatedText]


@dataclasses.dataclass(frozen=True)
class DecodingSettings:
    """How answers are chosen.

    Args:
      n_best_size: starts and ends looked at in each window, and answers kept.
      max_answer_length: most pieces of an answer.
      version_2_with_negative: "no answer" is a candidate.
    """

    n_best_size: int = 20
    max_answer_length: int = 30
    version_2_with_negative: bool = False


class Candidates(NamedTuple):
    """Spans of one question, one row each: index of the window, positions in it (end inclusive), their logits."""

    windows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    start_logits: np.ndarray
    end_logits: np.ndarray


class Entry(NamedTuple):
    """One answer of an n-best list; `text` is "" for "no answer", which has no place (-1)."""

    text: str
    probability: float
    start_logit: float
    end_logit: float
    start: int = -1
    end: int = -1
    window: int = -1


class Decoded(NamedTuple):
    """All that the logits say about one question.

    Args:
      entries: distinct answers, best first; never empty.
      best: the first of them that is an answer; None if there is none.
      null_odds: score of "no answer" minus that of `best`; 0 where "no answer" is no candidate.
    """

    entries: list[Entry]
    best: Entry | None
    null_odds: float

    def answer(self, threshold: float) -> Entry:
        """The answer given: `best`, or "no answer" where its odds are above a threshold."""
        if self.best is None or self.null_odds > threshold:
            return self.null
        return self.best

    @property
    def null(self) -> Entry:
        """The "no answer" entry; of probability 0 where it is no candidate."""
        return next((entry for entry in self.entries if not entry.text), Entry("", 0.0, 0.0, 0.0))


def decode(
    windows: Sequence[Window],
    logits: Sequence[tuple[np.ndarray, np.ndarray]],
    locate: Locate,
    settings: DecodingSettings,
) -> Decoded:
    """Ranks the answers to one question.

    Args:
      windows: of the question; none for an empty context.
      logits: start and end logits of each window, float [S].
      locate: gives the text of a span, a `tasks.span_text.SpanText`.
      settings: sizes and version.
    """
    logits = [(start.astype(np.float64), end.astype(np.float64)) for start, end in logits]
    null = null_candidate(logits) if settings.version_2_with_negative and logits else None
    found = [
        span_candidates(index, window, start, end, settings)
        for index, (window, (start, end)) in enumerate(zip(windows, logits, strict=True))
    ]
    ranked = rank([*found, null] if null else found)
    unscored = distinct_answers(windows, ranked, locate, settings.n_best_size)
    if null and all(entry.text for entry in unscored):
        unscored.append(Entry("", 0.0, float(null.start_logits[0]), float(null.end_logits[0])))
    # Upstream writes the word "empty" here, which reads as an answer.
    entries = with_probabilities(unscored or [Entry("", 0.0, 0.0, 0.0)])
    best = next((entry for entry in entries if entry.text), None)
    if not settings.version_2_with_negative:
        return Decoded(entries, best, 0.0)
    if null is None or best is None:
        return Decoded(entries, best, NO_CANDIDATE_ODDS)
    null_score = float(null.start_logits[0] + null.end_logits[0])
    return Decoded(entries, best, null_score - best.start_logit - best.end_logit)


def top_indexes(logits: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` largest logits, largest first; equal ones in order.

    Example:
      >>> top_indexes(np.array([1.0, 3.0, 3.0]), 2).tolist()
      [1, 2]
    """
    return np.argsort(-logits, kind="stable")[:count]


def span_candidates(
    index: int, window: Window, start_logits: np.ndarray, end_logits: np.ndarray, settings: DecodingSettings
) -> Candidates:
    """The spans of a window that can be answers: of its best starts and best ends, ordered by start, then end.

    A start must be a piece of the context that no other window shows with more context, an end any piece of the
    context, at or after the start, and the answer not too long.
    """
    starts = top_indexes(start_logits, settings.n_best_size)
    ends = top_indexes(end_logits, settings.n_best_size)
    starts = starts[(starts >= window.offset) & (starts < window.offset + window.length)]
    starts = starts[window.is_max_context[starts - window.offset]]
    ends = ends[(ends >= window.offset) & (ends < window.offset + window.length)]
    lengths = ends[np.newaxis, :] - starts[:, np.newaxis] + 1
    rows, columns = np.nonzero((lengths > 0) & (lengths <= settings.max_answer_length))
    starts, ends = starts[rows], ends[columns]
    return Candidates(np.full(len(starts), index), starts, ends, start_logits[starts], end_logits[ends])


def null_candidate(logits: Sequence[tuple[np.ndarray, np.ndarray]]) -> Candidates:
    """ "No answer", which is position 0, scored by the window that finds it least likely."""
    starts = np.array([start[0] for start, _ in logits])
    ends = np.array([end[0] for _, end in logits])
    least = int(np.argmin(starts + ends))
    return Candidates(
        np.array([least]), np.array([0]), np.array([0]), starts[least : least + 1], ends[least : least + 1]
    )


def rank(candidates: Sequence[Candidates]) -> Candidates:
    """All candidates by falling sum of logits; equal ones stay in order of windows, starts, ends."""
    if not candidates:
        return Candidates(*(np.zeros(0, np.int64) for _ in Candidates._fields))
    joined = Candidates(*(np.concatenate(values) for values in zip(*candidates, strict=True)))
    order = np.argsort(-(joined.start_logits + joined.end_logits), kind="stable")
    return Candidates(*(values[order] for values in joined))


def distinct_answers(windows: Sequence[Window], ranked: Candidates, locate: Locate, count: int) -> list[Entry]:
    """The first `count` answers of different text, without probabilities."""
    entries: list[Entry] = []
    seen: set[str] = set()
    for window, start, end, start_logit, end_logit in zip(*(values.tolist() for values in ranked), strict=True):
        if len(entries) >= count:
            break
        # Position 0 is [CLS], which means "no answer".
        text, first, last = locate(windows[window], start, end) if start else LocatedText("", -1, -1)
        if text not in seen:
            seen.add(text)
            entries.append(Entry(text, 0.0, start_logit, end_logit, first, last, window if start else -1))
    return entries


def with_probabilities(entries: Sequence[Entry]) -> list[Entry]:
    """Gives each entry its softmax probability among all of them.

    Example:
      >>> [entry.probability for entry in with_probabilities([Entry("a", 0, 1.0, 2.0), Entry("b", 0, 2.0, 1.0)])]
      [0.5, 0.5]
    """
    scores = [entry.start_logit + entry.end_logit for entry in entries]
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return [entry._replace(probability=weight / total) for entry, weight in zip(entries, weights, strict=True)]
