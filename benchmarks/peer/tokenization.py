"""The Rust tokenizer of the peer, by itself and as its model's tokenizer."""

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

from transformers import AutoTokenizer

from benchmarks.protocol import MAX_SEQ_LENGTH, TEXTS_FILE, Result, Rounds, Settings, seconds


def load(settings: Settings) -> Rounds:
    """Tokenizes the rows that our side has left."""
    tokenizer = AutoTokenizer.from_pretrained(settings.weights)
    found: Rounds = {}
    for name, rows in json.loads((settings.folder / TEXTS_FILE).read_text(encoding="utf-8")).items():
        texts = [text for row in rows for text in row if text is not None]
        to_ids = functools.partial(_ids, tokenizer.backend_tokenizer, texts)
        found[f"{name}, texts to ids"] = functools.partial(_round, to_ids, len(rows))
        pairs = [[a for a, _ in rows], *([[b for _, b in rows]] if rows[0][1] is not None else [])]
        to_inputs = functools.partial(tokenizer, *pairs, truncation=True, max_length=MAX_SEQ_LENGTH)
        found[f"{name}, rows to inputs"] = functools.partial(_round, to_inputs, len(rows))
    return found


def _ids(backend: Any, texts: Sequence[str]) -> list[list[int]]:
    return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]


def _round(work: Callable[[], Any], rows: int) -> Result:
    return Result({"rows/s": rows / seconds(work)})
