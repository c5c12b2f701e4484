"""run_multiple_choice.py: its flags, and how they become a task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.execution import STANDARD_INPUT, check_actions
from command_line.flags.choices import QUESTIONS, READING, TABLE_NAME
from command_line.frame import TaskScript, task_flags
from command_line.model_files import ModelFiles
from command_line.run_ner import data_folder
from command_line.settings import device_settings, limits
from command_line.table import named_files
from common.errors import DataError, FlagError
from common.run_directory import RunDirectory
from processors.base import SPLITS
from processors.choices.featurizer import JoiningSettings
from processors.choices.forms import FORMS, Form
from processors.choices.report import split_lines
from processors.choices.source import ChoiceSource, Rows, stop
from processors.choices.tables import ChoiceColumns, DescribedTables
from processors.entities.report import Problems
from processors.reading import MissingDataError
from processors.tables.spec import TableFormat
from processors.tables.splitting import find_file, named_file
from tasks.base import DEV, TEST, TRAIN
from tasks.choices.task import NAME, ChoiceSettings, ChoiceTask

COLUMN_FLAGS = (
    "context",
    "question",
    "choices",
    "choice_separator",
    "label",
    "label_as",
    "delimiter",
    "quoting",
    "header",
)
"""Flags that only a table described by flags has a use for."""


class MultipleChoiceScript(TaskScript[ChoiceTask]):
    """run_multiple_choice.py."""

    flags = task_flags(QUESTIONS, READING)

    def check(self, flags: SimpleNamespace) -> None:
        """Checks the flags against each other."""
        check_actions(flags)
        if flags.predict_file and not flags.do_predict:
            raise FlagError("--predict_file needs --do_predict; add it")

    def settled(self, flags: SimpleNamespace) -> SimpleNamespace:
        """Looks for the data files before a model is read."""
        form = FORMS.get(flags.task_name)
        if form is None:
            check_table(flags)
        else:
            refuse_columns(flags)
        files = data_files(flags, form, tells=True)
        needed = {
            TRAIN: flags.do_train,
            DEV: flags.do_eval or flags.eval_every_n_steps,
            TEST: flags.do_predict and flags.predict_file != STANDARD_INPUT,
        }
        for split, is_needed in needed.items():
            if is_needed or flags.validate_only:
                check_files(flags, files, split, bool(is_needed))
        return flags

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> ChoiceTask:
        """The questions of the files that the flags name."""
        form = FORMS.get(flags.task_name)
        columns = table_columns(flags) if form is None else form.columns
        settings = ChoiceSettings(
            max_seq_length=flags.max_seq_length,
            joining=joining(flags, form),
            has_context=columns is None or columns.context is not None,
            has_question=columns is None or columns.question is not None,
        )
        on_problem = Problems() if flags.validate_only else stop
        found = data_files(flags, form)
        source = ChoiceSource(found, build_rows(flags, form, next(iter(found[TRAIN]), None)), on_problem)
        name = NAME if form is None else flags.task_name
        return ChoiceTask(files.text_tokenizer, source, settings, limits(flags), name)

    def report(self, flags: SimpleNamespace, task: ChoiceTask) -> None:
        """Prints questions, choices, labels, lengths and problems of each split.

        Raises:
          DataError: there are rows that cannot be used, all of which were read.
        """
        source = task.choice_source
        for split in SPLITS:
            try:
                print("\n".join(split_lines(source, task.featurizer, task.tokenizer.special_ids.unk, split)))
            except MissingDataError as error:
                print(f"{split}: {error}")
        problems = source.on_problem
        if isinstance(problems, Problems) and problems.found:
            print("\n".join([f"{len(problems.found)} problems:", *problems.lines()]))
            raise DataError(f"{len(problems.found)} rows cannot be used, the first: {next(iter(problems.found))}")


def check_table(flags: SimpleNamespace) -> None:
    """Checks what describes a table.

    Raises:
      FlagError: a column is missing, or what its labels are.
    """
    if not flags.choices:
        raise FlagError(
            "--choices is missing; give the columns of the choices as a,b,c, or --task_name for a data set by name"
        )
    if not flags.context and not flags.question:
        raise FlagError("--question is missing; give the column of the question, or of its --context, or both")
    if len(table_columns(flags).choices) > 1 and flags.choice_separator:
        raise FlagError(
            f"--choice_separator={flags.choice_separator} parts the choices of one cell, but --choices names several "
            "columns; leave one of them out"
        )
    reads_labels = flags.do_train or flags.do_eval
    if reads_labels and not flags.label:
        raise FlagError("--label is missing; training and evaluation need the column of the right choice")
    if flags.label and not flags.label_as and (reads_labels or flags.validate_only):
        raise FlagError(
            "--label_as is missing; say what a label is: text (of the right choice), index (from 0) or letter (from A)"
        )


def refuse_columns(flags: SimpleNamespace) -> None:
    """Refuses flags that describe a table where the data set is known by name.

    Raises:
      FlagError: one of them is given.
    """
    given = [name for name in COLUMN_FLAGS if getattr(flags, name) is not None and name in flags.typed]
    if given:
        raise FlagError(
            f"--{given[0]} describes a table, but --task_name={flags.task_name} knows its files; leave it out, or use "
            f"--task_name={TABLE_NAME}"
        )


def check_files(flags: SimpleNamespace, files: Mapping[str, Sequence[Path]], split: str, is_needed: bool) -> None:
    """Checks that the files of a split are there.

    Raises:
      FlagError: they are not.
    """
    if not files[split]:
        if data_folder(flags) != flags.data_dir:
            raise FlagError(f"--data_dir={flags.data_dir}: no such folder; give the folder of the data files")
        if is_needed:
            form = FORMS.get(flags.task_name)
            flag = "predict_file or --test_file" if split == TEST else f"{split}_file"
            names = f"{split}.*" if form is None else ", ".join(form.files[split])
            raise FlagError(f"--{flag} is missing; give it, or a folder with {names} as --data_dir")
    for path in files[split]:
        if not path.is_file():
            raise FlagError(f"{path}: no such file to read the {split} split from; check the path")


def data_files(flags: SimpleNamespace, form: Form | None, tells: bool = False) -> dict[str, list[Path]]:
    """The files of each split: by flag, else as `--data_dir` has them; `tells` as for `named_file`.

    Raises:
      DataError: several files fit a split, or some of a data set are missing.
    """
    folder, named = data_folder(flags), named_files(flags)
    found: dict[str, list[Path]] = {}
    for split in SPLITS:
        if split in named:
            found[split] = [named_file(named[split], folder, split, tells)]
        elif form is not None:
            found[split] = form.found(Path(folder), split) if folder else []
        else:
            path = find_file(split, folder)
            found[split] = [] if path is None else [path]
    return found


def table_columns(flags: SimpleNamespace) -> ChoiceColumns:
    """The columns that the flags name."""
    choices = tuple(part.strip() for part in flags.choices.split(","))
    return ChoiceColumns(choices, flags.context, flags.question, flags.label, None, flags.choice_separator)


def joining(flags: SimpleNamespace, form: Form | None) -> JoiningSettings:
    """How texts become sequences: as given, else as the data set has it."""
    named = JoiningSettings() if form is None else form.joining
    cut = flags.cut or named.cut
    limit = named.max_choice_length if cut == named.cut else None
    return JoiningSettings(flags.join or named.join, cut, flags.truncation, flags.max_choice_length or limit)


def build_rows(flags: SimpleNamespace, form: Form | None, training: Path | None) -> Rows:
    """How the rows of files become questions; `training` is the training file of a table."""
    skips = flags.on_bad_row == "skip"
    if form is not None:
        read = form.reader(flags.encoding, skips)
        description: dict[str, Any] = {"form": flags.task_name, "encoding": flags.encoding}
        return Rows(read, form.label_as, description, max_choices(flags, form.max_choices), skips)
    columns = table_columns(flags)
    layout = TableFormat(flags.delimiter, flags.quoting, flags.encoding, flags.header is not False)
    read = DescribedTables(columns, layout, skips, flags.label_as, training)
    description = {"columns": columns.named(), "separator": columns.separator, "format": vars(layout)}
    places = len(columns.choices) if len(columns.choices) > 1 else None
    return Rows(read, flags.label_as or "", description, max_choices(flags, places), skips)


def max_choices(flags: SimpleNamespace, places: int | None) -> int | None:
    """Most choices of a question: as given; where shapes are static, else as many as the data has places.

    Raises:
      FlagError: shapes are static, and nothing bounds them.
    """
    if flags.max_choices is not None or not device_settings(flags).needs_static_shapes:
        given: int | None = flags.max_choices
        return given
    if places is None:
        raise FlagError(
            "--max_choices is missing; where shapes are static (--use_tpu, --use_xla, --pad_to_max_length) give the "
            "most choices that a question has"
        )
    return places


SCRIPT = MultipleChoiceScript()
