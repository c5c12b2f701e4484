"""A data file to a tokenized data set on disk, by the peer's own library in two processes."""

import csv
import functools
import tempfile
from pathlib import Path
from typing import Any

import datasets
from transformers import AutoTokenizer

from benchmarks.protocol import MAX_SEQ_LENGTH, Result, Rounds, Settings, seconds

PROCESSES = 2
FILES = {"MRPC": ("#1 String", "#2 String"), "SST-2": ("sentence",)}
"""Text columns by data set."""


def load(settings: Settings) -> Rounds:
    """Converts the training files of MRPC and SST-2."""
    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(settings.weights)
    return {name: functools.partial(_round, settings, tokenizer, name, columns) for name, columns in FILES.items()}


def _round(settings: Settings, tokenizer: Any, name: str, columns: tuple[str, ...]) -> Result:
    path = Path(settings.data_dir) / name / "train.tsv"
    rows: list[int] = []
    with tempfile.TemporaryDirectory(dir=settings.work) as cache:
        taken = seconds(lambda: rows.append(convert(path, tokenizer, columns, cache)))
    return Result({"rows/s": rows[0] / taken})


def convert(path: Path, tokenizer: Any, columns: tuple[str, ...], cache: str) -> int:
    """Reads a table and tokenizes it into `cache`; gives the number of rows."""
    return len(tokenized(read_table(path, cache), tokenizer, columns, PROCESSES))


def read_table(path: Path, cache: str) -> Any:
    """A GLUE table, in which quotes are text, as a data set in `cache`."""
    return datasets.load_dataset(
        "csv",
        data_files=str(path),
        split="train",
        cache_dir=cache,
        sep="\t",
        quoting=csv.QUOTE_NONE,
        encoding="utf-8-sig",
    )


def tokenized(table: Any, tokenizer: Any, columns: tuple[str, ...], processes: int | None) -> Any:
    """The table with ids in place of its texts, written beside it."""

    def tokenize(batch: Any) -> Any:
        return tokenizer(*(batch[column] for column in columns), truncation=True, max_length=MAX_SEQ_LENGTH)

    return table.map(tokenize, batched=True, num_proc=processes, remove_columns=list(columns))
