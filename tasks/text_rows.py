"""The text signature of an export in NumPy, for engines that are not TensorFlow."""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tokenization.base import Tokenizer

Arrays = dict[str, NDArray[Any]]
"""By the name of an input or an output."""


class ReadTexts(NamedTuple):
    """Texts as they go to the model.

    Args:
      features: inputs of the ids signature, int32 [R, longest row]; a text may have several rows.
      told: what `TextRows.outputs` has to know of the texts besides.
    """

    features: Arrays
    told: Any = None


class TextRows(abc.ABC):
    """Raw text -> what the ids signature takes, and its outputs -> those of the text signature; no TensorFlow.

    It is to its task's `TextSignature` what the featurizer is to records: the same ids, the same outputs.

    Attributes:
      input_names: of the texts.
    """

    input_names: tuple[str, ...]

    @classmethod
    @abc.abstractmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "TextRows":
        """What an export was made with.

        Args:
          tokenizer: of the export.
          settings: those of the tokenizer and of `TextSignature.settings`.
          assets: folder of the files of `TextSignature.assets`.
        """

    @abc.abstractmethod
    def read(self, inputs: Mapping[str, Sequence[Any]]) -> ReadTexts:
        """Tokenizes, cuts and joins; at least one row comes of it.

        Args:
          inputs: texts by input name, all of one length; an input that is left out is empty. Of an input that is a
            list of texts a row, lists of one length.
        """

    @abc.abstractmethod
    def outputs(self, predictions: Mapping[str, NDArray[Any]], read: ReadTexts) -> Arrays:
        """Outputs of the text signature, texts as bytes.

        Args:
          predictions: of the ids signature.
          read: what `read` gave for these texts.
        """


def as_bytes(texts: Any) -> NDArray[Any]:
    """Texts in lists of any depth and one length each, as an array of bytes."""
    return np.vectorize(str.encode, otypes=[object])(np.array(texts, dtype=object))
