"""--task_name=table: a table described by flags alone."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from command_line.execution import STANDARD_INPUT
from command_line.flags.data import TABLE
from common.errors import FlagError
from processors.problem_types import PROBLEM_TYPES
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, TableFormat, TableSpec, parse_labels
from tasks.base import DEV, TEST, TRAIN

COLUMN_FLAGS = ("text_a", "text_b", "label", "label_separator", "delimiter", "quoting", "header")
"""Flags that only a table described by flags has a use for."""


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
    files = named_files(flags)
    if not flags.data_dir and not files:
        raise FlagError(
            "--data_dir is missing; give the folder of the tables, or --train_file, --dev_file, --test_file"
        )
    spec = TableSpec(
        columns=Columns(flags.text_a, flags.text_b, _label_columns(flags)),
        format=TableFormat(flags.delimiter, flags.quoting, flags.encoding, flags.header is not False),
        labels=_labels(flags, identity),
        label_as=flags.label_as,
        rename=label_names(flags.label_names),
        problem_type=flags.problem_type or identity.get("problem_type") or "single_label",
        label_separator=flags.label_separator,
        dev_fraction=flags.dev_fraction,
        seed=flags.seed,
        on_bad_row=flags.on_bad_row,
    )
    return TableProcessor(spec, data_dir=flags.data_dir, **changed_files(flags))


def table_changes(flags: SimpleNamespace, name: str) -> dict[str, Any]:
    """What flags change in a declared table: files, encoding, labels, problem type, bad rows.

    Raises:
      FlagError: a flag that the declaration decides, such as a column.
    """
    refuse_columns(flags, name)
    changes: dict[str, Any] = {
        "encoding": flags.encoding,
        "labels": parse_labels(flags.labels, flags.encoding) if flags.labels else None,
        "problem_type": flags.problem_type,
    }
    always = {"label_as", "dev_fraction", "seed", "on_bad_row"} & flags.given
    renamed = {"rename": label_names(flags.label_names)} if flags.label_names else {}
    return (
        {key: value for key, value in changes.items() if value is not None}
        | changed_files(flags)
        | {key: getattr(flags, key) for key in always}
        | renamed
    )


def named_files(flags: SimpleNamespace) -> dict[str, str]:
    """The files of splits that flags name; `--predict_file` stands in for the test split."""
    test = flags.test_file if flags.predict_file in (None, STANDARD_INPUT) else flags.predict_file
    named = {TRAIN: flags.train_file, DEV: flags.dev_file, TEST: test}
    return {split: name for split, name in named.items() if name}


def changed_files(flags: SimpleNamespace) -> dict[str, str]:
    """The same as arguments of `TableProcessor`."""
    return {f"{split}_file": name for split, name in named_files(flags).items()}


def refuse_columns(flags: SimpleNamespace, name: str) -> None:
    """Refuses flags that describe a table where the task itself knows its columns.

    Raises:
      FlagError: one of them is given.
    """
    given = [flag for flag in COLUMN_FLAGS if getattr(flags, flag) != TABLE[flag].default]
    if given:
        raise FlagError(
            f"--{given[0]} describes a table, but --task_name={name} knows the columns of its files; leave it out, or "
            "use --task_name=table"
        )


def label_names(text: str | None) -> dict[str, str]:
    """Parses `--label_names`: `1=World,2=Sports`.

    Raises:
      FlagError: a part without `=`.
    """
    if not text:
        return {}
    pairs = [part.split("=", 1) for part in text.split(",")]
    if any(len(pair) < 2 or not pair[0].strip() or not pair[1].strip() for pair in pairs):
        raise FlagError(
            f"--label_names={text}: expected pairs of a label as written and its name, as in 1=World,2=Sports"
        )
    return {written.strip(): name.strip() for written, name in pairs}


def _label_columns(flags: SimpleNamespace) -> str | tuple[str, ...] | None:
    """The column of the label; with commas, for several labels a row, a column for each."""
    label: str | None = flags.label
    if label and "," in label and flags.problem_type and PROBLEM_TYPES[flags.problem_type].takes_several:
        return tuple(part.strip() for part in label.split(","))
    return label


def _labels(flags: SimpleNamespace, identity: Mapping[str, Any]) -> list[str] | None:
    """Given, else found in the training data that is about to be read, else those of the earlier run."""
    if flags.labels:
        return parse_labels(flags.labels, flags.encoding)
    return None if flags.do_train or not identity.get("labels") else list(identity["labels"])
