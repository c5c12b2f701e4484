"""The files of texts that were written."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from common.files import atomic_writer
from processors.sequences.table import SequenceExample

LINES, TEXTS = "predictions.jsonl", "predictions.txt"

AnswerWriter = Callable[[SequenceExample, Mapping[str, Any]], None]


@contextlib.contextmanager
def text_files(folder: Path) -> Iterator[AnswerWriter]:
    """Opens `predictions.jsonl`: source, target where it is known, answer; and `predictions.txt`: a text a line.

    Args:
      folder: of the files.

    Returns:
      A function of an example and its answer.
    """
    with atomic_writer(folder / LINES) as lines, atomic_writer(folder / TEXTS) as texts:

        def write(example: SequenceExample, answer: Mapping[str, Any]) -> None:
            known = {} if example.reference is None else {"target": example.reference}
            row = {"id": example.guid, "source": example.text_a, **known, **answer}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            texts.write(answer["text"] + "\n")

        yield write
