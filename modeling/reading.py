"""What heads read of an encoder: which layers, which pooling, layers of the head's own. No TensorFlow is needed."""

import dataclasses
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from common.errors import FlagError
from modeling.layer_lists import EMBEDDINGS, as_text, parse_parts
from modeling.parameter_groups import ParameterGroup

POOLED, CLS, MEAN, MAX, MEAN_MAX = "pooled", "cls", "mean", "max", "mean_max"
CLASSIFIER_POOLINGS = (POOLED, CLS, MEAN, MAX, MEAN_MAX)
"""What a classifier reads: the pooler's output (upstream's), the first token, or the mean or maximum over tokens."""
SOFTMAX, FREE = "softmax", "free"
MIXES = (SOFTMAX, FREE)
MIX_VARIABLES = ("layer_mix/weights", "layer_mix/gamma")
MIX_LEARNING_RATE = 0.01


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a head reads; by default the last layer, and the pooler's output.

    Args:
      pooling: one of `CLASSIFIER_POOLINGS`, for heads that read one vector a row.
      concat_layers: layers, from 0, whose vectors stand side by side in place of the last layer's; none by default.
      mix: weigh layers by a learned softmax times a learned scale, or by free learned weights; None for neither.
      mixed: names of what is mixed: `embeddings`, or layers from 0.
      mix_learning_rate: peak rate of the weights, which never decay.
      head_layers: linear layers of the head, its output layer included.
      head_width: width of those before the last.

    Source: softmax mix: arXiv:1802.05365, section 3.2; layers side by side: arXiv:1810.04805, section 5.3.
    """

    pooling: str = POOLED
    concat_layers: tuple[int, ...] = ()
    mix: str | None = None
    mixed: tuple[str | int, ...] = ()
    mix_learning_rate: float = MIX_LEARNING_RATE
    head_layers: int = 1
    head_width: int = 256

    @property
    def is_default(self) -> bool:
        """Whether heads read what upstream's do."""
        return self == Reading(mix_learning_rate=self.mix_learning_rate, head_width=self.head_width)

    @property
    def reads_all_tokens(self) -> bool:
        """Whether a head that asks for one vector a row needs every token of the last layer all the same."""
        return bool(self.concat_layers or self.mix) or self.pooling not in (POOLED, CLS)

    def width(self, config: Any, of_tokens: bool) -> int:
        """Width of what is read of an encoder, before layers of the head.

        Args:
          config: the `BertConfig`.
          of_tokens: the vectors of tokens, and not one vector a row.
        """
        width = int(config.hidden_size) * max(len(self.concat_layers), 1)
        return 2 * width if self.pooling == MEAN_MAX and not of_tokens else width

    def flags(self) -> dict[str, Any]:
        """The flags that ask for it, as a run records them; none where heads read what upstream's do."""
        usual = Reading()
        concat, mixed = (",".join(map(str, layers)) or None for layers in (self.concat_layers, self.mixed))
        given = {"pooling": self.pooling, "concat_layers": concat, "layer_mix": self.mix, "mix_layers": mixed}
        given = {name: value for name, value in given.items() if value not in (None, usual.pooling)}
        return given if self.head_layers == usual.head_layers else given | {"head_layers": self.head_layers}

    def groups(self) -> tuple[ParameterGroup, ...]:
        """How the weights of layers are trained."""
        if self.mix is None:
            return ()
        rate = self.mix_learning_rate
        return (ParameterGroup("layer mix", "^layer_mix/", learning_rate=rate, weight_decay=0.0),)

    def __str__(self) -> str:
        parts = [f"--pooling={self.pooling}"] if self.pooling != POOLED else []
        parts += [f"--concat_layers={','.join(as_text(self.concat_layers))}"] if self.concat_layers else []
        parts += [f"--layer_mix={self.mix}"] if self.mix else []
        return " ".join(parts + ([f"--head_layers={self.head_layers}"] if self.head_layers > 1 else []))


DEFAULT_READING = Reading()


def parse_reading(flags: Any, config: Any) -> Reading:
    """The reading that flags ask for.

    Args:
      flags: `pooling`, `concat_layers`, `layer_mix`, `mix_layers`, `mix_learning_rate`, `head_layers`, `head_width`.
      config: the `BertConfig`, after `--num_layers_used`.

    Raises:
      FlagError: a layer that is not there, or flags that contradict each other.
    """
    if flags.mix_layers and not flags.layer_mix:
        raise FlagError("--mix_layers needs --layer_mix; add --layer_mix=softmax, or leave it out")
    if flags.concat_layers and flags.layer_mix:
        raise FlagError("--concat_layers and --layer_mix read the layers in two ways; remove one of them")
    layers = config.num_hidden_layers
    concat = parse_parts(flags.concat_layers, "concat_layers", layers) if flags.concat_layers else []
    if len(concat) > 1 and flags.pooling == POOLED:
        raise FlagError(
            f"--concat_layers={flags.concat_layers}: {len(concat)} layers side by side are wider than the pooler's "
            "input; give --pooling=cls, mean, max or mean_max as well"
        )
    return Reading(
        pooling=flags.pooling,
        concat_layers=tuple(int(layer) for layer in concat),
        mix=flags.layer_mix or None,
        mixed=_mixed(flags, config),
        mix_learning_rate=flags.mix_learning_rate,
        head_layers=flags.head_layers,
        head_width=flags.head_width,
    )


def recorded_text(flags: Mapping[str, Any]) -> str:
    """The recorded flags of a run that let its head read other than upstream's; empty where there are none."""
    usual = {"pooling": POOLED, "concat_layers": None, "layer_mix": None, "mix_layers": None, "head_layers": 1}
    return " ".join(f"--{name}={flags[name]}" for name in usual if flags.get(name, usual[name]) != usual[name])


def is_recorded(reading: Reading, flags: Mapping[str, Any], config: Any) -> bool:
    """Whether the recorded flags of a run ask for a reading.

    Args:
      reading: of a head on the same encoder.
      flags: those of `run.json`; what is not recorded has its default.
      config: the `BertConfig`.
    """
    usual = DEFAULT_READING
    layers = {name: flags.get(name) and str(flags[name]) for name in ("concat_layers", "mix_layers")}
    recorded = SimpleNamespace(
        pooling=flags.get("pooling", usual.pooling), layer_mix=flags.get("layer_mix"), **layers,
        head_layers=flags.get("head_layers", usual.head_layers),
        head_width=reading.head_width, mix_learning_rate=reading.mix_learning_rate,
    )  # fmt: skip
    try:
        return parse_reading(recorded, config) == reading
    except FlagError:  # of an encoder with more layers
        return False


def _mixed(flags: Any, config: Any) -> tuple[str | int, ...]:
    if not flags.layer_mix:
        return ()
    is_as_wide = config.embedding_width == config.hidden_size
    if not flags.mix_layers:
        return (*((EMBEDDINGS,) if is_as_wide else ()), *range(config.num_hidden_layers))
    parts = parse_parts(flags.mix_layers, "mix_layers", config.num_hidden_layers, (EMBEDDINGS,))
    twice = next((part for part in parts if parts.count(part) > 1), None)
    if twice is not None:
        raise FlagError(f"--mix_layers={flags.mix_layers}: {twice} is named twice; name each part once")
    if EMBEDDINGS in parts and not is_as_wide:
        raise FlagError(
            f"--mix_layers={flags.mix_layers}: embeddings of this model are {config.embedding_width} wide, its layers "
            f"{config.hidden_size}; mix layers alone"
        )
    return tuple(parts)
