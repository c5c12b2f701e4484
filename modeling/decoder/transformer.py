"""A new stack of layers that writes, and attends to what the encoder has read.

Word embeddings are those of the encoder. Positions, segments, layers and normalization are its own, under `decoder/`;
they may start from the encoder's.

Source: arXiv:1706.03762; starting from BERT's layers: arXiv:1907.12461.
"""

import re
from collections.abc import Collection, Mapping
from typing import final

import tensorflow as tf

from modeling.config import BertConfig
from modeling.decoder.base import Decoder, State
from modeling.decoder.layers import KeysValues, keys_values, writing_layer
from modeling.decoder.settings import TokenIds
from modeling.encoder.embeddings import gathered_position_embeddings, token_type_embeddings
from modeling.encoder.layers import dense, layer_norm_and_dropout
from modeling.encoder.model import BertModel
from modeling.encoder.precision import as_type
from modeling.encoder.unpadding import Layout

SCOPE = "decoder"
_LAYER = re.compile(rf"^{SCOPE}/layer_(\d+)/")


@final
class TransformerDecoder(Decoder):
    """Layers with attention to what was written, then to what the encoder gives.

    Args:
      encoder, features, config, tokens: as for `Decoder`.
      num_layers: of the decoder.
    """

    def __init__(
        self,
        encoder: BertModel,
        features: dict[str, tf.Tensor],
        config: BertConfig,
        tokens: TokenIds,
        num_layers: int,
    ) -> None:
        self._num_layers = num_layers
        self._scope = tf.compat.v1.get_variable_scope()
        super().__init__(encoder, features, config, tokens)

    def taught(self, target_ids: tf.Tensor) -> tuple[tf.Tensor, Layout]:
        """As `Decoder.taught`."""
        is_token = tf.not_equal(target_ids, self.tokens.pad)
        begin = tf.fill([tf.shape(target_ids)[0], 1], self.tokens.begin)
        layout = self.encoder.layout_of(is_token)
        ids = tf.concat([begin, target_ids[:, :-1]], axis=1)
        rows, _ = self._layers(ids, tf.zeros([], tf.int32), layout, None)
        return rows, layout

    def begin(self, copies: int = 1) -> tuple[tf.Tensor, State]:
        """As `Decoder.begin`."""
        self._repeat(copies)
        ids = tf.fill([tf.size(self.lengths), 1], self.tokens.begin)
        rows, written = self._layers(ids, tf.zeros([], tf.int32), self._one_token(ids), None)
        return rows, State(tf.ones([], tf.int32), written)

    def advance(self, ids: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """As `Decoder.advance`."""
        rows, written = self._layers(ids[:, tf.newaxis], state.length, self._one_token(ids), state.written)
        return rows, State(state.length + 1, written)

    def _read(self) -> list[KeysValues]:
        encoder = self.encoder
        found = []
        for index in range(self._num_layers):
            with (
                tf.compat.v1.variable_scope(self._scope, reuse=tf.compat.v1.AUTO_REUSE),
                tf.compat.v1.variable_scope(f"{SCOPE}/layer_{index}/crossattention/self"),
            ):
                found.append(keys_values(encoder.layer_rows[-1], encoder.layout, encoder.layer_settings))
        return found

    def _layers(
        self, ids: tf.Tensor, length: tf.Tensor, layout: Layout, written: tuple[KeysValues, ...] | None
    ) -> tuple[tf.Tensor, tuple[KeysValues, ...]]:
        """Rows after the last layer of tokens int32 `[R, F]`, the first of which is token `length` of its text."""
        settings = self.encoder.layer_settings
        kept = []
        with (
            tf.compat.v1.variable_scope(self._scope, reuse=tf.compat.v1.AUTO_REUSE),
            tf.compat.v1.variable_scope(SCOPE),
        ):
            rows = self._embed(ids, length, layout)
            for index in range(self._num_layers):
                with tf.compat.v1.variable_scope(f"layer_{index}"):
                    before = None if written is None else written[index]
                    rows, known = writing_layer(rows, layout, settings, self._seen(index), before, crosses=True)
                    kept.append(known)
        return as_type(rows, tf.float32), tuple(kept)

    def _embed(self, ids: tf.Tensor, length: tf.Tensor, layout: Layout) -> tf.Tensor:
        config = self.config
        width, spread = config.embedding_width, config.initializer_range
        with tf.compat.v1.variable_scope("embeddings"):
            words = tf.gather(self.encoder.get_embedding_table(), ids)
            if config.family.has_segments:
                words += token_type_embeddings(tf.zeros_like(ids), config.type_vocab_size, width, spread)
            positions = tf.minimum(length + tf.range(tf.shape(ids)[1]), config.longest_sequence - 1)
            positions = (positions + config.family.position_offset)[tf.newaxis]
            words += gathered_position_embeddings(positions, config.max_position_embeddings, width, spread)
            rows = layer_norm_and_dropout(
                layout.pack(words), self.encoder.layer_settings.hidden_dropout_prob, epsilon=config.layer_norm_eps
            )
            rows = as_type(rows, self.encoder.layer_rows[0].dtype)
            return rows if width == config.hidden_size else dense(rows, config.hidden_size, "projection", None, spread)


def starts(names: Collection[str], num_layers: int, config: BertConfig) -> Mapping[str, str]:
    """Which variable of the encoder each of the decoder's can start from.

    Layers are spread over the encoder's from the first to the last. Attention to what was read has no counterpart and
    is not named.

    Args:
      names: of the decoder's variables; others are left out.
      num_layers: of the decoder.
      config: of the encoder.
    """
    found = {}
    for name in names:
        match = _LAYER.match(name)
        if match and "/crossattention/" not in name:
            last = config.num_hidden_layers - 1
            layer = round(int(match[1]) * last / max(num_layers - 1, 1)) if num_layers > 1 else last
            found[name] = f"bert/encoder/layer_{layer}/{name[match.end() :]}"
        elif name.startswith(f"{SCOPE}/embeddings/"):
            found[name] = f"bert/{name.removeprefix(f'{SCOPE}/')}"
    return found
