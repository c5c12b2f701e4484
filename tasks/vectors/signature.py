"""Raw text in, vectors out, in the graph: the text signature of an export of vectors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from processors.graph.pairs import pack_pairs
from processors.graph.tokenizer import in_graph
from processors.records.pair_layout import PairLayout
from tasks.classification.signature import PairTextSignature
from tasks.vectors.answers import TEXTS, TOKEN_SEPARATOR
from tokenization.base import Tokenizer

v1 = tf.compat.v1


class VectorTextSignature(PairTextSignature):
    """A text, a pair, or a text in tokens -> its vector, or a vector for each token.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens a row.
      stated: how vectors are made, as plain JSON, for clients of the export.
      shows_tokens: whether the tokens are an output, too.
    """

    def __init__(
        self, tokenizer: Tokenizer, max_seq_length: int, stated: Mapping[str, Any], shows_tokens: bool
    ) -> None:
        super().__init__(tokenizer, max_seq_length)
        self._stated = dict(stated)
        self._shows_tokens = shows_tokens
        self._read: tuple[Mapping[str, tf.Tensor], tf.Tensor] | None = None

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "VectorTextSignature":
        """As `TextSignature.of_export`."""
        return cls(tokenizer, settings["max_seq_length"], settings["vectors"], settings["shows_tokens"])

    def inputs(self) -> dict[str, tf.Tensor]:
        """Placeholders; `tokens` stands for `text_a` where it is not empty: tokens with `TOKEN_SEPARATOR` between."""
        tokens = v1.placeholder_with_default(tf.constant([""]), [None], "tokens")
        return super().inputs() | {"tokens": tokens}

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Tokenizes and joins; given tokens are looked up as they are, and unknown ones are unknown."""
        with tf.device("/cpu:0"):
            text_a = inputs["text_a"]
            rows = tf.size(text_a)
            text_b, tokens = (tf.broadcast_to(inputs[name], tf.shape(text_a)) for name in ("text_b", "tokens"))
            pieces = in_graph(self.tokenizer)(tf.concat([text_a, text_b], axis=0))
            second = pieces[rows:]
            is_given = tf.strings.length(tokens) > 0
            either = tf.concat([pieces[:rows], self._looked_up(tokens)], axis=0)
            first = tf.gather(either, tf.range(rows) + tf.cast(is_given, tf.int32) * rows)
            layout = PairLayout.of(self.tokenizer)
            found = pack_pairs(layout, first, second, second.row_lengths() > 0, self._max_seq_length)
            kept = layout.specials_alone + first.row_lengths() + second.row_lengths()
            kept += tf.cast(second.row_lengths() > 0, tf.int64) * (layout.specials_of_pair - layout.specials_alone)
        self._read = found, tf.cast(kept, tf.int32)
        return found

    def _looked_up(self, tokens: tf.Tensor) -> tf.RaggedTensor:
        """Ids of the tokens of each row, int32; by hash, as a table would have to be initialized by who loads it."""
        names = list(self.tokenizer.tokens)
        hashes, order = _sorted_hashes(names)
        split = tf.strings.split(tokens, TOKEN_SEPARATOR)
        wanted = tf.strings.to_hash_bucket_fast(split.flat_values, _BUCKETS)
        place = tf.minimum(tf.searchsorted(tf.constant(hashes), wanted), len(names) - 1)
        is_known = tf.equal(tf.gather(tf.constant(hashes), place), wanted)
        ids = tf.where(is_known, tf.gather(tf.constant(order), place), self.tokenizer.special_ids.unk)
        return split.with_flat_values(ids)

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`vectors` float32 `[N, D]`, or `[N, S, D]` of tokens, zero behind the last; `num_tokens` int32 `[N]`, and
        `all_tokens`, what they were before the text was cut; on request `tokens` string `[N, S]`.
        """
        if self._read is None:
            raise ValueError("features() comes before outputs()")
        features, all_tokens = self._read
        mask, vectors = features["input_mask"], predictions["vectors"]
        if vectors.shape.rank == 4:  # layers side by side
            shape = tf.shape(vectors)
            width = vectors.shape[2] * vectors.shape[3]
            vectors = tf.reshape(vectors, [shape[0], shape[1], width]) * tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        found = {"vectors": vectors, "num_tokens": tf.reduce_sum(mask, axis=1), "all_tokens": all_tokens}
        if self._shows_tokens:
            names = tf.gather(tf.constant(list(self.tokenizer.tokens)), features["input_ids"])
            found["tokens"] = tf.where(mask > 0, names, "")
        return found

    def settings(self) -> dict[str, Any]:
        """Also how vectors are made."""
        return super().settings() | {
            "problem_type": "vectors",
            "inputs": list(TEXTS),
            "vectors": self._stated,
            "shows_tokens": self._shows_tokens,
        }


_BUCKETS = 2**62


def _sorted_hashes(tokens: list[str]) -> tuple[Any, Any]:
    """Hashes int64 in ascending order, and the id of each, int32.

    Raises:
      ValueError: two tokens share one, which has a chance of one in a billion for a vocabulary of 60,000.
    """
    import numpy as np

    with tf.Graph().as_default(), v1.Session() as session:
        hashes = session.run(tf.strings.to_hash_bucket_fast(tf.constant(tokens), _BUCKETS))
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    if (hashes[1:] == hashes[:-1]).any():
        raise ValueError("two tokens of the vocabulary have the same hash")
    return hashes, order.astype(np.int32)
