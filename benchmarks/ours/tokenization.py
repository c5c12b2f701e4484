"""Texts to ids, and rows to what the model reads."""

import copy
import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.ours import classifier
from benchmarks.protocol import TEXTS_FILE, Result, Rounds, Settings, seconds
from common.garbage_collection import old_objects_left_alone
from processors.records.featurizer import PairFeaturizer
from tasks.base import TRAIN
from tokenization import BulkTokenizer


def load(settings: Settings) -> Rounds:
    """Tokenizes the training rows of MRPC and SST-2, which are left for the others."""
    found: Rounds = {}
    rows: dict[str, list[tuple[str, str | None]]] = {}
    for name, shown in classifier.FOLDERS.items():
        task = classifier.task(settings, name, {TRAIN: settings.effort.text_rows})
        examples = list(task.examples(TRAIN))
        rows[shown] = [(example.text_a, example.text_b) for example in examples]
        texts = flat(rows[shown])
        found[f"{shown}, texts to ids"] = functools.partial(_round, _encode, task.tokenizer, texts, len(examples))
        found[f"{shown}, rows to inputs"] = functools.partial(
            _round, _featurize, task.featurizer, examples, len(examples)
        )
    (settings.folder / TEXTS_FILE).write_text(json.dumps(rows), encoding="utf-8")
    return found


def flat(rows: Sequence[tuple[str, str | None]]) -> list[str]:
    """All texts of rows."""
    return [text for row in rows for text in row if text is not None]


def _encode(tokenizer: BulkTokenizer, texts: Sequence[str]) -> None:
    tokenizer.encode(texts)


def _featurize(featurizer: PairFeaturizer, examples: Sequence[Any]) -> None:
    for _ in featurizer.featurize(examples):
        pass


def _round(work: Callable[[Any, Any], None], by: Any, items: Sequence[Any], rows: int) -> Result:
    # A copy remembers no words: a second round would otherwise be faster than the one that a script runs.
    fresh = copy.deepcopy(by)
    with old_objects_left_alone():  # as where records are made
        return Result({"rows/s": rows / seconds(lambda: work(fresh, items))})
