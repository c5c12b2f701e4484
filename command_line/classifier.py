"""run_classifier.py from flags to calls: assemble the task, check the output directory, do what was asked."""

import functools
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line import model_files
from command_line.settings import experiment_settings, require, require_an_action, settle
from command_line.table import STANDARD_INPUT, table_changes, table_processor
from errors import FlagError
from estimator.run_directory import RunDirectory, vocabulary_digest
from processors import registry
from processors.base import DataProcessor
from processors.table import TableProcessor
from tasks.classification import DEV, TEST, TRAIN, ClassificationTask

log = logging.getLogger(__name__)

SETTLED = (
    "task_name", "processor_module", "problem_type", "data_dir", "max_seq_length", "do_lower_case", "text_a", "text_b",
    "label", "label_separator", "delimiter", "quoting", "encoding", "header",
)  # fmt: skip
"""Flags that a later run in the same output directory need not repeat."""


def run(flags: SimpleNamespace) -> None:
    """Does what the flags ask for, in upstream's order: train, evaluate, predict, export.

    Raises:
      BertError: whatever the user can mend.
    """
    check(flags)
    directory = RunDirectory(Path(flags.output_dir)) if flags.output_dir else None
    description = (directory.description() if directory else None) or {}
    if flags.predict_file == STANDARD_INPUT and not (flags.do_train or flags.do_eval or flags.do_export):
        assert directory is not None
        if directory.latest_export() is not None:
            answer_standard_input(directory, flags.predict_batch_size)
            return
    flags = settle(flags, description.get("flags", {}), SETTLED)
    identity_there = description.get("identity", {})
    files = model_files.load(flags, directory.path if directory else Path(), identity_there)
    task = build_task(flags, files.tokenizer, identity_there)
    if flags.validate_only:
        report(flags, task)
        return
    assert directory is not None
    identity = {
        **task.identity(),
        "vocabulary": vocabulary_digest(files.tokenizer.vocab),
        "do_lower_case": files.tokenizer.do_lower_case,
        "architecture": files.config.to_dict(),
    }
    directory.check(identity)
    execute(flags, task, directory, functools.partial(directory.write, identity, given(flags), files.vocab_file), files)


def check(flags: SimpleNamespace) -> None:
    """Checks flags against each other before anything is read.

    Raises:
      FlagError: what is missing or does not go together.
    """
    if not flags.validate_only:
        require_an_action(flags, "do_train", "do_eval", "do_predict", "do_export", "validate_only")
        require(flags, "output_dir")
        if Path(flags.output_dir).is_file():
            RunDirectory(Path(flags.output_dir)).check({})
    if flags.predict_file and not flags.do_predict:
        raise FlagError("--predict_file needs --do_predict; add it")
    if flags.export_frozen_graph and not flags.do_export:
        raise FlagError("--export_frozen_graph needs --do_export; add it")


def build_task(flags: SimpleNamespace, tokenizer: Any, identity: Mapping[str, Any]) -> ClassificationTask:
    """The task that the flags name, with the labels that an earlier run settled."""
    require(flags, "task_name")
    name = flags.task_name if ":" in flags.task_name else flags.task_name.lower()
    processor = build_processor(name, flags, identity)
    limits = {TRAIN: flags.max_train_examples, DEV: flags.max_eval_examples, TEST: flags.max_predict_examples}
    labels = [] if processor.problem_type == "regression" else list(processor.get_labels())
    weights = class_weights(flags.class_weights, labels)
    return ClassificationTask(name, processor, tokenizer, flags.max_seq_length, flags.data_dir, weights, limits)


def build_processor(name: str, flags: SimpleNamespace, identity: Mapping[str, Any]) -> DataProcessor:
    """A table from flags, or a registered processor; `--problem_type` has the last word."""
    if name == "table":
        return table_processor(flags, identity)
    require(flags, "data_dir")
    if not Path(flags.data_dir).is_dir():
        raise FlagError(f"--data_dir={flags.data_dir}: no such directory; give the folder of the data files")
    factory = registry.get(name, flags.processor_module)
    processor = factory()
    if isinstance(processor, TableProcessor):
        return factory(data_dir=flags.data_dir, on_bad_row=flags.on_bad_row, **table_changes(flags))
    if flags.predict_file not in (None, STANDARD_INPUT):
        raise FlagError(
            f"--predict_file={flags.predict_file}: task {name} reads no tables but its own; "
            "put the rows into its test split, or give them on standard input with --predict_file=-"
        )
    if flags.problem_type:
        processor.problem_type = flags.problem_type
    return processor


def class_weights(text: str | None, labels: list[str]) -> list[float] | str | None:
    """Parses `--class_weights`: `balanced`, `1,2.5` in label order, or `name=2.5` with 1 for the others.

    Raises:
      FlagError: a weight that is not a number, or a name that is not a label.
    """
    if not text or text == "balanced":
        return text or None
    parts = [part.strip() for part in text.split(",")]
    try:
        if "=" not in text:
            return [float(part) for part in parts]
        named = {key.strip(): float(value) for key, value in (part.rsplit("=", 1) for part in parts)}
    except ValueError:
        raise FlagError(
            f"--class_weights={text}: not a list of numbers; expected 'balanced', 1,2.5 or name=2.5,other=1"
        ) from None
    unknown = sorted(named.keys() - set(labels))
    if unknown:
        raise FlagError(f"--class_weights: {unknown[0]!r} is not a label; labels are {', '.join(labels)}")
    return [named.get(label, 1.0) for label in labels]


def execute(
    flags: SimpleNamespace, task: ClassificationTask, directory: RunDirectory, write: Any, files: model_files.ModelFiles
) -> None:
    """Trains, evaluates, predicts, exports: whichever were asked for, in this order."""
    from estimator import devices
    from estimator.experiment import Experiment

    devices.quiet_tensorflow()
    log.info(devices.banner())
    if flags.do_train:
        # Rows are read before anything is written: a broken table leaves no directory behind.
        for _ in task.examples(TRAIN):
            break
    write(files.config.to_json_string())
    experiment = Experiment(task, experiment_settings(flags, files.config))
    if flags.do_train:
        experiment.train()
    if flags.do_eval:
        experiment.evaluate()
    if flags.do_predict and flags.predict_file != STANDARD_INPUT:
        experiment.predict()
    if flags.do_export:
        experiment.export(flags.export_frozen_graph)
    if flags.do_predict and flags.predict_file == STANDARD_INPUT:
        if directory.latest_export() is None:
            experiment.export()
        answer_standard_input(directory, flags.predict_batch_size)


def answer_standard_input(directory: RunDirectory, batch_size: int) -> None:
    """Answers lines of standard input from the newest export, as JSON lines on standard output."""
    from estimator import devices
    from estimator.predictor import Predictor, answer_lines

    devices.quiet_tensorflow()
    export = directory.latest_export()
    assert export is not None
    with Predictor(export) as predictor:
        log.info("answering standard input from %s: text, text<TAB>text, or a JSON object a line", export)
        answer_lines(predictor, sys.stdin.buffer, sys.stdout, batch_size)


def report(flags: SimpleNamespace, task: ClassificationTask) -> None:
    """Prints the data report of `--validate_only`."""
    from processors.report import data_report, format_report

    print(format_report(data_report(task.processor, flags.data_dir, task.tokenizer, flags.max_seq_length)))


def given(flags: SimpleNamespace) -> dict[str, Any]:
    """The flags that stood on the command line, for the run directory."""
    return {name: getattr(flags, name) for name in sorted(flags.given)}
