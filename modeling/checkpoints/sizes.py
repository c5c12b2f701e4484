"""The sizes of an encoder, read off its weights: for checkpoints that come without a configuration.

These are ELECTRA's, whose owner tells sizes by a flag, TensorFlow Hub's modules, and the Model Garden's checkpoints.
"""

import logging
import re

from common.errors import CheckpointError
from modeling.checkpoints.restore import attention_heads_of, checkpoint_variables, family_of_names
from modeling.checkpoints.sources import Shapes
from modeling.checkpoints.variable_names import WORD_EMBEDDINGS
from modeling.config import BertConfig
from modeling.families import registry

log = logging.getLogger(__name__)

HEAD_WIDTH = 64
"""Width of an attention head in every published model of these kinds."""

_LAYER = re.compile(r"bert/encoder/layer_(\d+)/")
_SIZES = {
    "vocab_size": (WORD_EMBEDDINGS, 0),
    "embedding_size": (WORD_EMBEDDINGS, 1),
    "hidden_size": ("bert/encoder/layer_0/attention/self/query/kernel", 1),
    "intermediate_size": ("bert/encoder/layer_0/intermediate/dense/kernel", 1),
    "max_position_embeddings": ("bert/embeddings/position_embeddings", 0),
    "type_vocab_size": ("bert/embeddings/token_type_embeddings", 0),
}
"""Where each size stands: the variable, and which of its dimensions."""


def config_of_weights(init_checkpoint: str) -> BertConfig:
    """The configuration that a checkpoint's shapes tell, in what they do not tell that of published models.

    Args:
      init_checkpoint: prefix, file or directory.

    Raises:
      CheckpointError: it cannot be read, or its shapes do not tell enough.
    """
    family = family_of_names(init_checkpoint) or registry.FAMILIES[0]
    shapes = checkpoint_variables(init_checkpoint)
    if family.shares_layers:
        raise CheckpointError(
            f"{init_checkpoint}: comes without a configuration, and layers of {family.title} share weights, which do "
            "not tell how many layers there are; give --bert_config_file"
        )
    sizes = _sizes(shapes, init_checkpoint)
    width = sizes["hidden_size"]
    heads = attention_heads_of(init_checkpoint)
    if heads is None and width % HEAD_WIDTH:
        raise CheckpointError(
            f"{init_checkpoint}: comes without a configuration, and its width of {width} is no multiple of "
            f"{HEAD_WIDTH}, which would tell the number of attention heads; give --bert_config_file"
        )
    if sizes["embedding_size"] == width:
        del sizes["embedding_size"]
    shown = ", ".join(f"{name} {size}" for name, size in sizes.items())
    if heads is None:
        heads = width // HEAD_WIDTH
        shown += f"), and {heads} attention heads of width {HEAD_WIDTH}, as published models have"
    else:
        shown += f", num_attention_heads {heads})"
    log.warning(
        "%s comes without a configuration: taken for %s, sizes from its weights (%s; give --bert_config_file for "
        "another", init_checkpoint, family.title, shown,
    )  # fmt: skip
    activation = family.google_activations.get("gelu", "gelu")
    return BertConfig(**sizes, num_attention_heads=heads, hidden_act=activation, model_type=family.model_type)


def _sizes(shapes: Shapes, init_checkpoint: str) -> dict[str, int]:
    layers = {int(match[1]) for match in map(_LAYER.match, shapes) if match}
    missing = [name for name, _ in _SIZES.values() if name not in shapes]
    if missing or layers != set(range(len(layers))):
        raise CheckpointError(
            f"{init_checkpoint}: comes without a configuration, and is no whole encoder, as it lacks "
            f"{missing[0] if missing else 'some of its layers'}; give --bert_config_file"
        )
    sizes = {name: shapes[variable][dimension] for name, (variable, dimension) in _SIZES.items()}
    return sizes | {"num_hidden_layers": len(layers)}
