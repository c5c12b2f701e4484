"""Requests to the peer's model: raw text in, label and probabilities out."""

import functools
import json
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.latency import Answer, Row, first_answer, latency_rounds
from benchmarks.peer import model
from benchmarks.protocol import MAX_SEQ_LENGTH, ROWS_FILE, Rounds, Settings

OUR_WAYS = ("Predictor", "frozen graph")


def load(settings: Settings) -> Rounds:
    """Answers the rows that our side has left; the same way beside each of ours."""
    rows = json.loads((settings.folder / ROWS_FILE).read_text(encoding="utf-8"))

    def loaded() -> Answer:
        return functools.partial(_answer, model.tokenizer(settings), model.model(settings).eval())

    return latency_rounds(dict.fromkeys(OUR_WAYS, loaded()), rows, settings.effort.calls) | first_answer(loaded, rows)


@torch.inference_mode()
def _answer(tokenizer: Any, the_model: Any, rows: Sequence[Row]) -> list[dict[str, Any]]:
    names = ("text_a", "text_b") if rows[0]["text_b"] else ("text_a",)
    texts = [[row[name] for row in rows] for name in names]
    inputs = tokenizer(*texts, padding=True, truncation=True, max_length=MAX_SEQ_LENGTH, return_tensors="pt")
    probabilities = the_model(**inputs).logits.softmax(dim=-1)
    labels = the_model.config.id2label
    best = probabilities.argmax(dim=-1).tolist()
    return [
        {"label": labels[index], "probabilities": row} for index, row in zip(best, probabilities.tolist(), strict=True)
    ]
