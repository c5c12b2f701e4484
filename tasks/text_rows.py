"""The text signature of an export in NumPy, for engines that are not TensorFlow."""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from tokenization.base import Tokenizer

Arrays = dict[str, NDArray[Any]]
"""By the name of an input or an output."""


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
    def features(self, inputs: Mapping[str, Sequence[str]]) -> Arrays:
        """Inputs of the ids signature, int32 [N, longest row].

        Args:
          inputs: texts by input name, all of one length; an input that is left out is empty.
        """

    @abc.abstractmethod
    def outputs(self, predictions: Mapping[str, NDArray[Any]], features: Mapping[str, NDArray[Any]]) -> Arrays:
        """Outputs of the text signature, texts as bytes.

        Args:
          predictions: of the ids signature.
          features: what `features` gave for these rows.
        """
