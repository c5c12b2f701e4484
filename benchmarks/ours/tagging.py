"""run_ner.py's task on a set of tagged sentences: a training with a seed of its own and a prediction each round."""

import functools
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import tagging
from benchmarks.ours import classifier
from benchmarks.protocol import Result, Rounds, Settings, seconds
from common.errors import FlagError
from estimator.config import ExperimentSettings, TrainingSettings
from estimator.experiment import Experiment
from processors.entities.source import SentenceFiles
from processors.entities.tagged_file import DEFAULT_FORM, SUFFIXES
from processors.tables.splitting import find_file
from tasks.base import TEST, TRAIN
from tasks.entities.files import EVALUATED
from tasks.entities.task import EntitySettings, EntityTask

FLAGS: dict[str, dict[str, Any]] = {
    tagging.SOFTMAX: {},
    tagging.CRF: {"use_crf": True, "crf_learning_rate": tagging.CRF_LEARNING_RATE},
}


def load(settings: Settings) -> Rounds:
    """Trains and predicts; the batches of each seed and the windows to predict are left for the peer."""
    task = _task(settings, tagging.SOFTMAX)
    experiment = _experiment(settings, task, settings.folder / "records", seed=0)
    files = {seed: settings.folder / tagging.batches_file(seed) for seed in tagging.seeds(settings)}
    classifier.leave_batches(experiment, tagging.BATCH_SIZE, tagging.EPOCHS, files, _rows)
    _write_test(task, settings.folder / tagging.TEST_FILE)
    return {case: functools.partial(_round, settings, case, iter(tagging.seeds(settings))) for case in FLAGS}


def _round(settings: Settings, case: str, seeds: Iterator[int]) -> Result:
    seed = next(seeds)
    folder = settings.folder / f"{case}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    task = _task(settings, case)
    experiment = _experiment(settings, task, folder, seed)
    experiment.check_weights(is_training=True)
    experiment.prepare([TRAIN, TEST])
    experiment.train()
    taken = seconds(experiment.predict)
    gold, predicted = _tags(folder / EVALUATED)
    return Result(
        {
            tagging.TRAINING: classifier.training_rate(folder, tagging.BATCH_SIZE),
            tagging.PREDICTION: len(gold) / taken,
            tagging.F1: tagging.entity_f1(gold, predicted),
        }
    )


def _task(settings: Settings, case: str) -> EntityTask:
    files = {split: find_file(split, settings.tagged_dir, SUFFIXES) for split in (TRAIN, TEST)}
    missing = [split for split, path in files.items() if path is None]
    if missing:
        raise FlagError(f"--tagged_dir={settings.tagged_dir}: holds no {missing[0]}.*; expected train.* and test.*")
    source = SentenceFiles({split: path for split, path in files.items() if path is not None}, DEFAULT_FORM)
    effort = settings.effort
    limits = {TRAIN: effort.tagged_sentences, TEST: effort.tagged_predictions}
    words = EntitySettings(max_seq_length=tagging.MAX_SEQ_LENGTH, **FLAGS[case])
    return EntityTask(classifier.tokenizer(settings), source, words, limits)


def _experiment(settings: Settings, task: EntityTask, folder: Path, seed: int) -> Experiment:
    folder.mkdir(parents=True, exist_ok=True)
    training = TrainingSettings(
        train_batch_size=tagging.BATCH_SIZE,
        predict_batch_size=tagging.PREDICTION_BATCH_SIZE,
        learning_rate=tagging.LEARNING_RATE,
        head_learning_rate=tagging.HEAD_LEARNING_RATE,
        num_train_epochs=tagging.EPOCHS,
        warmup_proportion=tagging.WARMUP_PROPORTION,
        log_every_n_steps=1,
        seed=seed,
    )
    return Experiment(task, ExperimentSettings(folder, classifier.model(settings), training))


def _rows(batch: classifier.Batch) -> dict[str, list]:
    """The rows of a batch without padding, under the peer's names."""
    rows = zip(batch["input_ids"], classifier.lengths(batch), batch["word_starts"], batch["label_ids"], strict=True)
    found = [(ids[:size], starts[starts > 0], tags[starts > 0]) for ids, size, starts, tags in rows]
    names = ("input_ids", "word_starts", "labels")
    return {name: [np.asarray(row[place]).tolist() for row in found] for place, name in enumerate(names)}


def _write_test(task: EntityTask, path: Path) -> None:
    """The first window of each sentence: all of it, where it is not longer than `MAX_SEQ_LENGTH`."""
    examples = list(task.examples(TEST))
    windows = [made[0] for made in task.featurizer.featurize(examples)]
    content = {
        "labels": task.labels,
        "gold": [example.tags for example in examples],
        "rows": [{"input_ids": list(one["input_ids"]), "word_starts": list(one["word_starts"])} for one in windows],
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _tags(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Gold and predicted tags of each sentence of `label_test.txt`."""
    lines = path.read_text(encoding="utf-8").split("\n")
    blocks = [list(block) for is_text, block in itertools.groupby(lines, bool) if is_text]
    gold, predicted = ([[line.split(" ")[place] for line in block] for block in blocks] for place in (1, 2))
    return gold, predicted
