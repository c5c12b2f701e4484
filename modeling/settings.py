"""Which encoder is built, and how it computes; readable without TensorFlow."""

import dataclasses
from typing import Any

from modeling.insertions import Insertions
from modeling.parameter_groups import WEIGHT_DECAY
from modeling.reading import DEFAULT_READING, Reading

CACHES = ("float32", "float16")
FLOAT32, BF16, FP16 = "float32", "bf16", "fp16"
"""What the layers of the encoder multiply in."""


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """The encoder and where its first weights come from.

    Args:
      bert_config: a `modeling.BertConfig`.
      init_checkpoint: TensorFlow or Hugging Face weights to start from; None trains from scratch.
      use_one_hot_embeddings: look words up by matrix product, which TPUs do faster.
      reading: what heads read of the encoder.
      insertions: adapters or low-rank deltas in its layers.
      base_fingerprint: of `init_checkpoint`, where every command reads it; None where it is not compared.
      init_adapter: TensorFlow checkpoint of what is inserted, and perhaps of a head, to start from.
      cached_as: one of `CACHES`, in which a wholly frozen encoder's outputs are kept; None computes them anew.
      is_cut: whether the encoder ends below the last layer of `init_checkpoint`, whose further layers are not read.
      added_rows: how many rows the embedding table has beyond that of `init_checkpoint`.
      label_places: where in the head of `init_checkpoint` each label of the task lies; none where it is in their order.
    """

    bert_config: Any
    init_checkpoint: str | None = None
    use_one_hot_embeddings: bool = False
    reading: Reading = DEFAULT_READING
    insertions: Insertions = None
    init_adapter: str | None = None
    is_cut: bool = False
    cached_as: str | None = None
    label_places: tuple[int, ...] = ()
    added_rows: int = 0
    base_fingerprint: str | None = None

    @property
    def needs_base(self) -> bool:
        """Whether checkpoints of a run leave out what `init_checkpoint` holds, so that it is read in every command."""
        return self.insertions is not None or self.cached_as is not None


@dataclasses.dataclass(frozen=True)
class UpdateRule:
    """The optimizer's numbers, with upstream's as defaults.

    Args:
      weight_decay: fraction of a weight to take off each step, times the rate; none of biases and normalizations.
      adam_beta1: decay of the gradients' mean.
      adam_beta2: decay of the squared gradients' mean.
      adam_epsilon: added to the root of the latter.
      clip_norm: largest global norm of the gradients that is left as it is.
      adam_bias_correction: correct both means for their start at zero.
      decay_after_warmup: the rate falls from its peak at the end of warm-up, in place of a fall counted from the start.
    """

    weight_decay: float = WEIGHT_DECAY
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-6
    clip_norm: float = 1.0
    adam_bias_correction: bool = False
    decay_after_warmup: bool = False


UPSTREAMS_RULE = UpdateRule()
