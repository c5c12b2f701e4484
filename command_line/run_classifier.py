"""run_classifier.py: its flags, and how they become a task."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.execution import STANDARD_INPUT, check_actions
from command_line.flags.data import TABLE, TASK
from command_line.flags.devices import BEAM
from command_line.flags.distillation import DISTILLATION
from command_line.frame import TaskScript, task_flags
from command_line.model_files import ModelFiles
from command_line.settings import device_settings, limits, require
from command_line.table import refuse_columns, table_changes, table_processor
from common.errors import FlagError
from common.run_directory import RunDirectory
from modeling.families.bert import CLASSIFIER
from processors import registry
from processors.base import DataProcessor
from processors.example_source import ExampleSource
from processors.records.document_windows import WINDOWS, DocumentWindows
from processors.tables.processor import TableProcessor
from tasks.classification.task import ClassificationTask, LossSettings
from tokenization.base import Tokenizer

ROW_FLAGS = (
    "train_file", "dev_file", "test_file", "dev_fraction", "labels", "label_as", "label_names", "on_bad_row",
)  # fmt: skip
"""Flags that say which rows and labels a table has."""


class ClassifierScript(TaskScript[ClassificationTask]):
    """run_classifier.py."""

    flags = task_flags(TASK, TABLE, DISTILLATION, BEAM)

    def check(self, flags: SimpleNamespace) -> None:
        """Checks the flags against each other."""
        check_actions(flags)
        if flags.predict_file and not flags.do_predict:
            raise FlagError("--predict_file needs --do_predict; add it")

    def settled(self, flags: SimpleNamespace) -> SimpleNamespace:
        """Checks the flags about windows, which an earlier command may have given."""
        check_windows(flags)
        return flags

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> ClassificationTask:
        """A processor's examples, with the labels of an earlier run."""
        identity = (directory.description() or {}).get("identity") or brought_along(flags)
        return build_task(flags, files.text_tokenizer, identity, directory.path if flags.output_dir else None)

    def report(self, flags: SimpleNamespace, task: ClassificationTask) -> None:
        """Prints rows, labels, lengths and faults of each split."""
        from processors.report import data_report, format_report

        source, plan = task.example_source, task.featurizer.window_plan
        print(format_report(data_report(source, task.tokenizer, flags.max_seq_length, window_plan=plan)))


def brought_along(flags: SimpleNamespace) -> dict[str, Any]:
    """Labels and problem type of the head that comes with `--init_checkpoint`, where nothing is trained."""
    from modeling.checkpoints.label_order import stated_head_of

    found = None if flags.do_train else stated_head_of(flags.init_checkpoint, CLASSIFIER.title)
    return {} if found is None else {"labels": list(found.labels), "problem_type": found.problem_type}


def build_task(
    flags: SimpleNamespace, tokenizer: Tokenizer, identity: Mapping[str, Any], output_dir: Path | None = None
) -> ClassificationTask:
    """The task that the flags name, with the labels of an earlier run."""
    require(flags, "task_name")
    name = flags.task_name if ":" in flags.task_name else flags.task_name.lower()
    processor = build_processor(name, flags, identity)
    is_given = getattr(flags, "processor", None) is not None
    source = ExampleSource(processor, flags.data_dir, output_dir, in_memory=is_given)
    loss = LossSettings(class_weights(flags.class_weights, source.labels), flags.label_smoothing, flags.focal_gamma)
    return ClassificationTask(
        name, source, tokenizer, flags.max_seq_length, loss, limits(flags), truncation(flags), flags.head
    )


def truncation(flags: SimpleNamespace) -> str | DocumentWindows:
    """What becomes of texts that are too long."""
    if flags.truncation != WINDOWS:
        return str(flags.truncation)
    refuses = device_settings(flags).needs_static_shapes
    return DocumentWindows(flags.doc_stride, flags.max_windows, flags.pool_windows, refuses)


def check_windows(flags: SimpleNamespace) -> None:
    """Checks the flags about windows.

    Raises:
      FlagError: one of them without windows, static shapes without a bound on their number, or an export that cannot
        have windows.
    """
    if flags.truncation != WINDOWS:
        for name in ("doc_stride", "max_windows", "pool_windows"):
            if name in flags.typed:
                raise FlagError(
                    f"--{name} describes windows, which --truncation={flags.truncation} does not make; add "
                    f"--truncation={WINDOWS}, or leave it out"
                )
    elif flags.do_export and flags.export_onnx:
        raise FlagError(
            f"--export_onnx: windows are computed in a loop, which ONNX Runtime does not take; leave it out, or train "
            f"with another --truncation than {WINDOWS}"
        )
    elif device_settings(flags).needs_static_shapes and flags.max_windows is None:
        raise FlagError(
            "--max_windows is missing: --use_tpu, --use_xla and --pad_to_max_length need a bound on the windows of a "
            "document; give it, such as --max_windows=8"
        )


def build_processor(name: str, flags: SimpleNamespace, identity: Mapping[str, Any]) -> DataProcessor:
    """A table from flags, a registered processor, or one that Python code gives; `--problem_type` has the last word."""
    given: DataProcessor | None = getattr(flags, "processor", None)
    if given is not None:
        refuse_columns(flags, name)
        refuse_unread(flags, "predict_file", "problem_type", "encoding", "processor_module")
        return given
    if name == "table":
        return table_processor(flags, identity)
    factory = registry.get(name, flags.processor_module)
    require(flags, "data_dir")
    if not Path(flags.data_dir).is_dir():
        raise FlagError(f"--data_dir={flags.data_dir}: no such directory; give the folder of the data files")
    processor = registry.made(factory)
    if isinstance(processor, TableProcessor):
        return factory(data_dir=flags.data_dir, **table_changes(flags, name))
    refuse_columns(flags, name)
    refuse_unread(flags)
    if flags.encoding and flags.predict_file != STANDARD_INPUT:
        raise FlagError(
            f"--encoding={flags.encoding}: task {name} reads its files itself; give the encoding there, as in "
            f"self._read_tsv(path, encoding={flags.encoding!r})"
        )
    if flags.predict_file not in (None, STANDARD_INPUT):
        raise FlagError(
            f"--predict_file={flags.predict_file}: task {name} reads no tables but its own; "
            "put the rows into its test split, or give them on standard input with --predict_file=-"
        )
    if flags.problem_type:
        processor.problem_type = flags.problem_type
    return processor


def refuse_unread(flags: SimpleNamespace, *further: str) -> None:
    """Refuses flags about rows where a class of the user's gives them: it would not read them.

    Args:
      further: names of flags besides those of tables.

    Raises:
      FlagError: one of them is given.
    """
    for name in (*ROW_FLAGS, *further):
        if name in flags.typed and getattr(flags, name) != SCRIPT.flags[name].default:
            raise FlagError(
                f"--{name}={getattr(flags, name)}: the processor {flags.task_name} decides its rows and their labels; "
                "leave it out, or change the processor"
            )


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
            return _usable_weights([float(part) for part in parts], text)
        named = {key.strip(): float(value) for key, value in (part.rsplit("=", 1) for part in parts)}
    except ValueError:
        raise FlagError(
            f"--class_weights={text}: not a list of numbers; expected 'balanced', 1,2.5 or name=2.5,other=1"
        ) from None
    unknown = sorted(named.keys() - set(labels))
    if unknown:
        raise FlagError(f"--class_weights: {unknown[0]!r} is not a label; labels are {', '.join(labels)}")
    return _usable_weights([named.get(label, 1.0) for label in labels], text)


def _usable_weights(weights: list[float], text: str) -> list[float]:
    if all(math.isfinite(weight) and weight >= 0 for weight in weights) and any(weights):
        return weights
    raise FlagError(f"--class_weights={text}: expected finite weights of at least 0, and not all 0")


SCRIPT = ClassifierScript()
