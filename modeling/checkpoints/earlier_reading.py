"""What the head of `--init_checkpoint` was trained to read of the encoder, compared with what this run reads."""

import logging

from common.errors import CheckpointError
from common.run_directory import description_of
from modeling.reading import POOLED, Reading, is_recorded, recorded_text
from modeling.settings import ModelSettings

log = logging.getLogger(__name__)
_USUAL = f"--pooling={POOLED}"


def check_reading(init_checkpoint: str, model: ModelSettings, is_training: bool) -> None:
    """Compares a run whose head is taken over with the model that takes it over.

    A run that trains is warned, for the head can learn to read something else; answers would be wrong without a sign.

    Args:
      init_checkpoint: prefix, file or directory; what is no run of this project says nothing.
      model: the encoder, and what its head reads.
      is_training: whether the run trains first.

    Raises:
      CheckpointError: the run answers at once, and its head would read other than it was trained on.
    """
    flags = description_of(init_checkpoint).get("flags")
    if not flags or is_recorded(model.reading, flags, model.bert_config):
        return
    there, now = recorded_text(flags) or _USUAL, _named(model.reading)
    told = f"--init_checkpoint={init_checkpoint} was trained with {there}, and its head goes on with {now}"
    if not is_training:
        raise CheckpointError(f"{told}, which it was not trained on; give {there}")
    log.warning("%s: what one learned need not suit the other; give %s to go on as before", told, there)


def _named(reading: Reading) -> str:
    mixed = f" --mix_layers={','.join(map(str, reading.mixed))}" if reading.mix else ""
    return (str(reading) + mixed) or _USUAL
