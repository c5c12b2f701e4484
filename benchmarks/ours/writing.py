"""run_seq2seq.py's task on the paraphrases of STS-B: a training with a seed of its own a round, and texts written."""

import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import writing
from benchmarks.ours import classifier
from benchmarks.protocol import Result, Rounds, Settings, seconds
from common.files import write_atomically
from estimator.config import ExperimentSettings, TrainingSettings
from estimator.experiment import Experiment
from modeling.checkpoints.restore import checkpoint_variables, read_tensors
from modeling.decoder.settings import TRANSFORMER, DecodingSettings
from processors import registry
from processors.example_source import ExampleSource
from processors.problem_types import REGRESSION
from processors.sequences.table import SequenceExample, SequenceTable
from processors.tables.spec import Columns, TableFormat, TableSpec
from serving.predictor import Predictor
from tasks.base import DEV, TEST, TRAIN
from tasks.sequences.task import SequenceSettings, SequenceTask

ALIKE = 4.0
"""From this score, of 0 to 5, two sentences mean the same, but for details."""
PAIRS = "pairs"
"""Folder of the tables."""


def load(settings: Settings) -> Rounds:
    """Trains and writes; batches of each seed, sources and references are left for the peer."""
    _write_pairs(settings)
    task = _task(settings)
    experiment = _experiment(settings, task, settings.folder / "records", seed=0)
    files = {seed: settings.folder / writing.batches_file(seed) for seed in writing.seeds(settings)}
    classifier.leave_batches(experiment, writing.BATCH_SIZE, writing.EPOCHS, files, _rows)
    _write_test(settings, task)
    writers = _Writers(settings)
    trained = functools.partial(_trained, settings, iter(writing.seeds(settings)))
    return writing.rounds(trained, writers.round)


class _Writers:
    """Exports of the first training; they write the texts of the test file.

    Args:
      settings: of the benchmark.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._predictors: dict[int, Predictor] = {}
        self._test = json.loads((settings.folder / writing.TEST_FILE).read_text(encoding="utf-8"))

    def round(self, way: str) -> Result:
        """Writes; batches in the order of the rows."""
        batch_size, beam_size = writing.WAYS[way]
        predictor = self._predictor(beam_size)
        asked = [{"source": text} for text in self._test["sources"]][: writing.FEW if batch_size == 1 else None]
        predictor.answer(asked[:batch_size])
        texts: list[str] = []
        taken = seconds(lambda: texts.extend(self._answers(predictor, asked, batch_size)))
        found = classifier.tokenizer(self._settings).encode(texts)
        score = writing.bleu(found, self._test["references"][: len(found)])
        return Result({writing.WRITING: len(found) / taken, writing.BLEU: score})

    @staticmethod
    def _answers(predictor: Predictor, asked: list[dict[str, str]], batch_size: int) -> Iterator[str]:
        for start in range(0, len(asked), batch_size):
            yield from (answer["text"] for answer in predictor.answer(asked[start : start + batch_size]))

    def _predictor(self, beam_size: int) -> Predictor:
        if beam_size not in self._predictors:
            seed = writing.seeds(self._settings)[0]
            task = _task(self._settings, beam_size)
            export = _experiment(self._settings, task, _run(self._settings, seed), seed).export()
            self._predictors[beam_size] = Predictor(export)
        return self._predictors[beam_size]


def _trained(settings: Settings, seeds: Iterator[int]) -> Result:
    seed = next(seeds)
    folder = _run(settings, seed)
    shutil.rmtree(folder, ignore_errors=True)
    task = _task(settings)
    experiment = _experiment(settings, task, folder, seed)
    experiment.check_weights(is_training=True)
    experiment.prepare([TRAIN, TEST])
    experiment.train()
    experiment.predict()
    if seed == writing.seeds(settings)[0]:
        _write_weights(folder, settings.folder / writing.WEIGHTS_FILE)
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    found, references = (task.tokenizer.encode([one[name] for one in answers]) for name in ("text", "target"))
    return Result(
        {
            writing.TRAINING: classifier.training_rate(folder, writing.BATCH_SIZE),
            writing.BLEU: writing.bleu(found, references),
        }
    )


def _run(settings: Settings, seed: int) -> Path:
    return settings.folder / f"run-{seed}"


def _write_pairs(settings: Settings) -> None:
    """Tables of STS-B's sentences that mean the same; to train on, each sentence of a pair is a source and a target."""
    folder = str(Path(settings.data_dir) / "STS-B")
    scored = ExampleSource(registry.get("sts-b")(data_dir=folder), folder)
    for split, names in {TRAIN: (TRAIN,), DEV: (DEV, TEST)}.items():
        alike = [one for one in scored.examples(split) if float(str(one.label)) >= ALIKE]
        pairs = [(one.text_a, str(one.text_b)) for one in alike]
        if split == TRAIN:
            pairs += [pair[::-1] for pair in pairs]
        pairs = pairs[: settings.effort.pairs if split == TRAIN else settings.effort.inference_rows]
        lines = [json.dumps({"source": source, "target": target}) for source, target in pairs]
        for name in names:
            (settings.folder / PAIRS).mkdir(exist_ok=True)
            write_atomically(settings.folder / PAIRS / f"{name}.jsonl", "\n".join(lines) + "\n")


def _task(settings: Settings, beam_size: int = 1) -> SequenceTask:
    table = TableSpec(Columns("source", label="target"), TableFormat(), problem_type=REGRESSION.name)
    pairs = str(settings.folder / PAIRS)
    source = ExampleSource(SequenceTable(table, data_dir=pairs), pairs)
    sequences = SequenceSettings(
        writing.MAX_SEQ_LENGTH, cut_targets=True, decoder=TRANSFORMER, label_smoothing=writing.LABEL_SMOOTHING
    )
    decoding = DecodingSettings(writing.MAX_TARGET_LENGTH, beam_size)
    return SequenceTask(
        classifier.tokenizer(settings), source, sequences, decoding, classifier.model(settings).bert_config
    )


def _experiment(settings: Settings, task: SequenceTask, folder: Path, seed: int) -> Experiment:
    folder.mkdir(parents=True, exist_ok=True)
    training = TrainingSettings(
        train_batch_size=writing.BATCH_SIZE,
        learning_rate=writing.LEARNING_RATE,
        num_train_epochs=writing.EPOCHS,
        warmup_proportion=writing.WARMUP_PROPORTION,
        log_every_n_steps=1,
        seed=seed,
    )
    return Experiment(task, ExperimentSettings(folder, classifier.model(settings), training))


def _rows(batch: classifier.Batch) -> dict[str, list[list[int]]]:
    """The rows of a batch without padding."""
    sources = zip(batch["input_ids"].tolist(), classifier.lengths(batch), strict=True)
    targets = batch["target_ids"].tolist()
    return {
        "input_ids": [ids[:size] for ids, size in sources],
        "target_ids": [[one for one in ids if one] for ids in targets],
    }


def _write_test(settings: Settings, task: SequenceTask) -> None:
    examples = [example for example in task.examples(TEST) if isinstance(example, SequenceExample)]
    sources = [example.text_a for example in examples]
    rows = [next(iter(windows)) for windows in task.featurizer.featurize(examples)]
    tokens = task.token_ids
    content: dict[str, Any] = {
        "sources": sources,
        "rows": [list(row["input_ids"]) for row in rows],
        "references": task.tokenizer.encode([str(example.reference) for example in examples]),
        "tokens": {"begin": tokens.begin, "end": tokens.end, "pad": tokens.pad, "never": list(tokens.never)},
    }
    (settings.folder / writing.TEST_FILE).write_text(json.dumps(content), encoding="utf-8")


def _write_weights(run: Path, path: Path) -> None:
    """Leaves the weights of a run, under the peer's names and in its layout."""
    parts, slots = ("bert/", "decoder/", "cls/"), ("/adam_m", "/adam_v")
    names = [name for name in checkpoint_variables(str(run)) if name.startswith(parts) and not name.endswith(slots)]
    values = {
        writing.peers_name(name): value.T if name.endswith("kernel") else value
        for name, value in read_tensors(str(run), names)
    }
    np.savez(path, **values)
