"""Folders of adapters, whichever library they are of."""

from pathlib import Path

from common.errors import CheckpointError
from modeling.checkpoints import adapter_hub, peft
from modeling.checkpoints.peft import InsertedWeights
from modeling.config import BertConfig

PEFT, ADAPTERS = "peft", "adapters"
FORMATS = (PEFT, ADAPTERS)


def read(folder: Path, config: BertConfig) -> InsertedWeights:
    """What a folder inserts into an encoder, and its values.

    Args:
      folder: of `peft` or of `adapters`; their names of files tell them apart.
      config: of the encoder.

    Raises:
      CheckpointError: it cannot be read, or asks for what is not computed here, which is named.
    """
    if (folder / peft.WEIGHTS).is_file():
        return peft.read(folder, config)
    if (folder / adapter_hub.WEIGHTS).is_file() or (folder / "pytorch_adapter.bin").is_file():
        return adapter_hub.read(folder, config)
    if (folder / "adapter_model.bin").is_file():
        raise CheckpointError(f"{folder}: holds adapter_model.bin; save it again with safe_serialization=True")
    raise CheckpointError(
        f"{folder}: no adapter there; looked for {peft.WEIGHTS} (peft) and {adapter_hub.WEIGHTS} or "
        "pytorch_adapter.bin (adapters)"
    )
