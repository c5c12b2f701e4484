"""Small trained parts inside a frozen encoder: adapters and low-rank deltas. What they are, without TensorFlow."""

import dataclasses
from typing import Any

from common.errors import FlagError, closest
from modeling.parameter_groups import ParameterGroup

HOULSBY, PFEIFFER = "houlsby", "pfeiffer"
ADAPTERS = (HOULSBY, PFEIFFER)
ACTIVATIONS = ("gelu", "gelu_erf", "relu", "swish")
TARGETS = {
    "query": "attention/self/query",
    "key": "attention/self/key",
    "value": "attention/self/value",
    "attention_output": "attention/output/dense",
    "intermediate": "intermediate/dense",
    "output": "output/dense",
}
"""Linear layers of an encoder layer that can have a low-rank delta, by the names that `--lora_targets` gives them."""

_NORMS = ParameterGroup("layer normalization", "^bert/.*LayerNorm/", is_trained=True)
_BASE = ParameterGroup("base", "^bert/", is_trained=False)


@dataclasses.dataclass(frozen=True)
class Adapters:
    """Bottlenecks in each layer: `x + W2 f(W1 x + b1) + b2`.

    Args:
      size: width of the bottleneck.
      kind: `houlsby`: two a layer, each after dropout and before the residual and its normalization; `pfeiffer`: one
        behind the feed-forward part, which reads the normalized sum and is added to it before another normalization.
      activation: one of `ACTIVATIONS`.
      layer_norms: train every layer normalization of the encoder as well.

    Source: houlsby: arXiv:1902.00751, google-research/adapter-bert; pfeiffer: arXiv:2005.00247, `seq_bn` of `adapters`.
    """

    size: int
    kind: str = HOULSBY
    activation: str = "gelu"
    layer_norms: bool = True

    def groups(self) -> tuple[ParameterGroup, ...]:
        """Adapters are trained, the base is not."""
        own = ParameterGroup("adapters", "^bert/.*/adapters/", is_trained=True)
        return (own, *((_NORMS,) if self.layer_norms else ()), _BASE)

    def __str__(self) -> str:
        return f"--adapter={self.kind} --adapter_size={self.size}"


@dataclasses.dataclass(frozen=True)
class Lora:
    """Low-rank deltas of linear layers: `x W + dropout(x) A B * scale`.

    Args:
      rank: r, width of A `[in, r]` and height of B `[r, out]`.
      scale: of the product.
      targets: names in `TARGETS`.
      dropout: probability of dropping an input of A.

    Source: arXiv:2106.09685; `peft`.
    """

    rank: int
    scale: float
    targets: tuple[str, ...] = ("query", "value")
    dropout: float = 0.0

    def groups(self) -> tuple[ParameterGroup, ...]:
        """The deltas are trained, the base is not."""
        return (ParameterGroup("LoRA", "/lora_[ab]$", is_trained=True), _BASE)

    def __str__(self) -> str:
        return f"--lora_rank={self.rank} --lora_targets={','.join(self.targets)}"


Insertions = Adapters | Lora | None
"""What is inserted into an encoder; None for nothing."""


def is_inserted(name: str) -> bool:
    """Whether a variable is of an adapter or a delta."""
    return "/adapters/" in name or name.endswith(("/lora_a", "/lora_b"))


def parse_insertions(flags: Any) -> Insertions:
    """What flags insert.

    Args:
      flags: `adapter_size`, `adapter`, `adapter_activation`, `adapter_layer_norms`, `lora_rank`, `lora_alpha`,
        `lora_targets`, `lora_dropout`, and `typed`, the names on the command line.

    Raises:
      FlagError: targets that do not exist, or flags that contradict each other.
    """
    if flags.adapter_size and flags.lora_rank:
        raise FlagError("--adapter_size and --lora_rank insert two kinds of parts; remove one of them")
    for prefix, main in (("adapter", "adapter_size"), ("lora_", "lora_rank")):
        alone = sorted(name for name in flags.typed if name.startswith(prefix) and name != main)
        if alone and not getattr(flags, main):
            raise FlagError(f"--{alone[0]} needs --{main}; add it, or leave it out")
    if flags.adapter_size:
        is_houlsby = flags.adapter == HOULSBY
        activation = flags.adapter_activation or ("gelu" if is_houlsby else "relu")
        return Adapters(flags.adapter_size, flags.adapter, activation, flags.adapter_layer_norms and is_houlsby)
    if not flags.lora_rank:
        return None
    alpha = 2.0 * flags.lora_rank if flags.lora_alpha is None else flags.lora_alpha
    return Lora(flags.lora_rank, alpha / flags.lora_rank, _targets(flags.lora_targets), flags.lora_dropout)


def _targets(text: str) -> tuple[str, ...]:
    targets = [target.strip() for target in text.split(",")]
    for target in targets:
        if target not in TARGETS:
            raise FlagError(
                f"--lora_targets={text}: no layer {target!r}; {closest(target, TARGETS)}; expected some of "
                f"{', '.join(TARGETS)}"
            )
    return tuple(target for target in TARGETS if target in targets)
