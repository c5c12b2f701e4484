"""Conversion of checkpoints."""

from command_line.flags.declaration import Flag, Group, Scope
from modeling.checkpoints.huggingface_files import WEIGHTS
from modeling.checkpoints.inserted_files import FORMATS

CONVERSION = Group(
    "Conversion",
    (
        Flag(
            "format",
            (*WEIGHTS, *FORMATS),
            None,
            "Hugging Face files (model.safetensors, config.json, ...), a TensorFlow 1 checkpoint without optimizer, "
            "SavedModels with TensorFlow Hub's API for text (encoder, preprocessor), or of a run of LoRA or adapters "
            "what the libraries peft and adapters load.",
            Scope.FREE,
            is_main=True,
        ),
    ),
)
