"""Tokens chosen one after the other: the likeliest each time, or drawn."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from modeling.decoder.base import Decoder, State
from modeling.decoder.beam import search
from modeling.decoder.choices import Rules, Written, drawn, draws
from modeling.decoder.settings import DecodingSettings

Scores = Callable[[tf.Tensor], tf.Tensor]
"""Rows float32 `[R, H]` -> scores of every token `[R, V]`."""


class _Texts(NamedTuple):
    """Texts in the making: ids int32 `[R, U]`, whether they have ended, log probabilities, and the decoder's state."""

    ids: tf.Tensor
    has_ended: tf.Tensor
    totals: tf.Tensor
    state: State


def write(decoder: Decoder, scores: Scores, settings: DecodingSettings, features: dict[str, tf.Tensor]) -> Written:
    """Writes texts for each source, as the settings say.

    Args:
      decoder: over the sources.
      scores: of tokens.
      settings: how they are chosen.
      features: `input_ids` and `input_mask` of the sources.
    """
    rules = Rules(decoder.tokens, settings, decoder.config.vocab_size)
    if settings.beam_size > 1:
        return search(decoder, scores, rules, settings)
    if settings.top_p is None:
        return _one_by_one(decoder, scores, rules, settings, None)
    written = _one_by_one(
        decoder, scores, rules, settings, draws(features["input_ids"], features["input_mask"], settings)
    )
    return _best_first(written)


def _one_by_one(
    decoder: Decoder, scores: Scores, rules: Rules, settings: DecodingSettings, numbers: tf.Tensor | None
) -> Written:
    """Each text on its own: the likeliest token each time, or one drawn with the numbers `[R, max_length]`."""
    tokens = decoder.tokens
    copies = 1 if numbers is None else settings.num_best

    def choose(rows: tf.Tensor, texts: _Texts, state: State) -> _Texts:
        logs = rules.log_probabilities(scores(rows), texts.ids)
        if numbers is None:
            chosen = tf.argmax(logs, axis=1, output_type=tf.int32)
        else:
            chosen = drawn(logs, numbers[:, tf.shape(texts.ids)[1]], settings)
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

    rows, state = decoder.begin(copies)
    count = tf.shape(rows)[0]
    nothing = _Texts(tf.zeros([count, 0], tf.int32), tf.zeros([count], tf.bool), tf.zeros([count]), state)
    first = choose(rows, nothing, state)
    of_rows = tf.TensorShape([None])
    shapes = _Texts(tf.TensorShape([None, None]), of_rows, of_rows, state.invariants())
    ended = _Texts(*tf.while_loop(goes_on, step, list(first), shape_invariants=list(shapes)))
    return Written(tf.reshape(ended.ids, [-1, copies, tf.shape(ended.ids)[1]]), tf.reshape(ended.totals, [-1, copies]))


def _best_first(written: Written) -> Written:
    """The texts of each source in the order of their log probabilities."""
    values, order = tf.nn.top_k(written.log_probabilities, tf.shape(written.log_probabilities)[1])
    return Written(tf.gather(written.ids, order, batch_dims=1), values)
