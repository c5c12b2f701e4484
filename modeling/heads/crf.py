"""A linear-chain conditional random field over the words of a sentence: likelihood and best path.

Everything is computed in float32, whatever the precision of the encoder: sums of exponentials over a long sentence
do not survive bfloat16. Decoding is made of core operations, so that it runs on accelerators and in exported graphs.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common.errors import ConfigError

VARIABLES = ("crf/transitions", "crf/start", "crf/end")
LABEL_AXES = {"crf/transitions": (0, 1), "crf/start": (0,), "crf/end": (0,)}
"""Axes of each variable that the tags lie along."""
FORBIDDEN = -10000.0
"""What a transition that the scheme forbids adds to a path, as a share of nothing beside any other path."""


class Transitions(NamedTuple):
    """Scores between tags: `between` `[L, L]` from row to column, `start` and `end` `[L]`, float32."""

    between: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor


def transition_variables(num_tags: int) -> Transitions:
    """Creates `crf/transitions` (Glorot normal), `crf/start` and `crf/end` (zero) in the current variable scope.

    Args:
      num_tags: number of tags L.

    Source: `modules/conditional_random_field` of AllenNLP.
    Differences: start and end begin at 0 instead of a normal of deviation 1, so that the first steps follow the words.
    """
    with tf.compat.v1.variable_scope("crf"):
        zeros = tf.compat.v1.zeros_initializer()
        return Transitions(
            tf.compat.v1.get_variable(
                "transitions", [num_tags, num_tags], tf.float32, tf.compat.v1.glorot_normal_initializer()
            ),
            tf.compat.v1.get_variable("start", [num_tags], tf.float32, zeros),
            tf.compat.v1.get_variable("end", [num_tags], tf.float32, zeros),
        )


def constrained(transitions: Transitions, allowed: list[list[bool]]) -> Transitions:
    """Lowers what a tag scheme forbids to `FORBIDDEN`.

    Args:
      transitions: scores of L tags.
      allowed: table `[L + 1, L + 1]` from row to column; the last row is the start of a sentence, the last column its
        end.

    Raises:
      ConfigError: the table does not fit the tags.
    """
    table = np.array(allowed, dtype=bool)
    size = int(transitions.start.shape[0]) + 1
    if table.shape != (size, size):
        raise ConfigError(f"the table of allowed transitions is {table.shape}, expected {(size, size)}")
    return Transitions(
        _lowered(transitions.between, table[:-1, :-1]),
        _lowered(transitions.start, table[-1, :-1]),
        _lowered(transitions.end, table[:-1, -1]),
    )


def _lowered(scores: tf.Tensor, allowed: np.ndarray) -> tf.Tensor:
    return tf.where(allowed, scores, np.full(allowed.shape, FORBIDDEN, np.float32))


def log_likelihood(scores: tf.Tensor, tags: tf.Tensor, lengths: tf.Tensor, transitions: Transitions) -> tf.Tensor:
    """Log of the probability of the given path among all paths of a sentence.

    Args:
      scores: score of each tag for each word `[B, W, L]`, any float; W >= 1.
      tags: the path, int32 `[B, W]`, any valid tag beyond the length.
      lengths: words of each sentence, int32 `[B]`; a sentence of no words has likelihood 1.
      transitions: scores between tags.

    Returns:
      float32 `[B]`, at most 0 but for rounding.
    """
    scores = tf.cast(scores, tf.float32)
    likelihood = path_score(scores, tags, lengths, transitions) - log_partition(scores, lengths, transitions)
    return tf.where(lengths > 0, likelihood, tf.zeros_like(likelihood))


def path_score(scores: tf.Tensor, tags: tf.Tensor, lengths: tf.Tensor, transitions: Transitions) -> tf.Tensor:
    """Sum of the scores along a path, float32 `[B]`; arguments as for `log_likelihood`, lengths at least 1."""
    scores = tf.cast(scores, tf.float32)
    words = tf.sequence_mask(lengths, tf.shape(scores)[1], tf.float32)  # [B, W]
    of_words = tf.gather(scores, tags, axis=2, batch_dims=2)  # [B, W]
    between = tf.gather_nd(transitions.between, tf.stack([tags[:, :-1], tags[:, 1:]], axis=2))  # [B, W - 1]
    last = tf.gather(tags, tf.maximum(lengths - 1, 0), axis=1, batch_dims=1)  # [B]
    edges = tf.gather(transitions.start, tags[:, 0]) + tf.gather(transitions.end, last)
    return edges + tf.reduce_sum(of_words * words, axis=1) + tf.reduce_sum(between * words[:, 1:], axis=1)


def log_partition(scores: tf.Tensor, lengths: tf.Tensor, transitions: Transitions) -> tf.Tensor:
    """Log of the sum of `exp(path_score)` over all paths, float32 `[B]`, by the forward algorithm."""
    scores = tf.cast(scores, tf.float32)
    by_word = tf.transpose(scores, [1, 0, 2])  # [W, B, L]
    is_word = tf.transpose(tf.sequence_mask(lengths, tf.shape(scores)[1]))  # [W, B]

    def step(alpha: tf.Tensor, word: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        score, exists = word
        reached = score + tf.reduce_logsumexp(alpha[:, :, tf.newaxis] + transitions.between, axis=1)  # [B, L]
        return tf.where(exists[:, tf.newaxis], reached, alpha)

    alpha = tf.foldl(step, (by_word[1:], is_word[1:]), transitions.start + by_word[0])
    return tf.reduce_logsumexp(alpha + transitions.end, axis=1)


def best_paths(scores: tf.Tensor, lengths: tf.Tensor, transitions: Transitions) -> tuple[tf.Tensor, tf.Tensor]:
    """Finds the path of the highest score of each sentence, by Viterbi's algorithm.

    Args:
      scores: score of each tag for each word `[B, W, L]`; W >= 1.
      lengths: words of each sentence, int32 `[B]`.
      transitions: scores between tags, `constrained` where forbidden neighbours must not come out.

    Returns:
      The tags int32 `[B, W]`, 0 beyond the length, and the score of the path float32 `[B]`, 0 for no words.
    """
    scores = tf.cast(scores, tf.float32)
    by_word = tf.transpose(scores, [1, 0, 2])  # [W, B, L]
    is_word = tf.transpose(tf.sequence_mask(lengths, tf.shape(scores)[1]))  # [W, B]
    first = transitions.start + by_word[0]
    stay = tf.zeros_like(first, tf.int32) + tf.range(tf.shape(first)[1])  # [B, L]: each tag comes from itself

    def step(before: tuple[tf.Tensor, tf.Tensor], word: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        score, exists = word[0], word[1][:, tf.newaxis]
        candidates = before[0][:, :, tf.newaxis] + transitions.between  # [B, L, L]
        origin = tf.argmax(candidates, axis=1, output_type=tf.int32)  # [B, L]
        reached = score + tf.reduce_max(candidates, axis=1)
        return tf.where(exists, reached, before[0]), tf.where(exists, origin, stay)

    # One step more than there are transitions, behind the last word: a scan over nothing cannot be stacked.
    following = tf.pad(by_word[1:], [[0, 1], [0, 0], [0, 0]]), tf.pad(is_word[1:], [[0, 1], [0, 0]])
    best, origins = tf.scan(step, following, (first, stay))  # [W, B, L] each
    totals = best[-1] + transitions.end  # [B, L]; beyond the length nothing changed
    tags = tf.scan(
        lambda tag, origin: tf.gather(origin, tag, axis=1, batch_dims=1),
        origins,
        tf.argmax(totals, axis=1, output_type=tf.int32),
        reverse=True,
    )  # [W, B]: the tag of each word, from that of the next
    path_scores = tf.where(lengths > 0, tf.reduce_max(totals, axis=1), tf.zeros_like(totals[:, 0]))
    return tf.transpose(tf.where(is_word, tags, tf.zeros_like(tags))), path_scores


class Sums(NamedTuple):
    """Logarithms of sums over paths, float32.

    `before` `[B, W, L]` is over the paths that end in each tag of each word, `after` `[B, W, L]` over those that go on
    from it, the word left out; `total` `[B]` is over all.
    """

    before: tf.Tensor
    after: tf.Tensor
    total: tf.Tensor


def path_sums(scores: tf.Tensor, lengths: tf.Tensor, transitions: Transitions) -> Sums:
    """The forward-backward algorithm; arguments as for `best_paths`. What is beyond the length of a row is undefined.

    The probability of a tag is `exp(before + after - total)`.
    """
    by_word = tf.transpose(tf.cast(scores, tf.float32), [1, 0, 2])  # [W, B, L]
    is_word = tf.transpose(tf.sequence_mask(lengths, tf.shape(scores)[1]))  # [W, B]
    first = transitions.start + by_word[0]
    end = tf.zeros_like(first) + transitions.end

    def forward(alpha: tf.Tensor, score: tf.Tensor) -> tf.Tensor:
        return score + tf.reduce_logsumexp(alpha[:, :, tf.newaxis] + transitions.between, axis=1)

    def backward(beta: tf.Tensor, word: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        score, exists = word
        reached = tf.reduce_logsumexp(transitions.between + (score + beta)[:, tf.newaxis, :], axis=2)
        return tf.where(exists[:, tf.newaxis], reached, end)

    # One step more than there are transitions: a scan over nothing cannot be stacked.
    following = tf.pad(by_word[1:], [[0, 1], [0, 0], [0, 0]]), tf.pad(is_word[1:], [[0, 1], [0, 0]])
    reached = tf.scan(forward, following[0], first)  # [W, B, L], of the next word
    before = tf.transpose(tf.concat([first[tf.newaxis], reached[:-1]], axis=0), [1, 0, 2])
    after = tf.transpose(tf.scan(backward, following, end, reverse=True), [1, 0, 2])
    last = tf.gather(before, tf.maximum(lengths - 1, 0), axis=1, batch_dims=1)  # [B, L]
    return Sums(before, after, tf.reduce_logsumexp(last + transitions.end, axis=1))
