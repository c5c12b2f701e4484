"""What is in the graph: configuration, encoder, heads, optimizer, reading checkpoints.

Dimensions, named once and used in every comment of this package:

    B  examples in the batch                 H  hidden size
    S  positions of the padded sequence      A  attention heads
    F  positions attended from               D  size of one head, H / A
    T  positions attended to                 N  rows of a token matrix: B * S, or the real tokens only

The configuration and the search for files need no TensorFlow; everything else loads on first use, so that importing
this package stays cheap.
"""

import importlib

from modeling.checkpoints.locate import find_beside as find_beside
from modeling.checkpoints.locate import locate_checkpoint as locate_checkpoint
from modeling.config import BertConfig as BertConfig

_LAZY = {
    "encoder.model": (
        "BertModel", "attention_layer", "create_attention_mask_from_input_mask", "embedding_lookup",
        "embedding_postprocessor", "transformer_model",
    ),
    "checkpoints.restore": (
        "RestoreReport", "checkpoint_variables", "get_assignment_map_from_checkpoint", "initialize_from_checkpoint",
        "read_tensor",
    ),
    "heads.base": ("Head",),
    "heads.classification": ("ClassificationHead", "MultiLabelHead", "RegressionHead"),
    "encoder.layers": (
        "create_initializer", "dropout", "gelu", "gelu_erf", "get_activation", "layer_norm", "layer_norm_and_dropout",
    ),
    "encoder.unpadding": ("Layout", "PackedLayout", "PaddedLayout"),
    "training.optimization": ("AdamWeightDecayOptimizer", "create_optimizer", "learning_rate_schedule"),
    "encoder.shapes": ("assert_rank", "get_shape_list", "reshape_from_matrix", "reshape_to_matrix"),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names}

__all__ = sorted(["BertConfig", "find_beside", "locate_checkpoint", *_MODULE_OF])


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
