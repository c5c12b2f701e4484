"""The peer's model and batches: what its own documentation calls the fast way on a CPU."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from benchmarks.protocol import Settings

LEARNING_RATE = 5e-5
MAX_GRADIENT_NORM = 1.0
WEIGHT_DECAY = 0.01

Rows = dict[str, Any]
"""`input_ids` and `token_type_ids`, lists of ids of each row, and `labels`."""


def model(settings: Settings) -> Any:
    """The classifier with a new head; scaled dot-product attention."""
    return AutoModelForSequenceClassification.from_pretrained(
        settings.weights, num_labels=2, attn_implementation="sdpa"
    )


def tokenizer(settings: Settings) -> Any:
    """The fast tokenizer of the weights."""
    return AutoTokenizer.from_pretrained(settings.weights)


def read_batches(path: Path) -> list[Rows]:
    """The batches that our side has left."""
    return json.loads(path.read_text(encoding="utf-8"))


def padded(rows: Rows) -> dict[str, torch.Tensor]:
    """Tensors of a batch, padded to its longest row."""
    longest = max(map(len, rows["input_ids"]))
    fill = lambda lists: torch.tensor([row + [0] * (longest - len(row)) for row in lists])  # noqa: E731
    return {
        "input_ids": fill(rows["input_ids"]),
        "token_type_ids": fill(rows["token_type_ids"]),
        "attention_mask": fill([[1] * len(row) for row in rows["input_ids"]]),
        "labels": torch.tensor(rows["labels"]),
    }


def optimizer(parameters: Any) -> torch.optim.Optimizer:
    """AdamW, fused where this build can."""
    parameters = list(parameters)
    try:
        return torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    except RuntimeError:
        return torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)


def groups(module: Any, rate_of: Callable[[str], float]) -> list[dict[str, Any]]:
    """Groups of parameters for an optimizer: biases and layer normalizations have no decay, as `Trainer` has it.

    Args:
      module: whose parameters are trained.
      rate_of: the learning rate of a parameter by its name.
    """
    found: dict[tuple[float, float], list[Any]] = {}
    for name, parameter in module.named_parameters():
        decay = 0.0 if name.endswith("bias") or "LayerNorm" in name else WEIGHT_DECAY
        found.setdefault((rate_of(name), decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in found.items()]


class Trainer:
    """A training loop.

    Args:
      the_model: to train, with dropout.
      batches: of what is computed at once, in order.
      parts: how many of them make an update.
    """

    def __init__(self, the_model: Any, batches: Sequence[Rows], parts: int = 1) -> None:
        self._model = the_model.train()
        self._optimizer = optimizer(the_model.parameters())
        self._batches = iter(batches)
        self._parts = parts

    def step(self) -> None:
        """One update with the next batches."""
        for _ in range(self._parts):
            loss = self._model(**padded(next(self._batches))).loss / self._parts
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)


def regrouped(rows: Sequence[Rows], batch_size: int, by_length: bool) -> list[list[int]]:
    """Row numbers of each batch, in order or by falling length."""
    order = list(range(len(rows)))
    if by_length:
        order.sort(key=lambda index: -len(rows[index]["input_ids"][0]))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def joined(rows: Sequence[Rows], numbers: Sequence[int]) -> Rows:
    """One batch of batches of one row."""
    return {name: [value for number in numbers for value in rows[number][name]] for name in rows[0]}
