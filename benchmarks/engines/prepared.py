"""What the engines have in common: tokenizer, weights, labels; rows as padded arrays."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.latency import Answer, Row
from benchmarks.protocol import ENGINE_THREADS, MAX_SEQ_LENGTH, ROWS_FILE, Rounds, Settings

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
Arrays = Mapping[str, Any]
Logits = Callable[[Arrays], Any]
"""Scores `[N, C]` of rows, int64 `[N, longest row]` by name."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """The classifier as its authors' library loads it: a new head, seeded, over the encoder's weights.

    Args:
      model: of PyTorch, without dropout.
      tokenizer: the fast one.
    """

    model: Any
    tokenizer: Any

    @classmethod
    def load(cls, settings: Settings) -> "Peer":
        """Reads the weights."""
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        torch.manual_seed(1)
        torch.set_num_threads(ENGINE_THREADS)
        # Plain attention is what other engines look for in a graph.
        model = AutoModelForSequenceClassification.from_pretrained(
            settings.weights, num_labels=2, attn_implementation="eager"
        )
        return cls(model.eval(), AutoTokenizer.from_pretrained(settings.weights))

    def answer(self, logits: Logits) -> Answer:
        """Raw texts to labels and probabilities."""
        labels = self.model.config.id2label

        def answer(rows: Sequence[Row]) -> list[dict[str, Any]]:
            scores = np.asarray(logits(self.arrays(rows)))
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            probabilities = weights / weights.sum(axis=-1, keepdims=True)
            best = probabilities.argmax(axis=-1).tolist()
            return [
                {"label": labels[index], "probabilities": row}
                for index, row in zip(best, probabilities.tolist(), strict=True)
            ]

        return answer

    def arrays(self, rows: Sequence[Row]) -> Arrays:
        """Texts as ids, padded to the longest row."""
        names = ("text_a", "text_b") if rows[0]["text_b"] else ("text_a",)
        texts = [[row[name] for row in rows] for name in names]
        return self.tokenizer(*texts, padding=True, truncation=True, max_length=MAX_SEQ_LENGTH, return_tensors="np")

    def check(self, name: str, logits: Logits, rows: Sequence[Row], tolerance: float) -> None:
        """Compares an engine with the model that was converted.

        Raises:
          ValueError: it computes something else.
        """
        import torch

        arrays = self.arrays(rows)
        with torch.inference_mode():
            expected = self.model(**{key: torch.from_numpy(arrays[key]) for key in INPUTS}).logits.numpy()
        difference = float(np.abs(np.asarray(logits(arrays)) - expected).max())
        if not difference <= tolerance:
            raise ValueError(f"{name} differs from the model by {difference:.2g}, expected at most {tolerance:g}")


def rows_of(settings: Settings) -> list[Row]:
    """What our side asks, too."""
    return json.loads((settings.folder / ROWS_FILE).read_text(encoding="utf-8"))


def onnx_file(peer: Peer, settings: Settings) -> str:
    """The model as PyTorch's exporter writes it."""
    import torch

    path = str(settings.folder / f"{settings.options['engine']}.onnx")
    example = peer.arrays([{"text_a": "a good film", "text_b": "a day"}] * 2)
    inputs = tuple(torch.from_numpy(example[name]) for name in INPUTS)
    axes = {name: {0: "rows", 1: "tokens"} for name in INPUTS}
    torch.onnx.export(
        peer.model, inputs, path, input_names=list(INPUTS), output_names=["logits"], dynamic_axes=axes,
        opset_version=17, dynamo=False,
    )  # fmt: skip
    return path


def rounds(peer: Peer, engines: Mapping[str, tuple[Logits, float]], settings: Settings) -> Rounds:
    """The cases of an engine, once it is known to compute the model.

    Args:
      peer: the model.
      engines: scores by name of the arithmetic, and how far they may be from the model's.
      settings: of the side.
    """
    from benchmarks.latency import latency_rounds

    rows = rows_of(settings)
    for name, (logits, tolerance) in engines.items():
        peer.check(name, logits, rows[:4], tolerance)
    answers = {name: peer.answer(logits) for name, (logits, _) in engines.items()}
    return latency_rounds(answers, rows, settings.effort.calls)
