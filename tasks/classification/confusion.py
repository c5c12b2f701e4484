"""The confusion matrix as a table and as a picture."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.files import atomic_writer

MOST_CLASSES_WITH_NUMBERS = 20
"""With more classes than this the numbers in the cells cannot be read and are left out."""


def write_confusion(gold: np.ndarray, predicted: np.ndarray, names: Sequence[str], folder: Path) -> None:
    """Writes `confusion_matrix.csv` and `confusion_matrix.png`: rows are gold labels, columns predictions.

    Args:
      gold: class ids [N].
      predicted: class ids [N].
      names: class names in the order of the ids.
    """
    from sklearn.metrics import confusion_matrix

    matrix = confusion_matrix(gold, predicted, labels=list(range(len(names))))
    with atomic_writer(folder / "confusion_matrix.csv") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["gold \\ predicted", *names])
        rows.writerows([name, *row.tolist()] for name, row in zip(names, matrix, strict=True))
    _draw(matrix, names, folder / "confusion_matrix.png")


def _draw(matrix: np.ndarray, names: Sequence[str], path: Path) -> None:
    # The Figure class draws without pyplot, so no display and no global state are needed.
    from matplotlib.figure import Figure

    side = min(4 + 0.35 * len(names), 24)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(names))
    shown = [name if _drawable(name) else str(index) for index, name in enumerate(names)]
    axes.set_xticks(ticks, shown, rotation=90 if len(names) > 6 else 0)
    axes.set_yticks(ticks, shown)
    axes.set(xlabel="predicted", ylabel="gold", title=f"{int(np.trace(matrix))} of {int(matrix.sum())} right")
    if len(names) <= MOST_CLASSES_WITH_NUMBERS:
        for row, column in np.ndindex(matrix.shape):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour)
    figure.savefig(path)


def _drawable(name: str) -> bool:
    """Whether the font that comes with matplotlib has every glyph; it has none for Chinese."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    font = FT2Font(font_manager.findfont("DejaVu Sans"))
    return all(font.get_char_index(ord(character)) for character in name)
