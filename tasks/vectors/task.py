"""Vectors of texts as a task: it has no data and is not trained, only exported."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modeling.heads.pooling import VectorReader
from processors.records.featurizer import PairFeaturizer
from tasks.base import AnswerSink, Collected, Task, TextSignature
from tasks.vectors.signature import VectorTextSignature
from tokenization.base import Tokenizer


@dataclasses.dataclass(frozen=True)
class VectorSettings:
    """How a text becomes a vector.

    Args:
      pooling: as for `VectorReader`.
      layers: indexes of the encoder's layers.
      uses_special_tokens: whether they count in means and maxima.
      normalize: scale vectors to length 1.
      max_seq_length: most tokens a row.
      shows_tokens: whether the export gives the tokens of a text, too.
    """

    pooling: str = "mean"
    layers: Sequence[int] = (-1,)
    uses_special_tokens: bool = True
    normalize: bool = False
    max_seq_length: int = 128
    shows_tokens: bool = False

    def reader(self, tokenizer: Tokenizer) -> VectorReader:
        """What reads such vectors off the encoder."""
        special = tokenizer.special_ids
        left_out = [] if self.uses_special_tokens else [special.cls, special.sep]
        return VectorReader(self.pooling, self.layers, left_out, self.normalize)


class VectorTask(Task):
    """Vectors of texts.

    Args:
      tokenizer: of the model.
      settings: how they are made.
    """

    name = "vectors"

    def __init__(self, tokenizer: Tokenizer, settings: VectorSettings) -> None:
        self.tokenizer: Tokenizer = tokenizer
        self._settings = settings
        self.featurizer = PairFeaturizer(tokenizer, settings.max_seq_length, (), "single_label")

    def head(self, is_training: bool) -> VectorReader:
        """A reader, which has no variables."""
        del is_training
        return self._settings.reader(self.tokenizer)

    def text_signature(self) -> TextSignature:
        """Texts to vectors."""
        settings = self._settings
        stated = {
            "pooling": settings.pooling,
            "layers": list(settings.layers),
            "special_tokens": settings.uses_special_tokens,
            "normalize": settings.normalize,
        }
        return VectorTextSignature(self.tokenizer, settings.max_seq_length, stated, settings.shows_tokens)

    def examples(self, split: str) -> Sequence[Any]:
        """None."""
        del split
        return ()

    def data_files(self, split: str) -> list[Path]:
        """None."""
        del split
        return []

    def source(self, split: str) -> dict[str, Any]:
        """Nothing."""
        del split
        return {}

    def identity(self) -> dict[str, Any]:
        """The task alone."""
        return {"task": self.name}

    def score(self, collected: Collected) -> dict[str, float]:
        """None."""
        del collected
        return {}

    def answers(self, folder: Path) -> contextlib.AbstractContextManager[AnswerSink]:
        """Files of vectors are written by `tasks.vectors.files`."""
        raise NotImplementedError("vectors are not written as predictions; see tasks.vectors.files")
