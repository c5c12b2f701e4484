"""The head that writes text: teacher forcing in training, a search for the text in prediction.

T is the number of target positions of a row, V the size of the vocabulary.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, final

import tensorflow as tf

from modeling.config import BertConfig
from modeling.decoder import transformer
from modeling.decoder.base import Decoder
from modeling.decoder.prefix import PrefixDecoder
from modeling.decoder.search import write
from modeling.decoder.settings import PREFIX, DecodingSettings, TokenIds
from modeling.encoder.gradients import with_gradient
from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Head, Metrics, real_rows
from modeling.heads.masked_lm import Compare, compared, few_compared, token_scores

LOSSES, SMOOTHED, HITS = "losses", "smoothed_losses", "hits"
"""Keys of the logits for given targets, float32 `[B, T]`, zero where there is no token: cross-entropy; with label
smoothing also that to smoothed targets; and 1.0 where the token is the likeliest."""
IDS, LOG_PROBABILITIES = "ids", "log_probabilities"
"""Keys of what was written: int32 `[B, n, U]` and float32 `[B, n]`."""
TARGET_LOSSES, TARGET_TOKENS = "target_losses", "target_tokens"
"""Keys of predictions where targets are given, `[B]`: the sum of the losses of a row, and how many there are."""


@final
class SequenceHead(Head):
    """A text for each source, written by a decoder, whose tokens are scored by the masked-language-model head.

    `features` holds `target_ids` int32 `[B, T]` where targets are known: each ended, and filled up with padding.

    Args:
      config: the encoder's.
      tokens: that begin, end and fill up texts.
      decoding: how tokens are chosen.
      decoder: one of `modeling.decoder.settings.DECODERS`.
      num_layers: of a decoder that has layers of its own.
      starts_from_encoder: whether these layers start from the encoder's.
      label_smoothing: fraction of a training target that is spread over the vocabulary.

    Source: label smoothing: arXiv:1512.00567, section 7.
    """

    uses_every_layer = True

    def __init__(
        self,
        config: BertConfig,
        tokens: TokenIds,
        decoding: DecodingSettings,
        decoder: str = PREFIX,
        num_layers: int = 0,
        starts_from_encoder: bool = True,
        label_smoothing: float = 0.0,
    ) -> None:
        self.config, self.tokens, self.decoding = config, tokens, decoding
        self.decoder, self.num_layers, self.starts_from_encoder = decoder, num_layers, starts_from_encoder
        self.label_smoothing = label_smoothing

    def starts(self, names: Collection[str]) -> Mapping[str, str]:
        """The decoder's variables from the encoder's."""
        if self.decoder == PREFIX or not self.starts_from_encoder:
            return {}
        return transformer.starts(names, self.num_layers, self.config)

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> dict[str, tf.Tensor]:
        """What the targets cost where they are given, and what is written where this is no training."""
        decoder = self.decoder_over(encoder, features)
        found = self._taught(decoder, features["target_ids"]) if "target_ids" in features else {}
        if is_training:
            return found
        written = write(decoder, self._next_scores(encoder), self.decoding, features)
        return {**found, IDS: written.ids, LOG_PROBABILITIES: written.log_probabilities}

    def _next_scores(self, encoder: BertModel) -> Callable[[tf.Tensor], tf.Tensor]:
        """Scores of tokens while texts are written."""
        table = encoder.get_embedding_table()
        if self.decoding.texts_at_once == 1:
            return lambda rows: self.scores(table, rows, few_compared)
        # Transposing a table takes as long as it saves in 5 steps of 4 texts, and in 15 of one.
        columns = tf.transpose(table)
        return lambda rows: self.scores(columns, rows, tf.matmul)

    def decoder_over(self, encoder: BertModel, features: Features) -> Decoder:
        """What writes of the sources that an encoder has read."""
        if self.decoder == PREFIX:
            return PrefixDecoder(encoder, features, self.config, self.tokens)
        return transformer.TransformerDecoder(encoder, features, self.config, self.tokens, self.num_layers)

    def scores(self, words: tf.Tensor, rows: tf.Tensor, compare: Compare = compared) -> tf.Tensor:
        """Of every token, `[N, V]`, for rows `[N, H]` that predict one; `words` and `compare` as in `token_scores`."""
        with tf.compat.v1.variable_scope(tf.compat.v1.get_variable_scope(), reuse=tf.compat.v1.AUTO_REUSE):
            return token_scores(rows, words, self.config, compare)

    def _taught(self, decoder: Decoder, target_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Teacher forcing; only real tokens are scored."""
        # Where no row has a target there is no token either; two places keep every shape valid.
        lacking = tf.maximum(2 - tf.shape(target_ids)[1], 0)
        target_ids = tf.pad(target_ids, [[0, 0], [0, lacking]], constant_values=self.tokens.pad)
        rows, layout = decoder.taught(target_ids)
        scores = self.scores(decoder.encoder.get_embedding_table(), rows)  # [N, V]
        labels = layout.pack(target_ids[:, :, tf.newaxis])[:, 0]
        hits = tf.equal(tf.argmax(scores, axis=1, output_type=tf.int32), labels)
        by_token = {
            LOSSES: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores),
            HITS: tf.cast(hits, tf.float32),
        }
        if self.label_smoothing:
            by_token[SMOOTHED] = smoothed_losses(scores, labels, self.label_smoothing)
        is_token = self._is_token(target_ids)
        return {name: layout.unpack(values[:, tf.newaxis])[:, :, 0] * is_token for name, values in by_token.items()}

    def _is_token(self, target_ids: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.not_equal(target_ids, self.tokens.pad), tf.float32)

    def loss(self, logits: dict[str, tf.Tensor], features: Features) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean over all target tokens of the batch, and over those of each row `[B]`."""
        losses = logits[SMOOTHED if self.label_smoothing else LOSSES]
        of_rows, counts = tf.reduce_sum(losses, axis=1), self._counts(features)
        mean = tf.math.divide_no_nan(tf.reduce_sum(of_rows), tf.reduce_sum(counts))
        return mean, tf.math.divide_no_nan(of_rows, counts)

    def loss_weights(self, features: Features) -> dict[str, tf.Tensor]:
        """Target tokens."""
        return {"loss": tf.reduce_sum(self._counts(features))}

    def _counts(self, features: Features) -> tf.Tensor:
        """Target tokens of each row `[B]`; none of rows that fill up a batch."""
        counts = tf.reduce_sum(self._is_token(features["target_ids"]), axis=1)
        return counts * real_rows(features, counts)

    def predictions(self, logits: dict[str, tf.Tensor], features: Features) -> dict[str, tf.Tensor]:
        """`ids` int32 `[B, n, U]`, `log_probabilities` float32 `[B, n]`; of given targets `target_losses`,
        `target_tokens` float32 `[B]`.
        """
        found = {name: logits[name] for name in (IDS, LOG_PROBABILITIES)}
        if LOSSES in logits:
            found |= {TARGET_LOSSES: tf.reduce_sum(logits[LOSSES], axis=1), TARGET_TOKENS: self._counts(features)}
        return found

    def metrics(self, logits: dict[str, tf.Tensor], features: Features, per_example_loss: tf.Tensor) -> Metrics:
        """`eval_loss` and `eval_token_accuracy` over target tokens, each predicted from the true ones before it."""
        del per_example_loss
        weights = self._is_token(features["target_ids"]) * real_rows(features, logits[LOSSES][:, 0])[:, tf.newaxis]
        return {
            "eval_loss": tf.compat.v1.metrics.mean(logits[LOSSES], weights),
            "eval_token_accuracy": tf.compat.v1.metrics.mean(logits[HITS], weights),
        }


def smoothed_losses(scores: tf.Tensor, labels: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Cross-entropy to targets of which a fraction is spread evenly over the vocabulary, float32 `[N]`.

    Its gradient is written out, so that the scores, which are many, are gone over fewer times.

    Args:
      scores: float32 `[N, V]`.
      labels: int32 `[N]`.
      smoothing: the fraction.
    """

    @with_gradient
    def losses(scores: tf.Tensor, labels: tf.Tensor) -> Any:
        hard, slopes = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=scores, labels=labels)
        found = hard + smoothing * (tf.gather(scores, labels, batch_dims=1) - tf.reduce_mean(scores, axis=1))

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            spread = smoothing / tf.cast(tf.shape(scores)[1], tf.float32)
            places = tf.stack([tf.range(tf.size(labels)), labels], axis=1)
            even = upstream[:, tf.newaxis] * (slopes - spread)
            return tf.tensor_scatter_nd_add(even, places, smoothing * upstream), None

        return found, gradient

    return losses(scores, labels)
