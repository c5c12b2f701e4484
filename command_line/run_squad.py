"""run_squad.py: its flags, and how they become a task."""

import logging
from pathlib import Path
from types import SimpleNamespace

from command_line.execution import STANDARD_INPUT, Results, check_actions
from command_line.flags.devices import BEAM
from command_line.flags.distillation import OF_RUNS
from command_line.flags.squad import QUESTIONS, WINDOWS
from command_line.frame import TaskScript, task_flags
from command_line.model_files import ModelFiles
from command_line.settings import limits, require
from common.errors import FlagError
from common.run_directory import RunDirectory
from processors.records.featurizer import chunked
from processors.records.record_sets import CHUNK_EXAMPLES
from tasks.base import DEV, TEST, TRAIN
from tasks.span.files import stored_threshold
from tasks.span.ranking import DecodingSettings
from tasks.span.task import SpanSettings, SpanTask
from tokenization.base import Tokenizer

log = logging.getLogger(__name__)


class SquadScript(TaskScript[SpanTask]):
    """run_squad.py."""

    flags = task_flags(QUESTIONS, WINDOWS, OF_RUNS, BEAM, max_seq_length=SpanSettings.max_seq_length)

    def check(self, flags: SimpleNamespace) -> None:
        """Checks the flags against each other."""
        if flags.verbose_logging:
            logging.getLogger("tasks").setLevel(logging.DEBUG)
        check_actions(flags)
        if flags.do_train:
            require(flags, "train_file")
        evaluates = flags.do_eval or flags.eval_every_n_steps
        if flags.do_predict or (evaluates and not flags.eval_file):
            require(flags, "predict_file")
        if evaluates and not flags.eval_file and flags.predict_file == STANDARD_INPUT:
            raise FlagError("--do_eval cannot evaluate on standard input; give --eval_file")

    def settled(self, flags: SimpleNamespace) -> SimpleNamespace:
        """Checks what depends on earlier commands: the threshold, the files."""
        check_threshold(flags)
        check_files(flags)
        return flags

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> SpanTask:
        """Questions of the files that the flags name."""
        return build_task(flags, files.text_tokenizer, directory.path)

    def report(self, flags: SimpleNamespace, task: SpanTask) -> None:
        """Prints questions, windows and faults of each split."""
        report(task)

    def execute(self, flags: SimpleNamespace, task: SpanTask, directory: RunDirectory, files: ModelFiles) -> Results:
        """Trains, evaluates, predicts, exports; answers that an evaluation has computed are not computed again."""
        if flags.do_eval and flags.do_predict and task.evaluation_answers_test:
            log.info("--do_predict: the answers of the evaluation are those of %s; they are computed once", TEST)
            flags = SimpleNamespace(**{**vars(flags), "do_predict": False})
        return super().execute(flags, task, directory, files)


def check_threshold(flags: SimpleNamespace) -> None:
    """Checks the flags about unanswerable questions.

    Raises:
      FlagError: a threshold without version 2, or one that is both given and to be found.
    """
    if not flags.tune_null_threshold:
        return
    if not flags.version_2_with_negative:
        raise FlagError("--tune_null_threshold needs --version_2_with_negative: without it every question is answered")
    if not flags.do_eval:
        raise FlagError("--tune_null_threshold needs --do_eval: the threshold is found on the evaluated questions")
    if "null_score_diff_threshold" in flags.given:
        raise FlagError("--tune_null_threshold finds what --null_score_diff_threshold gives; remove one of them")


def check_files(flags: SimpleNamespace) -> None:
    """Looks for the data files before a model is read.

    Raises:
      FlagError: one of them is missing.
    """
    for name in ("train_file", "predict_file", "eval_file"):
        path = getattr(flags, name)
        if path and path != STANDARD_INPUT and not Path(path).is_file():
            raise FlagError(f"--{name}={path}: no such file; check the path")


def build_task(flags: SimpleNamespace, tokenizer: Tokenizer, output_dir: Path) -> SpanTask:
    """The task that the flags describe; a threshold found earlier in the output directory is used."""
    decoding = DecodingSettings(flags.n_best_size, flags.max_answer_length, flags.version_2_with_negative)
    settings = SpanSettings(
        max_seq_length=flags.max_seq_length,
        doc_stride=flags.doc_stride,
        max_query_length=flags.max_query_length,
        decoding=decoding,
        answer_text=flags.answer_text,
        tune_null_threshold=flags.tune_null_threshold,
        skip_bad_questions=flags.on_bad_row == "skip",
        encoding=flags.encoding,
    )
    names = {TRAIN: flags.train_file, DEV: flags.eval_file or flags.predict_file, TEST: flags.predict_file}
    files = {split: Path(name) for split, name in names.items() if name and name != STANDARD_INPUT}
    threshold = flags.null_score_diff_threshold
    if "null_score_diff_threshold" not in flags.given and not flags.tune_null_threshold:
        stored = stored_threshold(output_dir, settings.tuned_with() if flags.version_2_with_negative else None)
        threshold = threshold if stored is None else stored
    return SpanTask(tokenizer, settings, files, threshold, limits(flags))


def report(task: SpanTask) -> None:
    """Prints the data report of `--validate_only`: questions, windows, and what cannot be used, by split."""
    for split in (TRAIN, DEV):
        if not task.has(split):
            continue
        reader = task.reader(split)
        questions = windows = impossible = 0
        for chunk in chunked(reader, CHUNK_EXAMPLES):
            questions += len(chunk)
            impossible += sum(example.is_impossible for example in chunk)
            windows += sum(len(made) for made in task.featurizer.featurize(chunk))
        print(f"{reader.path}: {questions} questions, {impossible} unanswerable, {windows} windows")
        if found := reader.report():
            print(found)


SCRIPT = SquadScript()
