"""The confusion matrix as a table and as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.files import atomic_writer, csv_row
from common.pictures import font_for, save_picture, shortened

MOST_CLASSES_AS_MATRIX = 20
"""With more classes, the numbers of a matrix cannot be read: the most frequent confusions are drawn instead."""
MOST_CONFUSIONS = 25
MOST_CLASSES_AS_TABLE = 2000
"""With more classes, a table of all pairs would be too large: those that occur are listed instead."""


def write_confusion(gold: np.ndarray, predicted: np.ndarray, names: Sequence[str], folder: Path, title: str) -> None:
    """Writes `confusion_matrix.csv` and `confusion_matrix.png`: rows are gold labels, columns predictions.

    With more than `MOST_CLASSES_AS_TABLE` classes, a row is a pair of gold label and prediction that occurs, and how
    often it does.

    Args:
      gold: class ids [N].
      predicted: class ids [N].
      names: class names in the order of the ids.
      folder: where the files go.
      title: what was evaluated: task, split, step.
    """
    pairs = np.stack([np.asarray(gold, np.int64), np.asarray(predicted, np.int64)])
    pairs, counts = np.unique(pairs, axis=1, return_counts=True)
    path = folder / "confusion_matrix.csv"
    if len(names) <= MOST_CLASSES_AS_TABLE:
        matrix = np.zeros((len(names), len(names)), np.int64)
        matrix[pairs[0], pairs[1]] = counts
        _write_table(path, matrix, names)
    else:
        _write_pairs(path, pairs, counts, names)
    title = f"{title}: {int(counts[pairs[0] == pairs[1]].sum())} of {int(counts.sum())} correct"
    path = path.with_suffix(".png")
    if len(names) <= MOST_CLASSES_AS_MATRIX:
        side = 4.0 + 0.45 * len(names)
        save_picture(path, lambda figure: _draw_matrix(figure, matrix, names, title), (side + 1.5, side))
    else:
        save_picture(path, lambda figure: _draw_confusions(figure, pairs, counts, names, title), (9.0, 7.0))


def _write_table(path: Path, matrix: np.ndarray, names: Sequence[str]) -> None:
    with atomic_writer(path) as stream:
        stream.write(csv_row(["gold \\ predicted", *names]))
        stream.writelines(csv_row([name, *row.tolist()]) for name, row in zip(names, matrix, strict=True))


def _write_pairs(path: Path, pairs: np.ndarray, counts: np.ndarray, names: Sequence[str]) -> None:
    with atomic_writer(path) as stream:
        stream.write(csv_row(["gold", "predicted", "rows"]))
        stream.writelines(
            csv_row([names[gold], names[predicted], count])
            for gold, predicted, count in zip(*pairs.tolist(), counts.tolist(), strict=True)
        )


def _draw_matrix(figure: Any, matrix: np.ndarray, names: Sequence[str], title: str) -> None:
    """Shares of each row as colours, counts and shares as numbers."""
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the gold label", shrink=0.8)
    shown, font = _readable(names)
    ticks = range(len(names))
    axes.set_xticks(ticks, shown, rotation=90 if max(map(len, shown)) * len(names) > 40 else 0, fontfamily=font)
    axes.set_yticks(ticks, shown, fontfamily=font)
    axes.set(xlabel="predicted", ylabel="gold" if font else "gold (numbers: rows of confusion_matrix.csv)")
    axes.set_title(title, fontsize="medium", fontfamily=font_for([title]))
    for row, column in np.ndindex(matrix.shape):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = f"{matrix[row, column]}\n{share[row, column]:.0%}" if matrix[row, column] else "0"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize="small")


def _draw_confusions(figure: Any, pairs: np.ndarray, counts: np.ndarray, names: Sequence[str], title: str) -> None:
    """The most frequent mistakes as bars, most frequent first; of equal ones, the first in the order of the labels."""
    wrong = pairs[0] != pairs[1]
    pairs, counts = pairs[:, wrong], counts[wrong]
    order = np.argsort(-counts, kind="stable")[:MOST_CONFUSIONS]
    shown, font = _readable(names)
    axes = figure.subplots()
    labels = [f"{shown[gold]} \N{RIGHTWARDS ARROW} {shown[predicted]}" for gold, predicted in pairs[:, order].T]
    axes.barh(range(len(order)), counts[order], color="tab:blue")
    axes.set_yticks(range(len(order)), labels, fontfamily=font)
    axes.invert_yaxis()
    axes.set(xlabel=f"rows (gold \N{RIGHTWARDS ARROW} predicted); all {len(names)} classes: confusion_matrix.csv")
    axes.set_title(title, fontsize="medium", fontfamily=font_for([title]))


def _readable(names: Sequence[str]) -> tuple[list[str], str | None]:
    """Names as they can be drawn, and the font that has them; numbers where no font does."""
    short = [shortened(name) for name in names]
    font = font_for(short)
    return (short, font) if font is not None else ([str(index) for index in range(len(names))], None)
