"""A head that comes with its weights: what its labels are called, and where each lies in another model with them."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from common.errors import one_line
from common.run_directory import BEST, RunDirectory
from modeling.checkpoints.export_assets import assets_of
from modeling.checkpoints.huggingface_files import all_labels, stated_head, stated_labels, stated_problem_type

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LabelOrder:
    """How the labels of a checkpoint's head lie in the head of a model.

    Args:
      places: for each label of the model, its place in the checkpoint; none where they are the same.
      axes: by the name of a variable, the axes along which its values belong to labels.
    """

    places: tuple[int, ...] = ()
    axes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)

    def moves(self, name: str) -> bool:
        """Whether the values of a variable change their places."""
        return bool(self.places) and bool(self.axes.get(name))

    def arranged(self, name: str, value: np.ndarray) -> np.ndarray:
        """A variable of the checkpoint as the model has it.

        Example:
          >>> LabelOrder((1, 0), {"output_bias": (0,)}).arranged("output_bias", np.array([3.0, 7.0]))
          array([7., 3.])
        """
        for axis in self.axes[name]:
            value = np.take(value, self.places, axis)
        return value


UNCHANGED = LabelOrder()


def labels_beside(init_checkpoint: str) -> list[str]:
    """Names of the labels of a checkpoint's head, in order: of `labels.txt` as a run or an export here leaves it, else
    of Hugging Face's `config.json`; none where neither names them.

    Args:
      init_checkpoint: prefix, file or directory.

    Raises:
      ConfigError: `config.json` cannot be read.
    """
    path = Path(init_checkpoint)
    folder = path if path.is_dir() else path.parent
    assets = assets_of(init_checkpoint)
    for place in (folder, *([folder.parent] if folder.name == BEST else []), *([assets] if assets else [])):
        try:
            return RunDirectory(place).labels_file.read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, ValueError):
            continue
    return stated_labels(folder)


@dataclasses.dataclass(frozen=True)
class StatedHead:
    """What Hugging Face says of the head in a folder of weights.

    Args:
      labels: names of its labels, in order.
      problem_type: `single_label`, `multi_label` or `regression`; None where it does not say.
    """

    labels: tuple[str, ...]
    problem_type: str | None


def stated_head_of(init_checkpoint: str | None, title: str) -> StatedHead | None:
    """The head of a Hugging Face folder; None where there is no such folder, or it has another head or no labels.

    Args:
      init_checkpoint: file or directory.
      title: of the head, as in `families.names.HeadNames`.

    Raises:
      ConfigError: `config.json` cannot be read.
    """
    if not init_checkpoint:
        return None
    path = Path(init_checkpoint)
    folder = path if path.is_dir() else path.parent
    labels = all_labels(folder)
    if not labels or stated_head(folder) != title:
        return None
    return StatedHead(tuple(labels), stated_problem_type(folder))


def places_of_labels(init_checkpoint: str, labels: Sequence[str]) -> tuple[int, ...]:
    """Where in a checkpoint's head the labels of a run lie; says so where they lie in another order.

    Args:
      init_checkpoint: prefix, file or directory.
      labels: of this run, in order; none where it has none.

    Returns:
      `LabelOrder.places`; none also where the checkpoint names other labels, of which the log warns.
    """
    return places_between(labels_beside(init_checkpoint), labels, f"--init_checkpoint={init_checkpoint}")


def places_between(there: Sequence[str], labels: Sequence[str], source: str) -> tuple[int, ...]:
    """Where in a head with known labels those of a run lie; says so where they lie in another order.

    Args:
      there: labels of the head, in order; none where they are not known.
      labels: of this run, in order; none where it has none.
      source: the flag that names the head, with its value.

    Returns:
      As `places_of_labels`.
    """
    there, now = list(there), [str(label) for label in labels]
    if there == now or len(there) != len(now):  # a head for another number of labels starts anew
        return ()
    if sorted(there) == sorted(now):
        log.info("%s: has the labels in another order (%s); they are matched by name", source, _listed(there))
        return tuple(there.index(label) for label in now)
    log.warning(
        "%s: its output layer was trained for the labels %s and goes on as one for %s, in this order; if these are the "
        "same labels, give them in the order of the checkpoint (--labels)", source, _listed(there), _listed(now),
    )  # fmt: skip
    return ()


def _listed(labels: Sequence[str]) -> str:
    return one_line(", ".join(labels), 400)
