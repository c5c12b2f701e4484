"""Scores of words -> the best tags of whole sentences and how probable they are, on the host.

Shapes: N sentences, W words of the longest, L tags.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from processors.entities.featurizer import CUT
from processors.entities.windows import join_windows
from processors.records.schema import Features

CELLS_AT_ONCE = 1 << 16
"""Most words, those that fill up a sentence included, of the sentences that are decoded together."""


class Transitions(NamedTuple):
    """Scores between tags: `between` `[L, L]` from row to column, `start` and `end` `[L]`."""

    between: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, table: np.ndarray) -> "Transitions":
        """From `[L + 2, L]` as `modeling.heads.entities.CrfHead` predicts it."""
        table = table.astype(np.float64)
        return cls(table[:-2], table[-2], table[-1])


class Decoded(NamedTuple):
    """The best tags of one sentence.

    `tags` are ids int `[w]`, `probabilities` of each, float64 `[w]`. The others are logarithms, float64: `before` of
    everything up to a word, `after` of everything behind it, `along` what each word adds to its path, summed up
    `[w]`; `total` of all paths.
    """

    tags: np.ndarray
    probabilities: np.ndarray
    before: np.ndarray
    after: np.ndarray
    along: np.ndarray
    total: float

    def probability(self, start: int, end: int) -> float:
        """That the words from `start` to `end`, the latter not included, have their tags, all together."""
        path = self.along[end - 1] - self.along[start]
        return float(np.exp(min(self.before[start] + path + self.after[end - 1] - self.total, 0.0)))


def decode(sentences: Sequence[np.ndarray], transitions: Transitions | None) -> list[Decoded]:
    """The best tags of each sentence.

    Args:
      sentences: scores `[w, L]` of each, of at least one word.
      transitions: scores between tags; None where each word is tagged on its own.
    """
    if transitions is None:
        return [_each_alone(_log_softmax(scores)) for scores in sentences]
    decoded: dict[int, Decoded] = {}
    for batch in _batches([len(scores) for scores in sentences]):
        found = _together([sentences[index] for index in batch], transitions)
        decoded.update(zip(batch, found, strict=True))
    return [decoded[index] for index in range(len(sentences))]


def _each_alone(scores: np.ndarray) -> Decoded:
    tags = scores.argmax(axis=1)
    logs = scores[np.arange(len(tags)), tags]
    return Decoded(tags, np.exp(logs), logs, np.zeros_like(logs), np.cumsum(logs), 0.0)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of sentences of similar length, the longest first."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > CELLS_AT_ONCE:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _together(sentences: Sequence[np.ndarray], transitions: Transitions) -> Iterator[Decoded]:
    lengths = np.array([len(scores) for scores in sentences])
    words = _padded([_log_softmax(scores) for scores in sentences])  # [N, W, L]
    tags = _best_paths(words, lengths, transitions)  # [N, W]
    forward, backward = _forward(words, transitions), _backward(words, lengths, transitions)
    last = forward[np.arange(len(lengths)), lengths - 1]  # [N, L]
    totals = _log_sum(last + transitions.end, axis=1)
    for row, length in enumerate(lengths.tolist()):
        path = tags[row, :length]
        places = np.arange(length)
        before, after = forward[row, places, path], backward[row, places, path]
        steps = words[row, places, path]
        steps[1:] += transitions.between[path[:-1], path[1:]]
        probabilities = np.exp(np.minimum(before + after - totals[row], 0.0))
        yield Decoded(path, probabilities, before, after, np.cumsum(steps), float(totals[row]))


def _best_paths(words: np.ndarray, lengths: np.ndarray, transitions: Transitions) -> np.ndarray:
    """Viterbi's algorithm; what is beyond the length of a sentence is 0."""
    rows, width = np.arange(len(words)), words.shape[1]
    reached = transitions.start + words[:, 0]
    scores, origins = [reached], []
    for place in range(1, width):
        candidates = reached[:, :, np.newaxis] + transitions.between  # [N, L, L]
        origins.append(candidates.argmax(axis=1))
        reached = candidates.max(axis=1) + words[:, place]
        scores.append(reached)
    ends = np.stack(scores, axis=1)[rows, lengths - 1] + transitions.end  # [N, L]
    tags = np.zeros(words.shape[:2], np.int64)
    tags[rows, lengths - 1] = ends.argmax(axis=1)
    for place in range(width - 1, 0, -1):
        inside = place < lengths
        tags[inside, place - 1] = origins[place - 1][rows[inside], tags[inside, place]]
    return tags


def _forward(words: np.ndarray, transitions: Transitions) -> np.ndarray:
    """Log sum over the paths that end in each tag of each word, the word included `[N, W, L]`."""
    found = [transitions.start + words[:, 0]]
    for place in range(1, words.shape[1]):
        found.append(_log_sum(found[-1][:, :, np.newaxis] + transitions.between, axis=1) + words[:, place])
    return np.stack(found, axis=1)


def _backward(words: np.ndarray, lengths: np.ndarray, transitions: Transitions) -> np.ndarray:
    """Log sum over the paths that go on from each tag of each word, the word left out `[N, W, L]`."""
    end = np.broadcast_to(transitions.end, words[:, 0].shape)
    found = [end]
    for place in range(words.shape[1] - 1, 0, -1):
        following = (words[:, place] + found[-1])[:, np.newaxis, :]
        reached = _log_sum(transitions.between + following, axis=2)
        found.append(np.where((place < lengths)[:, np.newaxis], reached, end))
    return np.stack(found[::-1], axis=1)


def _padded(sentences: Sequence[np.ndarray]) -> np.ndarray:
    padded = np.zeros((len(sentences), max(map(len, sentences)), sentences[0].shape[1]))
    for row, scores in enumerate(sentences):
        padded[row, : len(scores)] = scores
    return padded


def _log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    largest = values.max(axis=axis, keepdims=True)
    total = np.log(np.exp(values - largest).sum(axis=axis))
    summed: np.ndarray = total + largest.squeeze(axis)
    return summed


def _log_softmax(scores: np.ndarray) -> np.ndarray:
    """Paths compare as before, and the sums over a long sentence stay small."""
    scores = scores.astype(np.float64)
    normal: np.ndarray = scores - _log_sum(scores, axis=1)[:, np.newaxis]
    return normal


def joined(windows: Sequence[Features], rows: Sequence[np.ndarray]) -> np.ndarray:
    """The scores of every word of a sentence `[w, L]`, each from the window that answers for it.

    Args:
      windows: as the featurizer made them.
      rows: scores `[W, L]` of each window, filled up behind its words.
    """
    words = [row[: len(window["word_starts"])] for window, row in zip(windows, rows, strict=True)]
    return words[0] if len(words) == 1 else np.stack(join_windows(windows[0][CUT], [list(row) for row in words]))
