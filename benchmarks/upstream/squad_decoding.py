"""The questions and logits of our side, decoded upstream's way."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.ours import squad_decoding as ours
from benchmarks.protocol import Result, Rounds, Settings, seconds
from benchmarks.upstream import decoding
from processors.records.schema import Features
from processors.squad.passages import Passage
from tasks.span.ranking import DecodingSettings
from tasks.span.task import SpanTask
from tokenization import Tokenizer

LOW = -10_000.0
"""Logit of padding, which upstream's windows have to their full length."""


def load(settings: Settings) -> Rounds:
    """Decodes all questions of the file; the answers must be ours."""
    task = ours.span_task(settings)
    questions = as_upstream(task, ours.questions(task, settings.effort.questions))
    folder = settings.folder / "upstream"
    decoder = task.settings.decoding
    return {ours.CASE: lambda: _round(questions, decoder, task.tokenizer.do_lower_case, folder)}


def as_upstream(task: SpanTask, questions: Sequence[ours.Question]) -> list[decoding.Question]:
    """Our windows and logits as what upstream's way reads."""
    return [
        decoding.Question(
            example.qas_id,
            example.passage.words,
            _blanks(example.passage),
            [
                _feature(window, output, task.tokenizer, task.settings.max_seq_length)
                for window, output in zip(windows, outputs, strict=True)
            ],
        )
        for example, windows, outputs in questions
    ]


def _blanks(passage: Passage) -> list[str]:
    """What follows each word where the words are put together again; nothing does where CJK characters meet."""
    starts = [*passage.joined_starts[1:], len(passage.joined)]
    ends = [start + len(word) for start, word in zip(passage.joined_starts, passage.words, strict=True)]
    return [" " * (start - end) for start, end in zip(starts, ends, strict=True)]


def _feature(features: Features, output: dict[str, np.ndarray], tokenizer: Tokenizer, length: int) -> decoding.Feature:
    window = features["_window"]
    words = window.document.piece_words[window.start : window.start + window.length]
    logits = [
        [*map(float, output[name]), *[LOW] * (length - len(output[name]))] for name in ("start_logits", "end_logits")
    ]
    return decoding.Feature(
        tokenizer.convert_ids_to_tokens(features["input_ids"]),
        dict(enumerate(words, window.offset)),
        dict(enumerate(window.is_max_context.tolist(), window.offset)),
        *logits,
    )


def _round(
    questions: Sequence[decoding.Question], settings: DecodingSettings, do_lower_case: bool, folder: Path
) -> Result:
    taken = seconds(lambda: decoding.write_predictions(questions, settings, do_lower_case, folder))
    return Result({"questions/s": len(questions) / taken}, ours.digest(folder))
