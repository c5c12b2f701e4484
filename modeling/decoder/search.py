"""Tokens chosen one after the other: the likeliest each time.

Shapes: R texts, U tokens written of each so far, V tokens of the vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from modeling.decoder.base import Decoder, State
from modeling.decoder.settings import DecodingSettings, TokenIds

FORBIDDEN = -1e9
"""Score of a token that must not be chosen."""

Scores = Callable[[tf.Tensor], tf.Tensor]
"""Rows float32 `[R, H]` -> scores of every token `[R, V]`."""


class Written(NamedTuple):
    """Texts that were written.

    Attributes:
      ids: int32 `[B, n, U]`, each text up to the token that ends it, then filled up; the best text of a source first.
      log_probabilities: float32 `[B, n]`, of all tokens of a text together.
    """

    ids: tf.Tensor
    log_probabilities: tf.Tensor


def write(decoder: Decoder, scores: Scores, settings: DecodingSettings) -> Written:
    """Writes a text for each source, as the settings say."""
    return _greedy(decoder, scores, settings)


class _Texts(NamedTuple):
    """Texts in the making: ids int32 `[R, U]`, whether they have ended, log probabilities, and the decoder's state."""

    ids: tf.Tensor
    has_ended: tf.Tensor
    totals: tf.Tensor
    state: State


def _greedy(decoder: Decoder, scores: Scores, settings: DecodingSettings) -> Written:
    """The likeliest token each time."""
    tokens, vocabulary = decoder.tokens, decoder.config.vocab_size
    never = forbidden(tokens, vocabulary)

    def choose(rows: tf.Tensor, texts: _Texts, state: State) -> _Texts:
        logs = tf.nn.log_softmax(scores(rows) + never)
        chosen = tf.argmax(logs, axis=1, output_type=tf.int32)
        gained = tf.gather(logs, chosen, batch_dims=1)
        chosen = tf.where(texts.has_ended, tokens.pad, chosen)
        return _Texts(
            tf.concat([texts.ids, chosen[:, tf.newaxis]], axis=1),
            texts.has_ended | tf.equal(chosen, tokens.end),
            texts.totals + tf.where(texts.has_ended, 0.0, gained),
            state,
        )

    def goes_on(*flat: tf.Tensor) -> tf.Tensor:
        texts = _Texts(*flat)
        return (tf.shape(texts.ids)[1] < settings.max_length) & ~tf.reduce_all(texts.has_ended)

    def step(*flat: tf.Tensor) -> tuple[tf.Tensor, ...]:
        texts = _Texts(*flat)
        rows, state = decoder.advance(texts.ids[:, -1], texts.state)
        return tuple(choose(rows, texts, state))

    rows, state = decoder.begin()
    count = tf.shape(rows)[0]
    nothing = _Texts(tf.zeros([count, 0], tf.int32), tf.zeros([count], tf.bool), tf.zeros([count]), state)
    first = choose(rows, nothing, state)
    of_rows = tf.TensorShape([None])
    shapes = _Texts(tf.TensorShape([None, None]), of_rows, of_rows, state.invariants())
    ended = _Texts(*tf.while_loop(goes_on, step, list(first), shape_invariants=list(shapes)))
    return Written(ended.ids[:, tf.newaxis], ended.totals[:, tf.newaxis])


def forbidden(tokens: TokenIds, vocabulary: int) -> tf.Tensor:
    """What to add to the scores `[V]`, so that no text has a token that none may have."""
    return tf.constant([FORBIDDEN if index in tokens.never else 0.0 for index in range(vocabulary)])
