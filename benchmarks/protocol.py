"""What both ends of a worker know. Standard library only: the peer's environment imports it too.

parent -> worker   {"module": "benchmarks.ours.training", "settings": {...}}    once
worker -> parent   {"cases": ["batch 32"], "versions": {...}}                   when all is loaded
parent -> worker   {"case": "batch 32"}                                         a round
worker -> parent   {"values": {"examples/s": 81.2}, "digest": ""}
"""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

BATCHES_FILE, TEXTS_FILE, ROWS_FILE = "batches.json", "texts.json", "rows.json"
"""What our side leaves for the others: batches of ids, texts by data set, requests."""

MAX_SEQ_LENGTH = 128
TRAIN_BATCH_SIZE = 32
INFERENCE_BATCH_SIZES = (8, 32)
LATENCY_BATCH_SIZES = (1, 32)
WARM_STEPS = 5
FLOAT32, INT8 = "float32", "int8"
"""Arithmetic of an engine, and what its cases are called by."""
ENGINE_THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""Threads of an operation: the cores of this process."""


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much work a round is; None means all there is.

    Args:
      rounds: rounds of each case.
      training_steps: steps of a round.
      inference_rows: rows evaluated or predicted in a round.
      text_rows: rows of each file that are tokenized in a round, and converted by upstream's way.
      questions: SQuAD questions decoded in a round.
      calls: requests of a latency round of single texts; larger batches get fewer.
      base_steps: steps of the model of BERT-base's shape.
      memory_steps: updates of a training whose memory is measured.
      tagged_sentences: sentences that a tagger is trained on.
      tagged_predictions: sentences that it tags.
      pairs: paraphrases that a writer is trained on, counted in both directions.
    """

    rounds: int = 5
    training_steps: int = 20
    inference_rows: int | None = None
    text_rows: int | None = None
    questions: int | None = None
    calls: int = 200
    base_steps: int = 2
    memory_steps: int = 10
    tagged_sentences: int | None = None
    tagged_predictions: int | None = None
    pairs: int | None = None


QUICK = Effort(
    rounds=1,
    training_steps=4,
    inference_rows=96,
    text_rows=2000,
    questions=200,
    calls=20,
    base_steps=1,
    memory_steps=2,
    tagged_sentences=64,
    tagged_predictions=96,
    pairs=64,
)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a worker is told.

    Args:
      work: a folder for the sides of one benchmark to leave files in; what ours leaves there, the others find.
      weights: folder of weights, configuration and vocabulary in Hugging Face layout; "" where not given.
      data_dir: folder of GLUE's folders.
      squad_file: a SQuAD file.
      corpus: running text for pretraining.
      tagged_dir: folder of train.* and test.*, sentences with tags as run_ner.py reads them.
      effort: how much work a round is.
      options: of this side.
    """

    work: str
    weights: str = ""
    data_dir: str = ""
    squad_file: str = ""
    corpus: str = ""
    tagged_dir: str = ""
    effort: Effort = Effort()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Settings":
        """The inverse of `dataclasses.asdict`."""
        return cls(**{**values, "effort": Effort(**values["effort"])})

    @property
    def folder(self) -> Path:
        """`work` as a path."""
        return Path(self.work)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a round gave.

    Args:
      values: measurements by unit, such as `{"rows/s": 1200.0}`.
      digest: of what was computed, where all sides must compute the same; "" where they need not.
    """

    values: Mapping[str, float]
    digest: str = ""


Round = Callable[[], Result]
Rounds = dict[str, Round]
"""The rounds that a side can run, by case. A worker's module has a function `load(settings) -> Rounds`."""


def seconds(work: Callable[[], Any]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
