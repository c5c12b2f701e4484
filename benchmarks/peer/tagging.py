"""Token classification as the peer's own script does it: softmax over first tokens, AdamW, a linear schedule."""

import functools
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, get_linear_schedule_with_warmup

from benchmarks import tagging
from benchmarks.peer import model
from benchmarks.protocol import Result, Rounds, Settings

NO_LABEL = -100
"""Label of a token that takes no part in the loss."""


def load(settings: Settings) -> Rounds:
    """Trains on the batches that our side has left for each seed, and predicts the windows that it has left."""
    seeds = iter(tagging.seeds(settings))
    return {tagging.SOFTMAX: functools.partial(_round, settings, seeds)}


def _round(settings: Settings, seeds: Iterator[int]) -> Result:
    seed = next(seeds)
    test = json.loads((settings.folder / tagging.TEST_FILE).read_text(encoding="utf-8"))
    batches = model.read_batches(settings.folder / tagging.batches_file(seed))
    torch.manual_seed(seed)
    tagger = AutoModelForTokenClassification.from_pretrained(
        settings.weights, num_labels=len(test["labels"]), attn_implementation="sdpa"
    )
    rate = _train(tagger, batches)
    started = time.perf_counter()
    predicted = _predict(tagger, test["rows"])
    taken = time.perf_counter() - started
    names = [[test["labels"][tag] for tag in row] for row in predicted]
    # A word beyond the window has no tag from the peer; its gold tag counts all the same.
    tags = [row + ["O"] * (len(gold) - len(row)) for row, gold in zip(names, test["gold"], strict=True)]
    return Result(
        {
            tagging.TRAINING: rate,
            tagging.PREDICTION: len(predicted) / taken,
            tagging.F1: tagging.entity_f1(test["gold"], tags),
        }
    )


def _train(tagger: Any, batches: Sequence[model.Rows]) -> float:
    """Sentences a second from the first step to the last."""
    optimizer = torch.optim.AdamW(model.groups(tagger, _rate_of))
    warmup = int(len(batches) * tagging.WARMUP_PROPORTION)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, len(batches))
    tagger.train()
    started = time.perf_counter()
    for number, batch in enumerate(batches):
        tagger(**_padded(batch)).loss.backward()
        torch.nn.utils.clip_grad_norm_(tagger.parameters(), model.MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if number == 0:
            started = time.perf_counter()
    return sum(len(batch["labels"]) for batch in batches[1:]) / (time.perf_counter() - started)


def _rate_of(name: str) -> float:
    """The new head learns at a rate of its own."""
    return tagging.HEAD_LEARNING_RATE if name.startswith("classifier.") else tagging.LEARNING_RATE


def _padded(rows: model.Rows) -> dict[str, torch.Tensor]:
    """Tensors of a batch, padded to its longest row; labels at the first token of each word."""
    longest = max(map(len, rows["input_ids"]))
    labels = torch.full([len(rows["input_ids"]), longest], NO_LABEL)
    for row, (starts, tags) in enumerate(zip(rows["word_starts"], rows.get("labels", []), strict=False)):
        labels[row, starts] = torch.tensor(tags)
    fill = lambda lists: torch.tensor([row + [0] * (longest - len(row)) for row in lists])  # noqa: E731
    inputs = {
        "input_ids": fill(rows["input_ids"]),
        "attention_mask": fill([[1] * len(one) for one in rows["input_ids"]]),
    }
    return {**inputs, "labels": labels} if "labels" in rows else inputs


@torch.inference_mode()
def _predict(tagger: Any, rows: Sequence[dict[str, list[int]]]) -> list[list[int]]:
    """Numbers of the tags of each word, batches in the order of the rows."""
    tagger.eval()
    found = []
    for start in range(0, len(rows), tagging.PREDICTION_BATCH_SIZE):
        batch = rows[start : start + tagging.PREDICTION_BATCH_SIZE]
        joined = {name: [row[name] for row in batch] for name in ("input_ids", "word_starts")}
        best = tagger(**_padded(joined)).logits.argmax(dim=-1)
        found += [best[row, starts].tolist() for row, starts in enumerate(joined["word_starts"])]
    return found
