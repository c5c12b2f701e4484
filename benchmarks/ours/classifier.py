"""The classifier that is measured: GLUE data, the weights given, records and batches as a script makes them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.protocol import MAX_SEQ_LENGTH, Settings
from common.errors import FlagError
from estimator.config import ExperimentSettings
from estimator.experiment import Experiment
from modeling.checkpoints.locate import find_beside
from modeling.config import BertConfig
from modeling.settings import ModelSettings
from processors import registry
from processors.example_source import ExampleSource
from processors.records.input_fn import InputSettings, build_input_fn
from tasks.base import TRAIN
from tasks.classification.task import ClassificationTask
from tokenization import BulkTokenizer

SEED = 12345
FOLDERS = {"mrpc": "MRPC", "sst-2": "SST-2"}

Batch = Mapping[str, np.ndarray]


def vocab_file(settings: Settings) -> str:
    """The vocabulary beside the weights.

    Raises:
      FlagError: there is none.
    """
    found = find_beside(settings.weights).vocab_file
    if found is None:
        raise FlagError(f"--weights={settings.weights}: no vocab.txt beside the weights; give a whole model folder")
    return str(found)


def tokenizer(settings: Settings) -> BulkTokenizer:
    """The tokenizer of the weights."""
    return BulkTokenizer(vocab_file(settings))


def model(settings: Settings) -> ModelSettings:
    """Architecture and weights.

    Raises:
      FlagError: there is no configuration beside the weights.
    """
    found = find_beside(settings.weights).config_file
    if found is None:
        raise FlagError(f"--weights={settings.weights}: no config.json beside the weights; give a whole model folder")
    return ModelSettings(BertConfig.from_json_file(str(found)), settings.weights)


def task(settings: Settings, name: str = "mrpc", limits: Mapping[str, int | None] | None = None) -> ClassificationTask:
    """A GLUE task on `data_dir`."""
    folder = str(Path(settings.data_dir) / FOLDERS[name])
    processor = registry.get(name)(data_dir=folder)
    return ClassificationTask(
        name, ExampleSource(processor, folder), tokenizer(settings), MAX_SEQ_LENGTH, limits=limits
    )


def experiment(settings: Settings, the_task: ClassificationTask, folder: Path) -> Experiment:
    """The lifecycle of a task in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return Experiment(the_task, ExperimentSettings(folder, model(settings)))


def input_fn(settings: Settings, the_task: ClassificationTask, split: str, batch_size: int, is_training: bool) -> Any:
    """The `input_fn` over a split's records, which are made where they are not there."""
    record_set = experiment(settings, the_task, settings.folder / "records").record_set(split)
    inputs = InputSettings(batch_size, record_set.num_records, is_training, SEED)
    return build_input_fn(record_set.files, the_task.featurizer.spec, inputs)


def first_batches(make: Any, count: int, seed: int = SEED) -> list[Batch]:
    """The batches that an Estimator with a seed gets from an `input_fn`; fewer where it ends before."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(seed)
        iterator = tf.compat.v1.data.make_initializable_iterator(make().take(count))
        following = iterator.get_next()
        session.run(iterator.initializer)
        found = []
        while True:
            try:
                found.append(session.run(following))
            except tf.errors.OutOfRangeError:
                return found


def leave_batches(
    experiment: Experiment, batch_size: int, epochs: int, files: Mapping[int, Path], rows: Callable[[Batch], Any]
) -> None:
    """Writes the batches of a training with each seed, in order, for a peer.

    Args:
      experiment: whose training split is read.
      batch_size: rows of a batch.
      epochs: of the training.
      files: to write, by seed.
      rows: gives of a batch what a peer reads, as JSON has it.
    """
    records = experiment.record_set(TRAIN)
    steps = int(records.num_records / batch_size * epochs)
    for seed, path in files.items():
        inputs = InputSettings(batch_size, records.num_records, True, seed)
        make = build_input_fn(records.files, experiment.task.featurizer.spec, inputs)
        path.write_text(json.dumps([rows(batch) for batch in first_batches(make, steps, seed)]), encoding="utf-8")


def training_rate(run: Path, batch_size: int) -> float:
    """Rows a second of a training that has logged every step, from the first step to the last."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    first, *_, last = (line for line in lines if line["event"] == "train")
    rate: float = batch_size * (last["step"] - first["step"]) / (last["time"] - first["time"])
    return rate


def lengths(batch: Batch) -> list[int]:
    """Pieces of each row."""
    return batch["input_mask"].sum(axis=1).tolist()


def write_batches(path: Path, batches: Sequence[Batch]) -> None:
    """Leaves batches to the other sides: rows of ids without padding, under the peer's names."""
    content = []
    for batch in batches:
        sizes = lengths(batch)
        rows = {"input_ids": batch["input_ids"].tolist(), "token_type_ids": batch["segment_ids"].tolist()}
        cut = {name: [row[:size] for row, size in zip(values, sizes, strict=True)] for name, values in rows.items()}
        content.append({**cut, "labels": batch["label_ids"].tolist()})
    path.write_text(json.dumps(content), encoding="utf-8")
