"""Passes over a data set without gradients, for evaluation and prediction alike."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.peer import model
from benchmarks.protocol import BATCHES_FILE, INFERENCE_BATCH_SIZES, Result, Rounds, Settings, seconds

Finish = Callable[[Sequence[Any], Sequence[model.Rows]], None]
"""What a pass does with the probabilities of all rows, in the order of the rows."""


def load(settings: Settings, finish: Finish) -> Rounds:
    """A pass over the rows that our side has left, in their order or, by option, sorted by length."""
    rows = model.read_batches(settings.folder / BATCHES_FILE)
    the_model = model.model(settings).eval()
    found: Rounds = {}
    for batch_size in INFERENCE_BATCH_SIZES:
        groups = model.regrouped(rows, batch_size, bool(settings.options.get("sorted")))
        work = functools.partial(_pass, the_model, rows, groups, finish)
        work()  # warm
        found[f"batch {batch_size}"] = functools.partial(_round, work, len(rows))
    return found


def _round(work: Callable[[], None], rows: int) -> Result:
    return Result({"examples/s": rows / seconds(work)})


@torch.inference_mode()
def _pass(the_model: Any, rows: Sequence[model.Rows], groups: Sequence[Sequence[int]], finish: Finish) -> None:
    found: list[Any] = [None] * len(rows)
    for group in groups:
        logits = the_model(**model.padded(model.joined(rows, group))).logits
        for number, probabilities in zip(group, logits.softmax(dim=-1).tolist(), strict=True):
            found[number] = probabilities
    finish(found, rows)
