"""Conversion of checkpoints."""

from command_line.flags.declaration import Flag, Group, Scope
from modeling.checkpoints.huggingface_files import WEIGHTS

CONVERSION = Group(
    "Conversion",
    (
        Flag(
            "format",
            tuple(WEIGHTS),
            None,
            "Hugging Face files (model.safetensors, config.json, ...), a TensorFlow 1 checkpoint without optimizer, or "
            "SavedModels with TensorFlow Hub's API for text (encoder, preprocessor).",
            Scope.FREE,
            is_main=True,
        ),
    ),
)
