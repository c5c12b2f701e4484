"""run_ner.py: its flags, and how they become a task."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.execution import STANDARD_INPUT, check_actions
from command_line.flags.distillation import OF_RUNS
from command_line.flags.entities import SENTENCES, TAGGING
from command_line.frame import TaskScript, task_flags
from command_line.model_files import ModelFiles
from command_line.settings import limits
from command_line.table import named_files
from common.errors import DataError, FlagError
from common.run_directory import RunDirectory
from modeling.families.bert import TAGS
from processors import registry
from processors.base import SPLITS
from processors.entities.columns import Columns
from processors.entities.featurizer import labels_of_types
from processors.entities.processor import ProcessorSentences
from processors.entities.report import Problems, split_lines
from processors.entities.sentence import stop
from processors.entities.source import SentenceFiles, SentenceSource
from processors.entities.tagged_file import SUFFIXES, FileForm
from processors.entities.tags import NONE, scheme_of_labels
from processors.reading import MissingDataError
from processors.tables.spec import checked_labels, parse_labels
from processors.tables.splitting import find_file, named_file
from tasks.base import DEV, TEST, TRAIN
from tasks.entities.task import NAME, EntitySettings, EntityTask

NO_COLUMN = "none"


class NerScript(TaskScript[EntityTask]):
    """run_ner.py."""

    flags = task_flags(SENTENCES, TAGGING, OF_RUNS)

    def check(self, flags: SimpleNamespace) -> None:
        """Checks the flags against each other."""
        check_actions(flags)
        tag_column(flags.tag_column)
        if flags.predict_file and not flags.do_predict:
            raise FlagError("--predict_file needs --do_predict; add it")

    def settled(self, flags: SimpleNamespace) -> SimpleNamespace:
        """Looks for the data files before a model is read."""
        if reads_processor(flags):
            refuse_files(flags)
            return flags
        files = data_files(flags, tells=True)
        needed = {
            TRAIN: flags.do_train,
            DEV: flags.do_eval or flags.eval_every_n_steps,
            TEST: flags.do_predict and flags.predict_file != STANDARD_INPUT,
        }
        for split, is_needed in needed.items():
            if (is_needed or flags.validate_only) and split not in files and data_folder(flags) != flags.data_dir:
                raise FlagError(f"--data_dir={flags.data_dir}: no such folder; give the folder of the data files")
            if is_needed and split not in files:
                flag = "predict_file or --test_file" if split == TEST else f"{split}_file"
                raise FlagError(f"--{flag} is missing; give it, or a folder with {split}.* as --data_dir")
            if (is_needed or flags.validate_only) and split in files and not files[split].is_file():
                raise FlagError(f"{files[split]}: no such file to read the {split} split from; check the path")
        return flags

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> EntityTask:
        """Sentences of the files that the flags name, with the labels of an earlier run."""
        identity = (directory.description() or {}).get("identity") or brought_along(flags)
        settings = EntitySettings(
            max_seq_length=flags.max_seq_length,
            window_overlap=flags.window_overlap,
            use_crf=flags.use_crf,
            constrain_tags=flags.constrain_tags,
            crf_learning_rate=flags.crf_learning_rate,
            label_all_tokens=flags.label_all_tokens,
            by_character=flags.by_character,
            max_words=flags.max_words,
        )
        source = build_source(flags, identity, directory.path if flags.output_dir else None)
        return EntityTask(files.text_tokenizer, source, settings, limits(flags), flags.task_name or NAME)

    def report(self, flags: SimpleNamespace, task: EntityTask) -> None:
        """Prints sentences, words, windows, entities and problems of each split.

        Raises:
          DataError: there are rows that cannot be used, all of which were read.
        """
        source = task.sentence_source
        unknown = task.tokenizer.special_ids.unk
        for split in SPLITS:
            try:
                print("\n".join(split_lines(source, task.featurizer, unknown, split)))
            except MissingDataError as error:
                print(f"{split}: {error}")
        if isinstance(source.on_problem, Problems):
            source.on_problem.refuse()


def build_source(flags: SimpleNamespace, identity: Mapping[str, Any], output_dir: Path | None = None) -> SentenceSource:
    """A processor, or files: their scheme and labels are those given, else those of the run or the training file."""
    problems = Problems()
    on_problem = problems if flags.validate_only else stop
    if reads_processor(flags):
        processor = registry.get(flags.task_name or NAME, flags.processor_module)()
        return ProcessorSentences(processor, flags.data_dir, output_dir, on_problem)
    form = FileForm(Columns(flags.token_column, tag_column(flags.tag_column)), flags.by_character, flags.encoding)
    scheme = flags.tag_scheme or identity.get("tag_scheme")
    labels = None if flags.do_train else identity.get("labels")
    if flags.labels:
        given = checked_labels(parse_labels(flags.labels, flags.encoding), "multi_label")
        labels = list(given) if scheme == NONE else labels_of_types(given)
    try:
        return SentenceFiles(data_files(flags), form, scheme, labels, on_problem)
    except DataError:
        problems.refuse()  # rows that cannot be used come first: without them there may be nothing to learn
        raise


def brought_along(flags: SimpleNamespace) -> dict[str, Any]:
    """Labels and scheme of the head that comes with `--init_checkpoint`, where nothing is trained.

    Raises:
      FlagError: its labels are spelt in a scheme that is not computed.
    """
    from modeling.checkpoints.label_order import stated_head_of

    found = None if flags.do_train else stated_head_of(flags.init_checkpoint, TAGS.title)
    if found is None:
        return {}
    try:
        scheme = scheme_of_labels(found.labels)
    except DataError as error:
        raise FlagError(f"--init_checkpoint={flags.init_checkpoint}: {error}") from None
    return {"labels": list(found.labels), "tag_scheme": scheme}


def reads_processor(flags: SimpleNamespace) -> bool:
    """Whether sentences come from a class of the user's."""
    return bool(flags.processor_module or flags.task_name)


def refuse_files(flags: SimpleNamespace) -> None:
    """Refuses flags about files where a class reads them.

    Raises:
      FlagError: one of them is given.
    """
    for name in ("train_file", "dev_file", "test_file", "tag_scheme", "labels", "encoding"):
        if getattr(flags, name):
            raise FlagError(
                f"--{name} describes files, but --processor_module names a class that reads them and knows their tags; "
                "remove one of them"
            )
    if flags.predict_file not in (None, STANDARD_INPUT):
        raise FlagError(
            f"--predict_file={flags.predict_file}: --processor_module reads its own files; put the sentences into its "
            "test split, or give them on standard input with --predict_file=-"
        )
    if not flags.data_dir or not Path(flags.data_dir).is_dir():
        raise FlagError(f"--data_dir={flags.data_dir}: no such directory; give the folder of the data files")


def data_files(flags: SimpleNamespace, tells: bool = False) -> dict[str, Path]:
    """The file of each split: by flag, else as `--data_dir` has it; `tells` as for `named_file`.

    Raises:
      DataError: several files fit a split.
    """
    folder, named = data_folder(flags), named_files(flags)
    found = {
        split: named_file(named[split], folder, split, tells) if split in named else find_file(split, folder, SUFFIXES)
        for split in SPLITS
    }
    return {split: path for split, path in found.items() if path is not None}


def data_folder(flags: SimpleNamespace) -> str | None:
    """`--data_dir` where it is there: one that is only recorded may be gone when other files are predicted."""
    folder: str | None = flags.data_dir
    return folder if folder and Path(folder).is_dir() else None


def tag_column(text: str) -> int | None:
    """Parses `--tag_column`: a number, or `none`.

    Raises:
      FlagError: it is neither.
    """
    if text.lower() == NO_COLUMN:
        return None
    try:
        return int(text)
    except ValueError:
        raise FlagError(
            f"--tag_column={text}: expected a number, counted from 0, or from the last with -1; or none"
        ) from None


SCRIPT = NerScript()
