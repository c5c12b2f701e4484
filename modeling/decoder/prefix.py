"""BERT itself goes on where its input ends.

Source positions see each other; target positions see the source and what stands before them. What predicts the first
token of a target is the output at the last `[SEP]` of the source. The weights are those of the encoder alone.

Source: arXiv:1905.03197, sequence-to-sequence masks. Differs: the next token is predicted from the token before it, as
left-to-right language models do it, and not from a `[MASK]` in its place.
"""

from typing import final

import tensorflow as tf

from modeling.decoder.base import Decoder, State
from modeling.decoder.layers import KeysValues, keys_values, writing_layer
from modeling.encoder.precision import as_type
from modeling.encoder.unpadding import Layout


@final
class PrefixDecoder(Decoder):
    """The encoder's own layers, on the tokens of targets."""

    def taught(self, target_ids: tf.Tensor) -> tuple[tf.Tensor, Layout]:
        """As `Decoder.taught`."""
        is_token = tf.not_equal(target_ids, self.tokens.pad)
        goes_in = self.encoder.layout_of(is_token[:, 1:])  # the last token of a text predicts nothing
        rows, _ = self._layers(target_ids[:, :-1], tf.zeros([], tf.int32), goes_in, None)
        outputs = tf.concat([self._first()[:, tf.newaxis], goes_in.unpack(rows)], axis=1)  # [B, T, H]
        layout = self.encoder.layout_of(is_token)
        return layout.pack(outputs), layout

    def begin(self, copies: int = 1) -> tuple[tf.Tensor, State]:
        """As `Decoder.begin`."""
        first = tf.repeat(self._first(), copies, axis=0)
        self._repeat(copies)
        heads = self.config.num_attention_heads
        size = self.config.hidden_size // heads
        nothing = tf.zeros([tf.shape(first)[0], heads, 0, size], self.read[0].keys.dtype)
        return first, State(tf.zeros([], tf.int32), tuple(KeysValues(nothing, nothing) for _ in self.read))

    def advance(self, ids: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """As `Decoder.advance`."""
        rows, written = self._layers(ids[:, tf.newaxis], state.length, self._one_token(ids), state.written)
        return rows, State(state.length + 1, written)

    def _read(self) -> list[KeysValues]:
        encoder = self.encoder
        found = []
        for index, rows in enumerate(encoder.layer_rows[:-1]):
            with (
                encoder.layer_scope(index),
                tf.compat.v1.variable_scope("attention"),
                tf.compat.v1.variable_scope("self"),
            ):
                # The same operations on the same tensors as in the encoder: TensorFlow computes them once.
                found.append(keys_values(rows, encoder.layout, encoder.layer_settings))
        return found

    def _first(self) -> tf.Tensor:
        return tf.gather(self.encoder.get_sequence_output(), tf.maximum(self.lengths - 1, 0), batch_dims=1)  # [B, H]

    def _layers(
        self, ids: tf.Tensor, length: tf.Tensor, layout: Layout, written: tuple[KeysValues, ...] | None
    ) -> tuple[tf.Tensor, tuple[KeysValues, ...]]:
        """Rows after the last layer of tokens int32 `[R, F]`, the first of which is token `length` of its text."""
        encoder = self.encoder
        positions = self.lengths[:, tf.newaxis] + length + tf.range(tf.shape(ids)[1])  # [R, F]
        # Positions of padding may lie behind the last one that there is.
        positions = tf.minimum(positions, self.config.longest_sequence - 1)
        segments = tf.fill(tf.shape(ids), self.tokens.second_segment)
        rows = encoder.embed(ids, segments, positions, layout)
        kept = []
        for index in range(self.config.num_hidden_layers):
            with encoder.layer_scope(index):
                before = None if written is None else written[index]
                rows, known = writing_layer(
                    rows, layout, encoder.layer_settings, self._seen(index), before, crosses=False
                )
                kept.append(known)
        return as_type(rows, tf.float32), tuple(kept)
