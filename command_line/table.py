"""--task_name=table: a table described by flags alone."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from command_line.execution import STANDARD_INPUT
from common.errors import FlagError
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, Split, TableFormat, TableSpec, parse_labels


def table_processor(flags: SimpleNamespace, identity: Mapping[str, Any]) -> TableProcessor:
    """A processor for the tables that the flags describe.

    Args:
      flags: the command line.
      identity: what an earlier run in the output directory settled: labels and problem type.

    Raises:
      FlagError: columns or files are missing.
      DataError: a value that cannot be meant.
    """
    if not flags.text_a:
        raise FlagError("--text_a is missing; give the column of the text: a header name, or an index from 0")
    if flags.do_train and not flags.label:
        raise FlagError("--label is missing; training needs the column of the label: a header name, or an index from 0")
    files = {"train": flags.train_file, "dev": flags.dev_file, "test": _test_file(flags)}
    if not flags.data_dir and not any(files.values()):
        raise FlagError(
            "--data_dir is missing; give the folder of the tables, or --train_file, --dev_file, --test_file"
        )
    spec = TableSpec(
        columns=Columns(flags.text_a, flags.text_b, flags.label),
        format=TableFormat(flags.delimiter, flags.quoting, flags.encoding, flags.header is not False),
        splits={split: Split(file=file) for split, file in files.items() if file},
        labels=_labels(flags, identity),
        problem_type=flags.problem_type or identity.get("problem_type") or "single_label",
        label_separator=flags.label_separator,
        dev_fraction=flags.dev_fraction,
        seed=flags.seed,
        on_bad_row=flags.on_bad_row,
    )
    return TableProcessor(spec, data_dir=flags.data_dir)


def table_changes(flags: SimpleNamespace) -> dict[str, Any]:
    """What flags change in a declared table: the file to predict, the problem type."""
    changes = {
        "test_file": _test_file(flags),
        "problem_type": flags.problem_type,
        "on_bad_row": flags.on_bad_row,
    }
    return {name: value for name, value in changes.items() if value is not None}


def _test_file(flags: SimpleNamespace) -> str | None:
    return flags.test_file if flags.predict_file in (None, STANDARD_INPUT) else flags.predict_file


def _labels(flags: SimpleNamespace, identity: Mapping[str, Any]) -> list[str] | None:
    """Given, else found in the training data that is about to be read, else those of the earlier run."""
    if flags.labels:
        return parse_labels(flags.labels)
    return None if flags.do_train or not identity.get("labels") else list(identity["labels"])
