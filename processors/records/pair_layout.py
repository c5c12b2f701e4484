"""How special tokens join one text or two to a sequence: `[CLS] a [SEP]` and `[CLS] a [SEP] b [SEP]` for BERT.

The arithmetic is written for numbers and holds for tensors of them, so that records and exports share it.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tokenization.base import TextEncoder

if TYPE_CHECKING:
    import tensorflow as tf

Token = TypeVar("Token")
Count = TypeVar("Count", int, "tf.Tensor")


@dataclasses.dataclass(frozen=True)
class PairLayout(Generic[Token]):
    """The places of texts and special tokens in a sequence; of ids, or of tokens as text.

    Args:
      cls: the token that begins a sequence.
      sep: the token that ends a text.
      pad: id of padding.
      separators: how many `sep` stand between two texts.
      second_segment: segment of the second text; the first is of segment 0.
    """

    cls: Token
    sep: Token
    pad: int = 0
    separators: int = 1
    second_segment: int = 1

    @staticmethod
    def of(tokenizer: TextEncoder) -> "PairLayout[int]":
        """The layout of ids that the model of a tokenizer was trained with."""
        ids, names = tokenizer.special_ids, tokenizer.special_tokens
        return PairLayout(ids.cls, ids.sep, ids.pad, names.pair_separators, names.second_segment)

    @property
    def specials_alone(self) -> int:
        """Special tokens of a sequence with one text."""
        return 2

    @property
    def specials_of_pair(self) -> int:
        """Special tokens of a sequence with two texts."""
        return 2 + self.separators

    def second_start(self, length_a: Count) -> Count:
        """Position of the first token of the second text, after a first of `length_a` tokens."""
        return length_a + (1 + self.separators)

    def join(self, a: Sequence[Token], b: Sequence[Token] | None = None) -> tuple[list[Token], list[int]]:
        """Tokens of a sequence, and their segments.

        Args:
          a: tokens of the first text.
          b: of the second; None where there is none.
        """
        if b is None:
            tokens = [self.cls, *a, self.sep]
            return tokens, [0] * len(tokens)
        tokens = [self.cls, *a, *[self.sep] * self.separators, *b, self.sep]
        # Of several separators between the texts the first belongs to the first text.
        first = len(a) + 2
        return tokens, [0] * first + [self.second_segment] * (len(tokens) - first)

    def features(self, a: Sequence[Token], b: Sequence[Token] | None = None) -> dict[str, Any]:
        """The encoder's inputs: `input_ids`, `input_mask`, `segment_ids`; see `join`."""
        ids, segments = self.join(a, b)
        return {"input_ids": ids, "input_mask": [1] * len(ids), "segment_ids": segments}

    def join_in_graph(
        self, ids_a: "tf.Tensor", ids_b: "tf.Tensor", length_a: "tf.Tensor", length_b: "tf.Tensor", has_b: "tf.Tensor"
    ) -> dict[str, "tf.Tensor"]:
        """`features` in a graph, padded.

        Args:
          ids_a: int32 [N, S], at each position of the sequence the token of the first text there, anything elsewhere.
          ids_b: likewise for the second text.
          length_a: int32 [N], tokens of the first text.
          length_b: int32 [N], tokens of the second, 0 where there is none.
          has_b: bool [N], whether there is a second text.
        """
        import tensorflow as tf

        position = tf.range(tf.shape(ids_a)[1])[tf.newaxis, :]
        first_end = (length_a + 1)[:, tf.newaxis]
        second_start = tf.where(has_b, self.second_start(length_a), length_a + 2)[:, tf.newaxis]
        length = tf.where(has_b, self.second_start(length_a) + length_b + 1, length_a + 2)[:, tf.newaxis]
        # tf.equal, not ==: in a graph of the first kind == compares tensors by identity.
        is_separator = ((position >= first_end) & (position < second_start)) | tf.equal(position, length - 1)
        ids = tf.where(is_separator, self.sep, tf.where(position < first_end, ids_a, ids_b))
        ids = tf.where(tf.equal(position, 0), self.cls, ids)
        is_token = position < length
        segments = tf.where((position > first_end) & is_token, self.second_segment, 0)
        return {
            "input_ids": tf.where(is_token, ids, self.pad),
            "input_mask": tf.cast(is_token, tf.int32),
            "segment_ids": segments,
        }
