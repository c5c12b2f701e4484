"""What may be chosen as the next token, and the draws of random choices.

Shapes: R texts, U tokens written of each so far, V tokens of the vocabulary.
"""

from typing import NamedTuple

import tensorflow as tf

from modeling.decoder.settings import DecodingSettings, TokenIds

FORBIDDEN = -1e9
"""Score of a token that must not be chosen."""


class Written(NamedTuple):
    """Texts that were written.

    Attributes:
      ids: int32 `[B, n, U]`, each text up to the token that ends it, then filled up; the best text of a source first.
      log_probabilities: float32 `[B, n]`, of all tokens of a text together; `FORBIDDEN` where there is no text.
    """

    ids: tf.Tensor
    log_probabilities: tf.Tensor


class Rules:
    """Which tokens may follow a text.

    Args:
      tokens: those that no text has.
      settings: whether tokens in a row may repeat.
      vocabulary: size of the vocabulary.
    """

    def __init__(self, tokens: TokenIds, settings: DecodingSettings, vocabulary: int) -> None:
        self._size, self._vocabulary = settings.no_repeat_ngram, vocabulary
        self._never = tf.constant([FORBIDDEN if index in tokens.never else 0.0 for index in range(vocabulary)])

    def log_probabilities(self, scores: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Of every token `[R, V]`, given its score and what was written before, int32 `[R, U]`.

        Blocking takes a token's probability and gives it to no other, so that texts with and without stay comparable.
        """
        logs = tf.nn.log_softmax(scores + self._never)
        return logs + FORBIDDEN * self._repeating(ids) if self._size else logs

    def _repeating(self, ids: tf.Tensor) -> tf.Tensor:
        """1.0 for a token that would end tokens in a row that the text has already: float32 `[R, V]`."""
        size = self._size
        rows, length = tf.shape(ids)[0], tf.shape(ids)[1]
        count = tf.maximum(length - size + 1, 0)  # places where so many tokens in a row begin
        is_repeat = tf.ones([rows, count], tf.bool)
        for place in range(size - 1):  # the beginnings that are the end of the text
            last = ids[:, tf.maximum(length - size + 1, 0) + place :][:, :1]
            is_repeat &= tf.equal(ids[:, place : place + count], last)
        ends = ids[:, size - 1 : size - 1 + count]
        places = tf.stack([tf.broadcast_to(tf.range(rows)[:, tf.newaxis], tf.shape(ends)), ends], axis=-1)
        hits = tf.scatter_nd(places, tf.cast(is_repeat, tf.float32), [rows, self._vocabulary])
        return tf.minimum(hits, 1.0)


def draws(input_ids: tf.Tensor, input_mask: tf.Tensor, settings: DecodingSettings) -> tf.Tensor:
    """A number from 0 to 1 for each token of each text, which depends on seed and source alone.

    Args:
      input_ids, input_mask: int32 `[B, S]`, of the sources.
      settings: how many texts of how many tokens, and the seed.

    Returns:
      float32 `[B * n, max_length]`.
    """
    place = tf.range(1, tf.shape(input_ids)[1] + 1)
    mixed = (input_ids + 1) * (place * 0x9E3779 + 0x85EBCA) * input_mask  # wraps around
    of_sources = tf.reduce_sum(tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, 15)), axis=1)
    seed = settings.seed % (1 << 30)  # an int32, also with the number of a text
    of_texts = tf.repeat(of_sources, settings.num_best)
    numbers = tf.tile(tf.range(settings.num_best), [tf.shape(input_ids)[0]])

    def of_one(source_and_number: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        source, number = source_and_number
        return tf.random.stateless_uniform([settings.max_length], tf.stack([seed + number, source]))

    return tf.map_fn(of_one, (of_texts, numbers), fn_output_signature=tf.float32)


def drawn(logs: tf.Tensor, numbers: tf.Tensor, settings: DecodingSettings) -> tf.Tensor:
    """A token for each row, drawn among the likeliest whose probabilities add up to `top_p`.

    Args:
      logs: log probabilities `[R, V]`.
      numbers: float32 `[R]`, from 0 to 1.
      settings: `top_p` and `temperature`.

    Returns:
      int32 `[R]`.

    Source: nucleus sampling, arXiv:1904.09751.
    """
    probabilities = tf.nn.softmax(logs / settings.temperature)
    ordered, order = tf.nn.top_k(probabilities, tf.shape(probabilities)[1])
    upto = tf.cumsum(ordered, axis=1)
    is_kept = upto - ordered < float(settings.top_p or 1.0)  # the likeliest is always kept
    kept = tf.reduce_sum(tf.where(is_kept, ordered, 0.0), axis=1)
    place = tf.reduce_sum(tf.cast(upto <= (numbers * kept)[:, tf.newaxis], tf.int32), axis=1)
    last = tf.reduce_sum(tf.cast(is_kept, tf.int32), axis=1) - 1
    return tf.gather(order, tf.minimum(place, last), batch_dims=1)
