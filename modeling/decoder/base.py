"""The contract of a decoder: taught with whole texts, or writing them a token at a time."""

import abc
from typing import NamedTuple

import tensorflow as tf

from modeling.config import BertConfig
from modeling.decoder.layers import KeysValues, Seen
from modeling.decoder.settings import TokenIds
from modeling.encoder.attention import attention_bias
from modeling.encoder.model import BertModel
from modeling.encoder.unpadding import Layout, PaddedLayout


class State(NamedTuple):
    """What a decoder remembers of the texts that it writes, for a `tf.while_loop`.

    Attributes:
      length: scalar int32, tokens that have gone in.
      written: for each layer the keys and values of these tokens.
    """

    length: tf.Tensor
    written: tuple[KeysValues, ...]

    def of_rows(self, rows: tf.Tensor) -> "State":
        """The state where row i goes on from what was row `rows[i]`; int32 `[R]`."""
        return State(self.length, tuple(one.of_rows(rows) for one in self.written))

    def invariants(self) -> "State":
        """Shapes that hold while texts grow."""
        shape = tf.TensorShape([None, self.written[0].keys.shape[1], None, self.written[0].keys.shape[3]])
        return State(tf.TensorShape([]), tuple(KeysValues(shape, shape) for _ in self.written))


class Decoder(abc.ABC):
    """Writes texts that depend on sources.

    Args:
      encoder: has read the sources, special tokens included.
      features: `input_mask` int32 `[B, S]` of the sources.
      config: of the encoder.
      tokens: that begin, end and fill up texts.
    """

    def __init__(
        self, encoder: BertModel, features: dict[str, tf.Tensor], config: BertConfig, tokens: TokenIds
    ) -> None:
        self.encoder, self.config, self.tokens = encoder, config, tokens
        mask = features["input_mask"]
        self.read = tuple(self._read())
        self.bias = attention_bias(mask[:, tf.newaxis])  # [B, 1, 1, S]
        self.lengths = tf.reduce_sum(mask, axis=1)  # [B]

    @abc.abstractmethod
    def taught(self, target_ids: tf.Tensor) -> tuple[tf.Tensor, Layout]:
        """What predicts each token of given texts, from all tokens before it.

        Args:
          target_ids: int32 `[B, T]`, each row ended and then filled up.

        Returns:
          `[N, H]`, one row for each token of the texts, and where the rows lie in `[B, T]`.
        """

    @abc.abstractmethod
    def begin(self, copies: int = 1) -> tuple[tf.Tensor, State]:
        """What predicts the first token of each text.

        Args:
          copies: how many texts are written for each source; those of a source follow each other.

        Returns:
          `[R, H]`, and the state.
        """

    @abc.abstractmethod
    def advance(self, ids: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """What predicts the token after those chosen last.

        Args:
          ids: int32 `[R]`, the tokens chosen last.
          state: as left by the step before.

        Returns:
          `[R, H]`, and the state.
        """

    @abc.abstractmethod
    def _read(self) -> list[KeysValues]:
        """What each layer finds in the sources."""

    def _one_token(self, ids: tf.Tensor) -> Layout:
        return PaddedLayout(tf.size(ids), 1)

    def _seen(self, layer: int) -> Seen:
        """What a layer finds in the sources of all texts that are written."""
        return Seen(self.read[layer], self.bias)

    def _repeat(self, copies: int) -> None:
        """Makes several rows of each source."""
        if copies > 1:
            self.read = tuple(KeysValues(*(tf.repeat(part, copies, axis=0) for part in one)) for one in self.read)
            self.bias, self.lengths = tf.repeat(self.bias, copies, axis=0), tf.repeat(self.lengths, copies)
