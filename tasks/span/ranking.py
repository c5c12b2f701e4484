"""Start and end logits -> candidate spans, best first: array operations over the windows of many questions at once.

Source: `write_predictions` of google-research/bert, whose ranking this repeats to the last tie.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from processors.squad.windows import Window

_CANDIDATES_AT_ONCE = 32_768
"""Spans of a chunk of one-window questions; larger arrays leave the processor's cache."""
_SPARE = 4
"""Spans ranked beyond the answers wanted, since some have the text of a better one."""

Logits = tuple[np.ndarray, np.ndarray]
"""Start and end logits of a window, float [S] each."""
Span = tuple[int, int, int, float, float]
"""Index of the window, positions in it (end inclusive; 0 and 0 for "no answer"), start and end logit."""


@dataclasses.dataclass(frozen=True)
class DecodingSettings:
    """How answers are chosen.

    Args:
      n_best_size: starts and ends looked at in each window, and answers kept.
      max_answer_length: most tokens of an answer.
      version_2_with_negative: "no answer" is a candidate.
    """

    n_best_size: int = 20
    max_answer_length: int = 30
    version_2_with_negative: bool = False

    @property
    def questions_at_once(self) -> int:
        """How many questions to rank together: as many as keep the arrays small."""
        return max(1, _CANDIDATES_AT_ONCE // self.n_best_size**2)


class QuestionLogits(NamedTuple):
    """A question as it is ranked: its windows (none for an empty context) and the logits of each."""

    windows: Sequence[Window]
    logits: Sequence[Logits]


class Candidates(NamedTuple):
    """Spans of some questions, one row each, those of a question together: its index, and the members of a `Span`."""

    questions: np.ndarray
    windows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    start_logits: np.ndarray
    end_logits: np.ndarray


def ranked_spans(
    questions: Sequence[QuestionLogits], nulls: Sequence[Span | None], settings: DecodingSettings
) -> list[Iterator[Span]]:
    """The candidates of each question by falling sum of logits; equal ones in order of windows, starts, ends.

    Args:
      questions: with the logits of their windows.
      nulls: "no answer" of each question, the last among equals; None where it is no candidate.
      settings: sizes.
    """
    rows = _with_nulls(span_candidates(questions, settings), nulls)
    counts = np.bincount(rows.questions, minlength=len(questions))
    firsts = np.cumsum(counts) - counts
    scores = np.full((len(questions), counts.max(initial=0)), np.nan)
    scores[rows.questions, np.arange(len(rows.questions)) - firsts[rows.questions]] = (
        rows.start_logits + rows.end_logits
    )
    limit = settings.n_best_size + _SPARE
    top = firsts[:, np.newaxis] + top_indexes(scores, limit)
    # Behind a question's own candidates stand any others; they are cut off below.
    members = [values.take(top, mode="clip").tolist() for values in rows[1:]]
    found = zip(*members, strict=True)
    return [
        itertools.chain(itertools.islice(zip(*lists, strict=True), count), _spans_after(rows, first, count, limit))
        for first, count, lists in zip(firsts.tolist(), counts.tolist(), found, strict=True)
    ]


def span_candidates(questions: Sequence[QuestionLogits], settings: DecodingSettings) -> Candidates:
    """The spans that can be answers: of a window's best starts and best ends, ordered by window, start, end.

    A start must be a token of the context that no other window shows with more context, an end any token of the
    context, at or after the start, and the answer not too long.
    """
    windows = [window for question in questions for window in question.windows]
    start_logits = padded([start for question in questions for start, _ in question.logits])
    end_logits = padded([end for question in questions for _, end in question.logits])
    starts = top_indexes(start_logits, settings.n_best_size)
    ends = top_indexes(end_logits, settings.n_best_size)
    can_start, can_end = np.zeros(start_logits.shape, bool), np.zeros(end_logits.shape, bool)
    for index, window in enumerate(windows):
        context = slice(window.offset, window.offset + window.length)
        can_start[index, context] = window.is_max_context
        can_end[index, context] = True
    lengths = ends[:, np.newaxis, :] - starts[:, :, np.newaxis] + 1  # [W, n, n]
    good = (lengths > 0) & (lengths <= settings.max_answer_length)
    good &= np.take_along_axis(can_start, starts, 1)[:, :, np.newaxis]
    good &= np.take_along_axis(can_end, ends, 1)[:, np.newaxis, :]
    rows, start_ranks, end_ranks = np.nonzero(good)
    sizes = [len(question.windows) for question in questions]
    numbers = np.array([number for size in sizes for number in range(size)], np.int64)
    first, last = starts[rows, start_ranks], ends[rows, end_ranks]
    of_window = np.repeat(np.arange(len(questions)), sizes)
    return Candidates(of_window[rows], numbers[rows], first, last, start_logits[rows, first], end_logits[rows, last])


def padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of any length beside each other, float64 [rows, longest], with NaN, which ranks last, behind each."""
    matrix = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for index, row in enumerate(rows):
        matrix[index, : len(row)] = row
    return matrix


def top_indexes(rows: np.ndarray, count: int) -> np.ndarray:
    """Places of the `count` largest values of each row, largest first; equal ones in order, NaN last.

    Example:
      >>> top_indexes(np.array([[1.0, 3.0, 3.0]]), 2).tolist()
      [[1, 2]]
    """
    falling = -rows
    if count >= rows.shape[1]:
        return np.argsort(falling, axis=1, kind="stable")
    places = np.sort(np.argpartition(falling, count - 1, axis=1)[:, :count], axis=1)
    values = np.take_along_axis(falling, places, 1)
    top = np.take_along_axis(places, np.argsort(values, axis=1, kind="stable"), 1)
    # Which of several equal values a partition takes is anyone's guess: where the last one has an equal, sort all.
    unsure = np.count_nonzero(falling <= values.max(axis=1, keepdims=True), axis=1) != count
    if unsure.any():
        top[unsure] = np.argsort(falling[unsure], axis=1, kind="stable")[:, :count]
    return top


def null_span(logits: Sequence[Logits]) -> Span:
    """ "No answer", which is position 0, scored by the window that finds it least likely."""
    starts = np.array([start[0] for start, _ in logits], np.float64)
    ends = np.array([end[0] for _, end in logits], np.float64)
    least = int(np.argmin(starts + ends))
    return least, 0, 0, float(starts[least]), float(ends[least])


def _with_nulls(rows: Candidates, nulls: Sequence[Span | None]) -> Candidates:
    """Adds "no answer" behind the other candidates of its question."""
    added = [(question, *null) for question, null in enumerate(nulls) if null]
    if not added:
        return rows
    joined = [np.concatenate(pair) for pair in zip(rows, map(np.array, zip(*added, strict=True)), strict=True)]
    order = np.argsort(joined[0], kind="stable")
    return Candidates(*(values[order] for values in joined))


def _spans_after(rows: Candidates, first: int, count: int, skipped: int) -> Iterator[Span]:
    """The candidates of one question, ranked, without the best; sorted only when the first is asked for."""
    if count <= skipped:
        return
    place = slice(first, first + count)
    order = np.argsort(-(rows.start_logits[place] + rows.end_logits[place]), kind="stable")[skipped:]
    yield from zip(*(values[place][order].tolist() for values in rows[1:]), strict=True)
