"""Which encoder is built, and how it computes; readable without TensorFlow."""

import dataclasses
from typing import Any

FLOAT32, BF16, FP16 = "float32", "bf16", "fp16"
"""What the layers of the encoder multiply in."""


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The encoder and where its first weights come from.

    Args:
      bert_config: a `modeling.BertConfig`.
      init_checkpoint: TensorFlow or Hugging Face weights to start from; None trains from scratch.
      use_one_hot_embeddings: look words up by matrix product, which TPUs do faster.
    """

    bert_config: Any
    init_checkpoint: str | None = None
    use_one_hot_embeddings: bool = False
