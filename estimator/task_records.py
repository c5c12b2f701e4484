"""The record sets of a task, and the examples behind their rows."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from common.source_code import source_digest
from processors.base import InputExample
from processors.records import record_sets
from processors.records.featurizer import chunked
from processors.records.schema import Features
from processors.records.second_pass import held_against
from tasks.base import DEV, TEST, TRAIN, Task
from tasks.distillation import Unlabelled

log = logging.getLogger(__name__)

RECORD_NAMES = {TRAIN: "train", DEV: "eval", TEST: "predict"}
"""Upstream's names of the record files."""


class TaskRecords:
    """Record sets by split, each converted once.

    Args:
      task: gives the examples.
      output_dir: where record sets are kept.
      num_workers: converting processes; None for as many as are worth it.
      converts: whether this process writes record sets; else another has to have written them.
    """

    def __init__(self, task: Task, output_dir: Path, num_workers: int | None, converts: bool = True) -> None:
        self._task, self._output_dir, self._num_workers = task, output_dir, num_workers
        self._converts = converts
        self._record_sets: dict[str, record_sets.RecordSet] = {}

    def record_set(self, split: str) -> record_sets.RecordSet:
        """The record set of a split, converted now if it is not there or was made from something else."""
        if split not in self._record_sets:
            self._record_sets[split] = self._built(split)
        return self._record_sets[split]

    def examples(self, split: str, record_set: record_sets.RecordSet) -> Iterator[tuple[Any, list[Features]]]:
        """Examples in the order of the records, with their windows: as stored where each has one window, else read and
        featurized again.

        Raises:
          DataError: the task gives other examples than those of the records.
        """
        if record_set.has_rows and record_set.num_records == record_set.num_examples:
            for row in record_set.rows():
                yield self._task.restored(row), [{}]
            return
        examples = self.all_examples(split)
        if record_set.given:
            for chunk in chunked(examples, record_sets.CHUNK_EXAMPLES):
                yield from zip(chunk, self._task.featurizer.featurize(chunk), strict=True)
            return
        yield from held_against(record_set, self._task.featurizer, examples, split)

    @contextlib.contextmanager
    def checked_readings(self) -> Iterator[None]:
        """Within the block, what the task reads again for scores has to be what stands in the records."""
        self._task.read_again = lambda split: self.examples(split, self.record_set(split))
        try:
            yield
        finally:
            self._task.read_again = None

    def all_examples(self, split: str) -> Iterator[Any]:
        """The examples of a split as they are converted, in order: those without labels last."""
        yield from labelled(self._task.examples(split), split)
        if (unlabelled := self._unlabelled(split)) is not None:
            yield from unlabelled.examples()

    def ids(self, split: str, record_set: record_sets.RecordSet, places: Sequence[tuple[str, int]]) -> list[str]:
        """Names of the examples of records, in the order given: their ids, else where they are.

        Args:
          places: file and number of each record.
        """
        if record_set.given:
            return [f"{Path(file).name}:{number}" for file, number in places]
        wanted = {number for _, number in places}
        found: dict[int, str] = {}
        number = 0
        for example, windows in self.examples(split, record_set):
            for _ in windows:
                if number in wanted:
                    found[number] = str(getattr(example, "guid", None) or getattr(example, "qas_id", number))
                number += 1
        return [found.get(number, str(number)) for _, number in places]

    def _built(self, split: str) -> record_sets.RecordSet:
        files = self._task.record_files(split)
        if files:
            return record_sets.given(files)
        files = self._task.data_files(split)
        code = source_digest(type(self._task), type(self._task.featurizer))
        inputs = {"split": split, **self._task.source(split), **self._task.featurizer.settings()}
        inputs |= {"task_code": code} if code else {}
        if (unlabelled := self._unlabelled(split)) is not None:
            inputs, files = {**inputs, "unlabelled": unlabelled.source}, [*files, *unlabelled.files]
        path = self._output_dir / f"{RECORD_NAMES[split]}.tf_record"
        digest = record_sets.fingerprint(inputs, files)
        if not self._converts:
            return self._written(path, digest)
        return record_sets.build(
            path,
            lambda: self.all_examples(split),
            self._task.featurizer,
            digest,
            self._num_workers or record_sets.automatic_workers(files),
            self._task.stored if self._task.stores_rows and split == TEST else None,
        )

    def _unlabelled(self, split: str) -> Unlabelled | None:
        return self._task.distillation.unlabelled if self._task.distillation and split == TRAIN else None

    @staticmethod
    def _written(path: Path, digest: str) -> record_sets.RecordSet:
        """The record set that the chief of a cluster has written.

        Raises:
          DataError: there is none, or it was made from something else than what this machine sees.
        """
        found = record_sets.load(path, digest)
        if found is None:
            raise DataError(
                f"{path}: is not there, or not what the data and code of this machine give; every machine must see the "
                "same --output_dir, data and code"
            )
        return found


def labelled(examples: Iterable[Any], split: str) -> Iterator[Any]:
    """The examples, where each that has a place for a label has one, unless they are to be predicted.

    Raises:
      DataError: an `InputExample` to train or evaluate with has no label, for which a record would hold a default.
    """
    for example in examples:
        if split != TEST and isinstance(example, InputExample) and example.label is None:
            raise DataError(
                f"example {example.guid} of the {split} split has no label; "
                "expected one to train or evaluate with; add it or remove the row"
            )
        yield example
