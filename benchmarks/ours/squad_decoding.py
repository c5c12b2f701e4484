"""Logits to answers and their files."""

import functools
import hashlib
import itertools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.ours import classifier
from benchmarks.protocol import Result, Rounds, Settings, seconds
from processors.records.schema import Features
from processors.squad.examples import SquadExample
from tasks.base import TEST
from tasks.span import text
from tasks.span.task import SpanSettings, SpanTask

CASE = "SQuAD 1.1, made-up logits"
SEED = 20
LIKELY_ANSWERS = 3


class Question(NamedTuple):
    """A question, its windows, and start and end logits of each window."""

    example: SquadExample
    windows: list[Features]
    outputs: list[dict[str, np.ndarray]]


def load(settings: Settings) -> Rounds:
    """Decodes all questions of the file."""
    task = span_task(settings)
    return {CASE: functools.partial(_round, task, questions(task, settings.effort.questions), settings.folder)}


def span_task(settings: Settings) -> SpanTask:
    """The task with upstream's defaults."""
    return SpanTask(classifier.tokenizer(settings), SpanSettings(), {TEST: Path(settings.squad_file)})


def questions(task: SpanTask, count: int | None) -> list[Question]:
    """The first questions, with logits from a fixed seed."""
    random = np.random.default_rng(SEED)
    examples = list(itertools.islice(task.examples(TEST), count))
    made = zip(examples, task.featurizer.featurize(examples), strict=True)
    return [Question(example, windows, [_logits(window, random) for window in windows]) for example, windows in made]


def _logits(features: Features, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Noise, and likely answers of a few pieces with what stands around them."""
    window, size = features["_window"], len(features["input_ids"])
    logits = random.normal(-6.0, 1.5, (2, size))
    positions = np.arange(size)
    for _ in range(LIKELY_ANSWERS):
        start = window.offset + int(random.integers(window.length))
        end = min(start + int(random.integers(6)), size - 2)
        for row, place in enumerate((start, end)):
            height = random.uniform(4.0, 14.0)
            logits[row] += np.maximum(height - 1.5 * np.abs(positions - place), 0.0)
    start_logits, end_logits = logits.astype(np.float32)
    return {"start_logits": start_logits, "end_logits": end_logits}


def decode(task: SpanTask, asked: list[Question], folder: Path) -> None:
    """Answers questions into the files of a prediction."""
    with task.answers(folder) as sink:
        for question in asked:
            sink(*question)


def digest(folder: Path) -> str:
    """Of the answers and n-best lists in a folder; probabilities, whose last digits depend on sums, are left out."""
    predictions, nbest = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("predictions", "nbest_predictions")
    )
    for entries in nbest.values():
        for entry in entries:
            del entry["probability"]
    return hashlib.sha256(json.dumps([predictions, nbest], sort_keys=True).encode()).hexdigest()


def _round(task: SpanTask, asked: list[Question], folder: Path) -> Result:
    # What is remembered of words would make a second round faster than the one that a script runs.
    text._aligner.cache_clear()
    task = SpanTask(task.tokenizer, task.settings, {})
    folder = folder / "ours"
    taken = seconds(lambda: decode(task, asked, folder))
    return Result({"questions/s": len(asked) / taken}, digest(folder))
