"""The BERT encoder: graph code whose variable names are Google's checkpoint format."""

import contextlib
import copy
from collections.abc import Iterator

import tensorflow as tf

from modeling.config import BertConfig
from modeling.encoder.attention import (
    LayerSettings,
    attention_bias,
    attention_layer,
    create_attention_mask_from_input_mask,
    create_attention_mask_from_sequence_ids,
    encode,
    layer_name,
    transformer_model,
)
from modeling.encoder.embeddings import (
    embedding_lookup,
    embedding_postprocessor,
    gathered_position_embeddings,
    position_embeddings,
    token_type_embeddings,
)
from modeling.encoder.inserted import Inserted
from modeling.encoder.layers import dense, dropout, get_activation, layer_norm_and_dropout, training_form
from modeling.encoder.precision import as_type
from modeling.encoder.shapes import get_shape_list
from modeling.encoder.unpadding import Layout, PackedLayout, PaddedLayout
from modeling.insertions import Insertions

__all__ = [
    "BertModel",
    "attention_layer",
    "create_attention_mask_from_input_mask",
    "embedding_lookup",
    "embedding_postprocessor",
    "transformer_model",
]


class BertModel:
    """Bidirectional Encoder Representations from Transformers, and encoders of related families.

    `config.model_type` names the family, see `modeling.families`; its variables have the names of BERT's.

    Args:
      config: sizes, activation, dropout; copied, so later changes to it have no effect.
      is_training: whether dropout is on.
      input_ids: int32 `[B, S]`.
      input_mask: int32 `[B, S]`, 1 for a real token; all ones by default.
      token_type_ids: int32 `[B, S]`, segments; zeros by default.
      use_one_hot_embeddings: look words up by matrix multiplication, as TPUs prefer.
      scope: variable scope, `bert` by default.
      packed: leave padding out of everything but attention. Real tokens, the pooled output and the gradients keep
        their values; padding positions of every output are zero. Shapes become dynamic, so not for TPU or XLA.
      pooled_only: compute of the last layer only what the pooled output needs, its first tokens. The sequence output
        is then not available.
      recompute: keep for the backward pass only what goes into each layer, and compute the layer again in it.
      compute_dtype: what the layers multiply in: float32, bfloat16 or float16. Variables, embeddings, the pooler and
        every output are float32.
      position_ids: int32 `[B, S]`, the position of each token in its sequence; 0, 1, ..., S - 1 by default.
      sequence_ids: int32 `[B, S]`, where several sequences share a row: attention stays within equal numbers; 0 for
        padding, as in `input_mask`. By default a row is one sequence.
      insertions: adapters or low-rank deltas in the layers; by default none.

    Attributes:
      layout: where the rows of tokens lie in the batch.
      layer_settings: what the layers have in common.
      layer_rows: `[N, H]` in the type to compute in: what goes into the first layer, and what comes out of each.

    Source: arXiv:1810.04805; google-research/bert `modeling.BertModel`.
    Differences: `packed` and all that follow are new; without them every position has upstream's value.
    """

    def __init__(  # noqa: PLR0913 - upstream's signature
        self,
        config: BertConfig,
        is_training: bool,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        token_type_ids: tf.Tensor | None = None,
        use_one_hot_embeddings: bool = False,
        scope: str | None = None,
        *,
        packed: bool = False,
        pooled_only: bool = False,
        recompute: bool = False,
        compute_dtype: tf.DType = tf.float32,
        position_ids: tf.Tensor | None = None,
        sequence_ids: tf.Tensor | None = None,
        insertions: Insertions = None,
    ) -> None:
        config.check_heads()
        config = copy.deepcopy(config)
        if not is_training:
            config.hidden_dropout_prob = 0.0
            config.attention_probs_dropout_prob = 0.0
        batch_size, seq_length = get_shape_list(input_ids, expected_rank=2)
        if token_type_ids is None:
            token_type_ids = tf.zeros([batch_size, seq_length], tf.int32)
        self._pooled_only = pooled_only
        self.layout: Layout = PaddedLayout(batch_size, seq_length)
        if packed and input_mask is not None:
            self.layout = PackedLayout(input_mask, config.num_attention_heads)
        self._config, self._is_training = config, is_training
        self._one_hot, self._compute_dtype = use_one_hot_embeddings, compute_dtype
        self.layer_settings = _layer_settings(config, is_training, recompute and is_training, insertions)
        with tf.compat.v1.variable_scope(scope, default_name="bert") as self._scope:
            rows, embedded = self._embed(input_ids, token_type_ids, position_ids, self.layout)
            self.embedding_output = self.layout.unpack(embedded)
            bias = _attention_bias(input_mask, sequence_ids)
            with tf.compat.v1.variable_scope("encoder"):
                layers = encode(rows, self.layout, bias, self.layer_settings, config.num_hidden_layers, pooled_only)
            self.layer_rows = [rows, *layers]
            layers = [as_type(rows, tf.float32) for rows in layers]
            self._set_outputs(layers)
            with tf.compat.v1.variable_scope("pooler") as self._pooler:
                self.first_token = layers[-1] if pooled_only else self.layout.first(layers[-1])  # [B, H]
                self.pooled_output = self._pooled(self.first_token)

    def _embed(
        self, input_ids: tf.Tensor, token_type_ids: tf.Tensor, position_ids: tf.Tensor | None, layout: Layout
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows `[N, H]` for the first layer, in the type to compute in, and the embeddings that they are made of."""
        config = self._config
        spread, width, family = config.initializer_range, config.embedding_width, config.family
        with tf.compat.v1.variable_scope("embeddings"):
            summed, self.embedding_table = embedding_lookup(
                input_ids, config.vocab_size, width, spread, use_one_hot_embeddings=self._one_hot
            )
            if family.has_segments:
                summed += token_type_embeddings(token_type_ids, config.type_vocab_size, width, spread)
            positions, offset = config.max_position_embeddings, family.position_offset
            if position_ids is None:
                summed += position_embeddings(summed, positions, spread, offset=offset)
            else:
                summed += gathered_position_embeddings(position_ids + offset, positions, width, spread)
            embedded = layer_norm_and_dropout(
                layout.pack(summed), config.hidden_dropout_prob, epsilon=config.layer_norm_eps
            )
            rows = as_type(embedded, self._compute_dtype)
            if width != config.hidden_size:
                rows = dense(rows, config.hidden_size, "projection", None, spread)
            return rows, embedded

    def embed(
        self, input_ids: tf.Tensor, token_type_ids: tf.Tensor, position_ids: tf.Tensor, layout: Layout
    ) -> tf.Tensor:
        """Further tokens as they would go into the first layer.

        Args:
          input_ids, token_type_ids, position_ids: int32 `[B, T]`.
          layout: of these tokens.

        Returns:
          `[N, H]`, in the type that the layers compute in.
        """
        with tf.compat.v1.variable_scope(self._scope, reuse=True):
            return self._embed(input_ids, token_type_ids, position_ids, layout)[0]

    @contextlib.contextmanager
    def layer_scope(self, index: int) -> Iterator[None]:
        """The variable scope of a layer, to compute more of it with the same weights."""
        name = layer_name(index, self._config.num_hidden_layers, self.layer_settings.groups)
        with (
            tf.compat.v1.variable_scope(self._scope, reuse=True),
            tf.compat.v1.variable_scope("encoder"),
            tf.compat.v1.variable_scope(name),
        ):
            yield

    def layout_of(self, mask: tf.Tensor) -> Layout:
        """A layout of further tokens, that leaves padding out where this encoder does.

        Args:
          mask: bool or int32 `[B, T]`, true for a real token.
        """
        if isinstance(self.layout, PackedLayout):
            return PackedLayout(tf.cast(mask, tf.int32), self._config.num_attention_heads)
        return PaddedLayout(*get_shape_list(mask, expected_rank=2))

    def _set_outputs(self, layers: list[tf.Tensor]) -> None:
        complete = layers[:-1] if self._pooled_only else layers
        self.all_encoder_layers = [self.layout.unpack(rows) for rows in complete]
        self.sequence_output = None if self._pooled_only else self.all_encoder_layers[-1]

    def _pooled(self, rows: tf.Tensor) -> tf.Tensor:
        pooler, config = self._config.family.pooler, self._config
        if pooler.drops_input:
            rows = dropout(rows, self.classifier_dropout if self._is_training else 0.0)
        activation = get_activation(pooler.activation)
        return dense(rows, config.hidden_size, "dense", activation, config.initializer_range)

    @property
    def classifier_dropout(self) -> float:
        """Probability of dropping a value that a classifier reads while it is trained."""
        return self._config.classifier_dropout

    def get_pooled_output(self) -> tf.Tensor:
        """First token of the last layer through a tanh layer, or that of the family: float32 `[B, H]`."""
        return self.pooled_output

    @property
    def config(self) -> BertConfig:
        """Of the encoder, with the dropout that it has now."""
        return self._config

    def pool(self, rows: tf.Tensor) -> tf.Tensor:
        """The pooled output of other tokens than the first of a row.

        Args:
          rows: float32 `[N, H]`, vectors of the last layer.

        Returns:
          float32 `[N, H]`, through the same layer.
        """
        with tf.compat.v1.variable_scope(self._pooler, reuse=True):
            return self._pooled(rows)

    def get_sequence_output(self) -> tf.Tensor:
        """Last layer: float32 `[B, S, H]`.

        Raises:
          ValueError: the model was built with `pooled_only`.
        """
        self._refuse_if_pooled_only()
        return self.sequence_output

    def get_all_encoder_layers(self) -> list[tf.Tensor]:
        """Every layer, first to last: float32 `[B, S, H]` each.

        Raises:
          ValueError: the model was built with `pooled_only`.
        """
        self._refuse_if_pooled_only()
        return self.all_encoder_layers

    def get_embedding_output(self) -> tf.Tensor:
        """Normalized sum of word, segment and position: float32 `[B, S, H]`, or `[B, S, embedding_size]`."""
        return self.embedding_output

    def get_embedding_table(self) -> tf.Variable:
        """Word embeddings: float32 `[vocab_size, H]`, or `[vocab_size, embedding_size]`."""
        return self.embedding_table

    def _refuse_if_pooled_only(self) -> None:
        if self._pooled_only:
            raise ValueError("this BertModel was built with pooled_only=True, so its sequence output is incomplete")


def _attention_bias(input_mask: tf.Tensor | None, sequence_ids: tf.Tensor | None) -> tf.Tensor | None:
    """`[B, 1, 1, S]`, or `[B, 1, S, S]` where sequences share a row; None where everything attends to everything."""
    if sequence_ids is not None:
        return attention_bias(create_attention_mask_from_sequence_ids(sequence_ids))
    return None if input_mask is None else attention_bias(input_mask[:, tf.newaxis])


def _layer_settings(config: BertConfig, is_training: bool, recompute: bool, insertions: Insertions) -> LayerSettings:
    activation = get_activation(config.hidden_act)
    return LayerSettings(
        num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        intermediate_act_fn=training_form(activation) if is_training else activation,
        hidden_dropout_prob=config.hidden_dropout_prob,
        attention_probs_dropout_prob=config.attention_probs_dropout_prob,
        initializer_range=config.initializer_range,
        recompute=recompute,
        layer_norm_eps=config.layer_norm_eps,
        groups=config.num_hidden_groups,
        inserted=Inserted(insertions, is_training),
    )
