"""Teachers whose answers are read: prediction files by id, and exports."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from common.errors import DataError, FlagError, one_line
from common.files import file_digest, json_object
from processors.base import InputExample
from processors.records.featurizer import chunked
from tasks.base import Task
from tasks.distillation import Scores, Teacher

log = logging.getLogger(__name__)

CHUNK_EXAMPLES = 512
_NUMBERED = re.compile(r"(?:train|dev|unlabelled)-(\d+)", re.ASCII)
"""Ids that are a row's number in its file; predicted, the same row has the id test-N."""


class Answered(NamedTuple):
    """The scores in one line of a prediction file, and the texts that they are of; None where it has none."""

    scores: Scores
    texts: tuple[Any, Any] | None


class PredictionsTeacher(Teacher):
    """Answers in files, `predictions.jsonl` as runs write them.

    Args:
      paths: of the files.
      task: of the student.

    Raises:
      DataError: a line that cannot be used, or an id that has two answers.
    """

    def __init__(self, paths: Sequence[Path], task: Task) -> None:
        self._paths, self._task = paths, task
        self._answers: dict[str, list[Answered]] = {}
        for path in paths:
            self._read(path)

    def made_of(self) -> dict[str, Any]:
        """The files."""
        return {"predictions": [file_digest(path) for path in self._paths], **_labels_of(self._task)}

    def scores(self, examples: Iterable[Any]) -> Iterator[tuple[Any, list[Scores]]]:
        """Looks them up by id."""
        missing, by_number, count = [], 0, 0
        for example in examples:
            count += 1
            found, is_numbered = self._found(example)
            by_number += is_numbered
            if found is None:
                missing.append(example.guid)
                continue
            yield example, [found]
        if missing:
            names = ", ".join(map(str, self._paths))
            raise DataError(
                f"--teacher_predictions={names}: no answer for example {missing[0]} ({len(missing)} of {count} have "
                "none); predict the same files with the teacher (--do_predict --predict_file=FILE), or give its run "
                "as --teacher"
            )
        if by_number:
            log.info("%d answers were found by the number of their row and its text, as their id is test-N", by_number)

    def _found(self, example: Any) -> tuple[Scores | None, bool]:
        """The scores of an example, and whether the number of its row led to them.

        Raises:
          DataError: the answer under its id is of another text.
        """
        texts = (example.text_a, example.text_b)
        same = self._answers.get(example.guid, [])
        fitting = [one for one in same if one.texts in (None, texts)]
        if fitting:
            return fitting[0].scores, False
        if same:
            raise DataError(
                f"--teacher_predictions: the answer for id {example.guid} is of another text "
                f"({one_line(repr(same[0].texts[0] if same[0].texts else None), 60)}, expected "
                f"{one_line(repr(example.text_a), 60)}); predict the same files with the teacher"
            )
        number = _NUMBERED.fullmatch(example.guid)
        others = self._answers.get(f"test-{number[1]}", []) if number else []
        fitting = [one for one in others if one.texts == texts]
        return (fitting[0].scores, True) if fitting else (None, False)

    def _read(self, path: Path) -> None:
        try:
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    self._add(f"{path}:{number}", line)
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"--teacher_predictions={path}: cannot be read ({one_line(error)}); check the path"
            ) from None

    def _add(self, where: str, line: str) -> None:
        try:
            answer = json_object(line.encode())
            name = answer.get("id")
            if not isinstance(name, str):
                raise ValueError("has no text under id")
            scores = self._task.soft_targets_of_answer(answer)
        except ValueError as error:
            raise DataError(f"{where}: {error}; expected a line of predictions.jsonl of a run of this task") from None
        texts = (answer.get("text_a"), answer.get("text_b")) if "text_a" in answer else None
        there = self._answers.setdefault(name, [])
        if any(one.texts == texts or one.texts is None for one in there):
            raise DataError(f"{where}: a second answer for id {name}; leave one of them out")
        there.append(Answered(scores, texts))


class ExportTeacher(Teacher):
    """An export that answers texts, with whatever tokenizer.

    Args:
      folder: holds `saved_model.pb`.
      task: of the student.
      engine: what computes it, as for `serving.predictor.Predictor`.

    Raises:
      BertError: it answers no texts, or has other labels or another problem type.
    """

    def __init__(self, folder: Path, task: Task, engine: str) -> None:
        self._folder, self._task, self._engine = folder, task, engine
        if len(task.soft_target_shape()) > 1:
            raise FlagError(
                f"--teacher={folder}: an export of the task {task.name} answers without the scores of each place; give "
                "the output directory of its run"
            )
        check_problem_type(folder, task)
        labels = folder / "assets" / "labels.txt"
        theirs = labels.read_text(encoding="utf-8").split("\n")[:-1] if labels.is_file() else []
        check_labels(str(folder), theirs, list(task.identity().get("labels") or []))

    def made_of(self) -> dict[str, Any]:
        """The files of the export."""
        files = sorted(path for path in self._folder.rglob("*") if path.is_file())
        digests = {str(path.relative_to(self._folder)): file_digest(path) for path in files}
        return {"export": digests, **_labels_of(self._task)}

    def scores(self, examples: Iterable[Any]) -> Iterator[tuple[Any, list[Scores]]]:
        """Computes them in this process."""
        from serving.predictor import Predictor

        log.info("computing the answers of the teacher %s", self._folder)
        with Predictor(self._folder, self._engine) as predictor:
            for chunk in chunked(examples, CHUNK_EXAMPLES):
                rows = [_texts(example, predictor.text_names) for example in chunk]
                for example, answer in zip(chunk, predictor.answer(rows), strict=True):
                    yield example, [self._soft_targets(answer)]

    def _soft_targets(self, answer: Mapping[str, Any]) -> Scores:
        try:
            return self._task.soft_targets_of_answer(answer)
        except ValueError as error:
            raise FlagError(f"--teacher={self._folder}: its answer {error}; give a teacher of the same task") from None


def check_labels(path: str, theirs: Sequence[str], ours: Sequence[str]) -> None:
    """Compares the labels of a teacher with those of its student.

    Raises:
      FlagError: they are others.
    """
    if sorted(theirs) != sorted(ours):
        raise FlagError(
            f"--teacher={path}: was trained for {_listed(theirs)}, the student is for {_listed(ours)}; give a teacher "
            "of the same labels"
        )


def check_problem_type(folder: Path, task: Task) -> None:
    """Compares what a label is for an export and for its student; what cannot be read is told once texts are answered.

    Raises:
      FlagError: it is something else.
    """
    try:
        theirs = json_object((folder / "assets" / "tokenizer.json").read_bytes()).get("problem_type")
    except (OSError, ValueError):
        return
    ours = task.identity().get("problem_type")
    if theirs is not None and ours is not None and theirs != ours:
        raise FlagError(
            f"--teacher={folder}: its problem type is {one_line(theirs, 60)}, that of the student {ours}; give a "
            "teacher of the same task"
        )


def _listed(labels: Sequence[str]) -> str:
    return f"the labels {one_line(', '.join(labels))}" if labels else "no labels"


def _labels_of(task: Task) -> dict[str, Any]:
    """What decides the order of scores."""
    identity = task.identity()
    return {"labels": list(identity.get("labels") or []), "problem_type": identity.get("problem_type")}


def _texts(example: InputExample, names: Sequence[str]) -> dict[str, Any]:
    """The texts of an example by the names that an export has for them.

    Raises:
      DataError: it has a second text, and the export has no name for one.
    """
    found = {name: getattr(example, name, None) for name in names}
    if example.text_b is not None and "text_b" not in names:
        raise DataError(f"--teacher: example {example.guid} is a pair, and the export takes {', '.join(names)} alone")
    return found


def answers_teacher(flags: SimpleNamespace, task: Task) -> Teacher | None:
    """The teacher that is a file or an export; None where flags name a run."""
    if getattr(flags, "teacher_predictions", None):
        return PredictionsTeacher([Path(path.strip()) for path in flags.teacher_predictions.split(",")], task)
    if (Path(flags.teacher) / "saved_model.pb").is_file():
        return ExportTeacher(Path(flags.teacher), task, flags.engine)
    return None
