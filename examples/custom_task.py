"""Several numbers for each text, such as stars for food and for service: a task and a head of its own."""

import contextlib
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from command_line import settings
from command_line.flags.data import DATA_SOURCES
from command_line.flags.declaration import Flag, Scope
from command_line.frame import TaskScript, task_flags
from command_line.model_files import ModelFiles
from common.errors import DataError
from common.files import atomic_writer
from common.run_directory import RunDirectory
from processors import InputExample
from processors.reading import MissingDataError
from processors.records.featurizer import TextFeaturizer
from processors.records.schema import Features, Field
from tasks.base import AnswerSink, Collected, Task, TextSignature
from tokenization.base import Tokenizer


class RatingsFeaturizer(TextFeaturizer):
    """Texts with one float for each target."""

    def __init__(self, tokenizer: Tokenizer, max_seq_length: int, targets: Sequence[str]) -> None:
        self.targets = tuple(targets)
        super().__init__(tokenizer, max_seq_length)

    def label_field(self) -> Field:
        return Field("label_ids", "float32", (len(self.targets),), 0.0)

    def label_value(self, example: InputExample) -> Any:
        return example.label

    def label_settings(self) -> dict[str, Any]:
        return {"targets": list(self.targets)}


class RatingsTask(Task):
    """Reads DATA_DIR/<split>.tsv: a column `text`, and one for each target."""

    name = "ratings"
    main_metric = "pearson"
    stores_rows = True

    def __init__(
        self,
        folder: Path,
        targets: Sequence[str],
        tokenizer: Tokenizer,
        max_seq_length: int,
        limits: Mapping[str, Any],
    ) -> None:
        self.tokenizer: Tokenizer = tokenizer
        self.max_seq_length = max_seq_length
        self.featurizer: RatingsFeaturizer = RatingsFeaturizer(tokenizer, max_seq_length, targets)
        self._folder, self._targets, self._limits = folder, list(targets), dict(limits)

    def head(self, is_training: bool) -> Any:
        from custom_task_head import RatingsHead  # TensorFlow is imported only where a graph is built

        del is_training
        return RatingsHead(len(self._targets))

    def examples(self, split: str) -> Iterator[InputExample]:
        path = self.data_files(split)[0]
        with path.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), 2):
                if number - 2 == self._limits[split]:
                    return
                try:
                    label = None if split == "test" else [float(row[target]) for target in self._targets]
                    yield InputExample(f"{split}-{number}", row["text"], None, label)  # type: ignore[arg-type]
                except (KeyError, TypeError, ValueError) as error:
                    raise DataError(f"{path}:{number}: {error}; expected text and a number for each target") from None

    def data_files(self, split: str) -> list[Path]:
        path = self._folder / f"{split}.tsv"
        if not path.is_file():
            raise MissingDataError(f"{path}: no such file; give --data_dir")
        return [path]

    def source(self, split: str) -> dict[str, Any]:
        return {"targets": self._targets, "limit": self._limits[split]}

    def identity(self) -> dict[str, Any]:
        return {"task": self.name, "targets": self._targets}

    def score(self, collected: Collected) -> dict[str, float]:
        gold, predicted = collected["label_ids"], collected["ratings"]
        by_target = {
            f"eval_pearson[{name}]": float(np.corrcoef(gold[:, i], predicted[:, i])[0, 1])
            for i, name in enumerate(self._targets)
        }
        return by_target | {"eval_pearson": float(np.mean(list(by_target.values())))}

    def stored(self, example: InputExample) -> dict[str, Any]:
        return {"id": example.guid, "text": example.text_a}

    def restored(self, stored: Mapping[str, Any]) -> InputExample:
        return InputExample(stored["id"], stored["text"])

    @contextlib.contextmanager
    def answers(self, folder: Path) -> Iterator[AnswerSink]:
        with atomic_writer(folder / "predictions.jsonl") as out:

            def write(example: InputExample, _: Sequence[Features], outputs: Sequence[Mapping[str, Any]]) -> None:
                ratings = dict(zip(self._targets, outputs[0]["ratings"].tolist(), strict=True))
                out.write(
                    json.dumps({"id": example.guid, "text": example.text_a, **ratings}, ensure_ascii=False) + "\n"
                )

            yield write

    def text_signature(self) -> TextSignature:
        from tasks.classification.signature import PairTextSignature

        class RatingsSignature(PairTextSignature):
            def settings(self) -> dict[str, Any]:
                return super().settings() | {"problem_type": "ratings"}

        return RatingsSignature(self.tokenizer, self.max_seq_length)


class RatingsScript(TaskScript[RatingsTask]):
    """Train a model that rates texts: several numbers for each."""

    flags = task_flags(
        DATA_SOURCES.plus(
            Flag("targets", str, "food,service", "Columns of the numbers, comma-separated.", Scope.FIXED, is_main=True)
        ),
        max_seq_length=64,
    )

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> RatingsTask:
        del directory
        settings.require(flags, "data_dir")
        targets = [name.strip() for name in flags.targets.split(",")]
        return RatingsTask(
            Path(flags.data_dir), targets, files.text_tokenizer, flags.max_seq_length, settings.limits(flags)
        )
