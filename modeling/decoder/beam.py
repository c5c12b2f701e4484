"""Beam search: several texts of a source are followed at a time.

A text that ends counts if it is among the best `beam_size` continuations of its step, and is then put aside; the best
continuations that have not ended are followed. A source is done once `beam_size` texts are put aside, so that a beam of
1 is the likeliest token each time. The texts put aside are compared by log probability over length to the power of
`length_penalty`.

Source: the search of arXiv:1904.01038 (fairseq); normalization by length: arXiv:1609.08144, section 7. The beam search
of tensorflow/models also lets texts end that are not among the best, so that its beam of 1 is not the greedy text.

Shapes: B sources, K texts followed of each, R = B * K, U tokens written so far, V tokens of the vocabulary.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from modeling.decoder.base import Decoder, State
from modeling.decoder.choices import FORBIDDEN, Rules, Written
from modeling.decoder.settings import DecodingSettings

_NOTHING = FORBIDDEN / 2
"""Totals below this are of no text, or of one with a token that must not be chosen."""


class _Beams(NamedTuple):
    """Texts followed and put aside; ids int32 `[B, K, U]`, totals float32 `[B, K]`.

    `ended` has the ids of texts put aside, `ended_totals` their log probabilities, `ranks` what they are compared by.
    """

    ids: tf.Tensor
    totals: tf.Tensor
    ended: tf.Tensor
    ended_totals: tf.Tensor
    ranks: tf.Tensor
    state: State


def search(
    decoder: Decoder, scores: Callable[[tf.Tensor], tf.Tensor], rules: Rules, settings: DecodingSettings
) -> Written:
    """Writes the `num_best` texts of each source.

    Args:
      decoder: over the sources.
      scores: of tokens: rows `[R, H]` -> `[R, V]`.
      rules: which tokens may follow.
      settings: sizes and penalty.
    """
    beam = _Search(decoder.tokens.end, decoder.tokens.pad, settings)

    def extend(rows: tf.Tensor, beams: _Beams, state: State) -> _Beams:
        width = beams.ids.shape[1]
        written = tf.reshape(beams.ids, [-1, tf.shape(beams.ids)[2]])
        logs = rules.log_probabilities(scores(rows), written)
        return beam.extended(tf.reshape(logs, [-1, width, logs.shape[-1]]), beams, state)

    def goes_on(*flat: tf.Tensor) -> tf.Tensor:
        beams = _Beams(*flat)
        return (tf.shape(beams.ids)[2] < settings.max_length) & ~tf.reduce_all(beam.is_done(beams))

    def step(*flat: tf.Tensor) -> tuple[tf.Tensor, ...]:
        beams = _Beams(*flat)
        rows, state = decoder.advance(tf.reshape(beams.ids[:, :, -1], [-1]), beams.state)
        return tuple(extend(rows, beams, state))

    rows, state = decoder.begin(settings.beam_size)
    first = extend(rows, beam.nothing(tf.shape(rows)[0] // settings.beam_size, state), state)
    ids, totals = tf.TensorShape([None, settings.beam_size, None]), tf.TensorShape([None, settings.beam_size])
    shapes = _Beams(ids, totals, ids, totals, totals, state.invariants())
    return beam.best(_Beams(*tf.while_loop(goes_on, step, list(first), shape_invariants=list(shapes))))


class _Search:
    """The steps of a search, without the decoder.

    Args:
      end, pad: tokens that end and fill up texts.
      settings: sizes and penalty.
    """

    def __init__(self, end: int, pad: int, settings: DecodingSettings) -> None:
        self._end, self._pad, self._settings = end, pad, settings
        self._width = settings.beam_size

    def nothing(self, sources: tf.Tensor, state: State) -> _Beams:
        """Empty texts, the first of which is followed alone: the others would only repeat it."""
        ids = tf.zeros([sources, self._width, 0], tf.int32)
        totals = tf.tile(tf.constant([[0.0] + [FORBIDDEN] * (self._width - 1)]), [sources, 1])
        none = tf.fill([sources, self._width], FORBIDDEN)
        return _Beams(ids, totals, ids, none, none, state)

    def is_done(self, beams: _Beams) -> tf.Tensor:
        """Sources of which enough texts are put aside: bool `[B]`."""
        return tf.reduce_all(beams.ended_totals > _NOTHING, axis=1)

    def extended(self, logs: tf.Tensor, beams: _Beams, state: State) -> _Beams:
        """Every text with one more token.

        Args:
          logs: log probabilities of the next token `[B, K, V]`.
          beams: the texts.
          state: of the decoder, whose rows follow `beams`.
        """
        width, vocabulary = self._width, logs.shape[-1]
        sums = tf.reshape(beams.totals[:, :, tf.newaxis] + logs, [-1, width * vocabulary])
        # Sums of what is forbidden stay above what stands for texts that end.
        sums = tf.maximum(sums, 3 * FORBIDDEN)
        totals, places = tf.nn.top_k(sums, min(2 * width, width * vocabulary))  # [B, 2K]: half of them may end
        parents, tokens = places // vocabulary, places % vocabulary
        ids = tf.concat([tf.gather(beams.ids, parents, batch_dims=1), tokens[:, :, tf.newaxis]], axis=2)
        ends = tf.equal(tokens, self._end)
        put_aside = self._put_aside(beams, ids[:, :width], totals[:, :width], ends[:, :width])
        _, order = tf.nn.top_k(tf.where(ends, FORBIDDEN * 4, totals), width)
        sources = tf.range(tf.shape(ids)[0])[:, tf.newaxis] * width
        rows = tf.reshape(sources + tf.gather(parents, order, batch_dims=1), [-1])
        return _Beams(
            self._of_width(tf.gather(ids, order, batch_dims=1)),
            self._of_width(tf.gather(totals, order, batch_dims=1)),
            *put_aside,
            state.of_rows(rows),
        )

    def best(self, beams: _Beams) -> Written:
        """The best texts of each source; where too few have ended, also those that were cut off."""
        open_totals = tf.where(self.is_done(beams)[:, tf.newaxis], FORBIDDEN, beams.totals)
        ended = self._merged(beams, beams.ids, open_totals)
        count = self._settings.num_best
        return Written(ended[0][:, :count], ended[1][:, :count])

    def _put_aside(
        self, beams: _Beams, ids: tf.Tensor, totals: tf.Tensor, ends: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The texts put aside, with those that end now where a source is not done."""
        counts = ends & ~self.is_done(beams)[:, tf.newaxis] & (totals > _NOTHING)
        grown = tf.pad(beams.ended, [[0, 0], [0, 0], [0, 1]], constant_values=self._pad)
        return self._merged(beams._replace(ended=grown), ids, tf.where(counts, totals, FORBIDDEN))

    def _merged(self, beams: _Beams, ids: tf.Tensor, totals: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The best K of the texts put aside and others of length U: ids, log probabilities, ranks."""
        length = tf.cast(tf.shape(ids)[2], tf.float32)
        penalty = tf.pow(length, self._settings.length_penalty)
        ranks = tf.where(totals > _NOTHING, totals / penalty, FORBIDDEN)
        ranks, order = tf.nn.top_k(tf.concat([beams.ranks, ranks], axis=1), self._width)
        ids = tf.gather(tf.concat([beams.ended, ids], axis=1), order, batch_dims=1)
        totals = tf.gather(tf.concat([beams.ended_totals, totals], axis=1), order, batch_dims=1)
        return self._of_width(ids), self._of_width(totals), self._of_width(ranks)

    def _of_width(self, tensor: tf.Tensor) -> tf.Tensor:
        """The tensor, whose second dimension is known."""
        return tf.ensure_shape(tensor, [None, self._width, *[None] * (tensor.shape.rank - 2)])
