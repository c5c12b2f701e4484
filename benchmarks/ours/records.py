"""A data file to records on disk, as the first thing that a training does."""

import functools
import tempfile
from pathlib import Path

from benchmarks.ours import classifier
from benchmarks.protocol import Result, Rounds, Settings, seconds
from tasks.base import TRAIN


def load(settings: Settings) -> Rounds:
    """Converts the training files of MRPC and SST-2."""
    return {shown: functools.partial(_round, settings, name) for name, shown in classifier.FOLDERS.items()}


def _round(settings: Settings, name: str) -> Result:
    with tempfile.TemporaryDirectory(dir=settings.work) as folder:
        experiment = classifier.experiment(settings, classifier.task(settings, name), Path(folder))
        taken = seconds(lambda: experiment.prepare([TRAIN]))
        return Result({"rows/s": experiment.record_set(TRAIN).num_examples / taken})
