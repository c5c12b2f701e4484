"""Names of variables in checkpoints: whose style they have, which ones training leaves, how to list many."""

import collections
import re
from collections.abc import Collection, Iterable, Sequence

from common.errors import CheckpointError

WORD_EMBEDDINGS = "bert/embeddings/word_embeddings"
GLOBAL_STEP = "global_step"
HUB_MODULE = "module/"
"""What names of variables begin with in checkpoints of programs that loaded a TensorFlow Hub module."""

# What training leaves in a checkpoint and no model asks for.
_PRECISION_SCALAR = re.compile(r"(^|/)((current_)?loss_scale|(loss_scale_|num_)?(good|bad)_steps)$")
_SCALAR = "a number that training in mixed precision goes on from"
_COUNTER = re.compile(r"(^|/)(global_step|adam_[mv]|Adam(_\d+)?|beta[12]_power)$")

# Names that are not Google's, and whose they are.
_STYLES = (
    (re.compile(r"(^|/)layer_normalization(_\d+)?/(gamma|beta)$"), "the names of tf.keras layers"),
    (re.compile(r"^tf_bert\w*/|/layer_\._\d+/"), "the names of Hugging Face's TensorFlow classes"),
    (re.compile(r"^(Embedding-Token|Encoder-\d+-)"), "the names of keras-bert"),
)


def is_bookkeeping(name: str, names: Collection[str] = ()) -> bool:
    """Whether a variable is an optimizer's slot or a counter of training, which no model asks for.

    Args:
      name: of the variable.
      names: of every variable in its checkpoint. Whatever optimizer made a slot, its name is that of a variable and one
        more part: `bert/pooler/dense/kernel/Momentum`.
    """
    if _COUNTER.search(name) or _PRECISION_SCALAR.search(name):
        return True
    return any(name[: match.start()] in names for match in re.finditer("/", name))


def precision_scalars(names: Iterable[str]) -> dict[str, str]:
    """Those of the names that training in mixed precision leaves, each with the reason why no model reads it."""
    return {name: _SCALAR for name in names if _PRECISION_SCALAR.search(name)}


def require_google_style(model: Iterable[str], held: Collection[str], path: str) -> None:
    """Refuses a checkpoint that names the encoder's variables in a known way that is not Google's.

    Args:
      model: names of the model's variables.
      held: names of the checkpoint's.
      path: of the checkpoint.

    Raises:
      CheckpointError: it does; the style is named.
    """
    if all(name in held for name in model if name.startswith("bert/")):
        return
    for pattern, style in _STYLES:
        found = next((name for name in sorted(held) if pattern.search(name)), None)
        if found is not None:
            raise CheckpointError(
                f"{path}: its variables have {style} ({found}), expected Google's ({WORD_EMBEDDINGS}, "
                "bert/encoder/layer_0/output/LayerNorm/gamma); rename them, or convert it to safetensors"
            )


def grouped(names: Sequence[str], most: int = 6) -> str:
    """Names for a line: those of one scope as one, `cls/predictions/* (5)`, and not more than a handful."""
    groups = collections.Counter(_scope_of(name) for name in names)
    shown = [
        f"{scope}/* ({count})" if count > 1 else next(name for name in names if _scope_of(name) == scope)
        for scope, count in groups.items()
    ]
    return ", ".join(shown[:most]) + (f", and {len(shown) - most} more" if len(shown) > most else "")


def _scope_of(name: str) -> str:
    scopes = name.split("/")[:-1]
    return "/".join(scopes[:3] if scopes[:2] == ["bert", "encoder"] else scopes[:2]) or name


def some(names: Sequence[str], most: int = 3) -> str:
    """The first names for a line."""
    return (", ".join(names[:most]) + (", ..." if len(names) > most else "")) or "nothing"
