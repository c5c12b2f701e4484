"""Texts to ids and rows to inputs with the specification's tokenizer, a character at a time."""

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.ours import classifier
from benchmarks.ours.tokenization import flat
from benchmarks.protocol import TEXTS_FILE, Result, Rounds, Settings, seconds
from benchmarks.upstream.records import MOST_ROWS, inputs
from processors.base import InputExample
from tokenization import FullTokenizer


def load(settings: Settings) -> Rounds:
    """Tokenizes the first of the rows that our side has left."""
    tokenizer = FullTokenizer(classifier.vocab_file(settings))
    found: Rounds = {}
    for name, rows in json.loads((settings.folder / TEXTS_FILE).read_text(encoding="utf-8")).items():
        rows = rows[:MOST_ROWS]
        examples = [InputExample("", a, b) for a, b in rows]
        texts = functools.partial(_texts, tokenizer, flat(rows))
        found[f"{name}, texts to ids"] = functools.partial(_round, texts, len(rows))
        found[f"{name}, rows to inputs"] = functools.partial(
            _round, functools.partial(_inputs, tokenizer, examples), len(rows)
        )
    return found


def _texts(tokenizer: FullTokenizer, texts: Sequence[str]) -> None:
    for text in texts:
        tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))


def _inputs(tokenizer: FullTokenizer, examples: Sequence[InputExample]) -> None:
    for example in examples:
        inputs(tokenizer, example)


def _round(work: Callable[[], Any], rows: int) -> Result:
    return Result({"rows/s": rows / seconds(work)})
