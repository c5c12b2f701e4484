"""What a mix of layers has learned: a line, a table and a picture."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from common.files import write_atomically
from common.pictures import save_picture
from modeling.checkpoints.restore import read_tensor
from modeling.reading import MIX_VARIABLES, SOFTMAX, Reading

log = logging.getLogger(__name__)

FILE, PICTURE = "layer_mix.json", "layer_mix.png"


def report(checkpoint: str, reading: Reading, folder: Path) -> dict[str, float]:
    """Logs what each layer is multiplied with, and writes it as JSON and PNG.

    Args:
      checkpoint: prefix of the trained weights.
      reading: has a mix.
      folder: where the files go.

    Returns:
      The weights by name, in the order of the mix; with softmax they add up to the scale, which is `gamma`.
    """
    weights_name, gamma_name = MIX_VARIABLES
    values = read_tensor(checkpoint, weights_name)
    names = [part if isinstance(part, str) else f"layer {part}" for part in reading.mixed]
    found: dict[str, float] = {}
    if reading.mix == SOFTMAX:
        gamma = float(read_tensor(checkpoint, gamma_name))
        shares = np.exp(values - values.max())
        values, found = gamma * shares / shares.sum(), {"gamma": gamma}
    found = {name: float(value) for name, value in zip(names, values, strict=True)} | found
    log.info("mix of layers: %s", ", ".join(f"{name} {value:.4f}" for name, value in found.items()))
    write_atomically(folder / FILE, json.dumps(found, indent=2) + "\n")
    save_picture(folder / PICTURE, lambda figure: _draw(figure, names, values), (1.5 + 0.4 * len(names), 4.0))
    return found


def _draw(figure: Any, names: list[str], values: np.ndarray) -> None:
    axes = figure.subplots()
    axes.bar(range(len(names)), values, color="tab:blue")
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set(ylabel="weight", title="mix of layers")
