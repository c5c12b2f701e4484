"""A trained run that gives scores for the examples of a student."""

import dataclasses
import glob
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from command_line import execution, model_files, scopes
from command_line.distillation.answers import CHUNK_EXAMPLES, check_labels
from command_line.flags.declaration import FlagSet
from command_line.flags.model import MODEL
from command_line.flags.transfer import INSERTED, READING
from command_line.model_files import ModelFiles
from command_line.settings import experiment_settings
from common.errors import FlagError
from common.files import file_digest
from common.run_directory import RUN_FILE, RunDirectory
from processors.records.featurizer import chunked
from tasks.base import Task
from tasks.distillation import Scores, Teacher

log = logging.getLogger(__name__)

BATCH_SIZE = 64
"""Windows that a teacher computes at once."""
OF_MODELS = frozenset(
    {*MODEL.names(), *READING.names(), *INSERTED.names()}
    | {"truncation", "doc_stride", "max_windows", "pool_windows"}  # what a classifier reads of a text
    | {"freeze"}  # without which kept outputs are refused
)
"""Flags that a teacher has values of its own for; of all others it has the student's."""
OF_WINDOWS = frozenset({"max_seq_length", "doc_stride"})
"""Of these, the student's hold where scores are of places in windows, which have to be the same."""

KINDS = {"problem_type": "problem type", "head": "head", "tag_scheme": "scheme of tags", "use_crf": "use of a CRF"}
"""What teacher and student have in common besides their labels, by its key in an identity."""


class TaskMaker(Protocol):
    """A script, as far as a teacher needs it."""

    @property
    def flags(self) -> FlagSet:
        """Every flag of the script."""

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> Any:
        """The task that flags describe."""


@dataclasses.dataclass(frozen=True)
class Side:
    """A model with what it was made by.

    Args:
      task: of the model.
      flags: it was trained with.
      files: of the model.
      directory: of its run.
    """

    task: Task
    flags: SimpleNamespace
    files: ModelFiles
    directory: RunDirectory

    def experiment(self) -> Any:
        """An `estimator.experiment.Experiment` that answers with its checkpoint."""
        from estimator.experiment import Experiment

        settings = experiment_settings(self.flags, self.files.config)
        settings, _ = execution.on_base(settings, self.directory, None)
        return Experiment(self.task, settings)

    def checkpoint(self) -> str:
        """Prefix of the checkpoint that it answers with.

        Raises:
          FlagError: there is none.
        """
        from estimator.weights import RunCheckpoints

        prefix = RunCheckpoints(self.directory.path, self.flags.keep_best_checkpoint).answering()
        if prefix is None:
            raise FlagError(f"{self.directory.path}: has no trained checkpoint to learn of or compare; train it first")
        return prefix


class RunTeacher(Teacher):
    """A trained run of the same script.

    Args:
      script: of both.
      flags: of the student.
      task: of the student.

    Attributes:
      side: the teacher's task, flags, files and directory.

    Raises:
      BertError: it is no trained run, or has other labels.
    """

    def __init__(self, script: TaskMaker, flags: SimpleNamespace, task: Task) -> None:
        directory = RunDirectory(Path(flags.teacher))
        description = directory.description()
        if description is None or not directory.is_trained():
            what = "has no trained checkpoint" if description else f"has no {RUN_FILE}"
            raise FlagError(
                f"--teacher={flags.teacher}: {what}; expected the --output_dir of a run that was trained, or a folder "
                "with saved_model.pb"
            )
        if directory.path.resolve() == Path(flags.output_dir or "").resolve():
            raise FlagError(f"--teacher={flags.teacher} is --output_dir itself; choose another --output_dir")
        identity = description.get("identity", {})
        own = OF_MODELS - OF_WINDOWS if len(task.soft_target_shape()) > 1 else OF_MODELS
        theirs = _flags_of(script, flags, directory, own)
        files = model_files.load(theirs, directory.path, identity)
        self.side = Side(script.task(theirs, files, directory), theirs, files, directory)
        if task.learns_by_token and _tokens(task) != _tokens(self.side.task):
            raise FlagError(
                f"--teacher={flags.teacher}: has another tokenizer or vocabulary than the student, and the task "
                f"{task.name} is learned token by token; give a teacher with the student's"
            )
        self._recorded = list(identity.get("labels") or [])
        self._places = _places(flags.teacher, task, self.side.task.identity(), identity)

    def check_order(self) -> None:
        """Compares the labels of the teacher's outputs with those by which its task names them.

        Raises:
          FlagError: they stand in another order.
        """
        named = list(self.side.task.identity().get("labels") or [])
        if named != self._recorded:
            raise FlagError(
                f"--compare_teacher: --teacher={self.side.directory.path} was trained with the labels "
                f"{', '.join(self._recorded)}, but its task now names them in the order {', '.join(named)}; give a "
                "teacher that was trained in this order, or leave --compare_teacher out"
            )

    def made_of(self) -> dict[str, Any]:
        """The teacher's weights, model and way from text to features."""
        side, prefix = self.side, Path(self.side.checkpoint())
        return {
            "teacher": [file_digest(path) for path in sorted(prefix.parent.glob(glob.escape(prefix.name) + ".*"))],
            "featurizer": side.task.featurizer.settings(),
            "model": side.files.config.to_dict(),
            "flags": {name: getattr(side.flags, name) for name in sorted(OF_MODELS) if hasattr(side.flags, name)},
            "precision": side.flags.precision,
            "code": side.task.code_digest(),
            "places": list(self._places),
        }

    def scores(self, examples: Iterable[Any]) -> Iterator[tuple[Any, list[Scores]]]:
        """Computes them with the checkpoint that the run answers with."""
        task = self.side.task
        log.info("computing the scores of the teacher %s", self.side.directory.path)
        for found in self.side.experiment().stream(task.featurizer, chunked(examples, CHUNK_EXAMPLES)):
            windows = zip(found.outputs, found.windows, strict=True)
            scores = [task.soft_targets(outputs, window) for outputs, window in windows]
            yield found.example, [one[..., self._places] if self._places else one for one in scores]


def _tokens(task: Task) -> str:
    return "" if task.tokenizer is None else task.tokenizer.fingerprint()


def _flags_of(
    script: TaskMaker, flags: SimpleNamespace, directory: RunDirectory, names: frozenset[str]
) -> SimpleNamespace:
    """The flags that a teacher's task and model are made by: those of its run, on the student's examples.

    Args:
      script: of both.
      flags: of the student.
      directory: of the teacher.
      names: of the flags that the teacher has of its own.
    """
    own = [flag for flag in script.flags if flag.name in names or flag.name == "keep_best_checkpoint"]
    values = {**vars(flags), **{flag.name: flag.default for flag in own}, "given": set()}
    values |= {"do_train": False, "output_dir": str(directory.path), "predict_batch_size": BATCH_SIZE}
    values |= {"labels": None, "class_weights": None, "label_smoothing": 0.0, "focal_gamma": 0.0}
    values |= {"layerwise_lr_decay": None}
    declared = FlagSet((dataclasses.replace(MODEL, flags=tuple(own)),))
    return scopes.settle(SimpleNamespace(**values), declared, directory)


def _places(path: str, student: Task, made: dict[str, Any], recorded: dict[str, Any]) -> list[int]:
    """Where in the teacher's scores each of the student's labels lies; none where they are in the same order.

    Raises:
      FlagError: the teacher was trained for other labels, another kind of problem or with another head.
    """
    now = student.identity()
    for name, what in KINDS.items():
        if recorded.get(name) != now.get(name):
            raise FlagError(
                f"--teacher={path}: its {what} is {recorded.get(name)}, that of the student {now.get(name)}; give a "
                "teacher of the same task"
            )
    theirs, ours = list(recorded.get("labels") or []), list(now.get("labels") or [])
    check_labels(path, theirs, ours)
    check_labels(path, list(made.get("labels") or []), ours)
    return [] if theirs == ours else [theirs.index(label) for label in ours]
