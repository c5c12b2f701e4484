"""A data file to records upstream's way: in one process, a character at a time, every row padded."""

import functools
import itertools
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.ours import classifier
from benchmarks.protocol import MAX_SEQ_LENGTH, Result, Rounds, Settings, seconds
from benchmarks.upstream.protocol_buffers import record
from processors.base import InputExample
from tasks.base import TRAIN
from tasks.classification.task import ClassificationTask
from tokenization import FullTokenizer

MOST_ROWS = 5000
"""Rows of a file that are converted: there is nothing to start, so that the rate is that of all of them."""


def load(settings: Settings) -> Rounds:
    """Converts the training files of MRPC and SST-2."""
    return {shown: functools.partial(_round, settings, name) for name, shown in classifier.FOLDERS.items()}


def _round(settings: Settings, name: str) -> Result:
    tokenizer = FullTokenizer(classifier.vocab_file(settings))
    task = classifier.task(settings, name)
    rows = min(settings.effort.text_rows or MOST_ROWS, MOST_ROWS)
    done: list[int] = []
    with tempfile.TemporaryDirectory(dir=settings.work) as folder:
        taken = seconds(lambda: done.append(_convert(task, tokenizer, rows, Path(folder) / "train.tf_record")))
    return Result({"rows/s": done[0] / taken})


def _convert(task: ClassificationTask, tokenizer: FullTokenizer, rows: int, path: Path) -> int:
    labels = {label: index for index, label in enumerate(task.labels)}
    examples = list(itertools.islice(task.examples(TRAIN), rows))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {**inputs(tokenizer, example), "label_ids": [labels[str(example.label)]], "is_real_example": [1]}
            writer.write(record(features))
    return len(examples)


def inputs(tokenizer: FullTokenizer, example: InputExample) -> dict[str, list[Any]]:
    """`[CLS] a [SEP] b [SEP]`, shortened a piece at a time, padded to the full length."""
    a = tokenizer.tokenize(example.text_a)
    b = tokenizer.tokenize(example.text_b) if example.text_b else []
    while len(a) + len(b) > MAX_SEQ_LENGTH - (3 if b else 2):
        (a if len(a) > len(b) else b).pop()
    tokens = ["[CLS]", *a, "[SEP]", *b, *(["[SEP]"] if b else [])]
    ids = tokenizer.convert_tokens_to_ids(tokens)
    padding = [0] * (MAX_SEQ_LENGTH - len(ids))
    segments = [0] * (len(a) + 2) + [1] * (len(ids) - len(a) - 2)
    return {
        "input_ids": ids + padding,
        "input_mask": [1] * len(ids) + padding,
        "segment_ids": segments + padding,
    }
