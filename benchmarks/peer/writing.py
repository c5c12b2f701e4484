"""Text to text with the peer's encoder-decoder of the same weights, layers and steps, and its `generate`."""

import functools
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import EncoderDecoderModel, get_linear_schedule_with_warmup

from benchmarks import writing
from benchmarks.peer import model
from benchmarks.protocol import Result, Rounds, Settings

NO_TOKEN = -100
"""Target of a position that takes no part in the loss."""


def load(settings: Settings) -> Rounds:
    """Trains on the batches that our side has left for each seed, and writes with the weights that it has left."""
    writers = _Writers(settings)
    trained = functools.partial(_trained, settings, iter(writing.seeds(settings)))
    return writing.rounds(trained, writers.round)


class _Writers:
    """The model with our weights of the first training.

    Args:
      settings: of the benchmark.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._model: Any = None
        self._tokenizer = model.tokenizer(settings)

    def round(self, way: str) -> Result:
        """Writes, from text to text; batches in the order of the rows."""
        batch_size, beam_size = writing.WAYS[way]
        test = _test(self._settings)
        if self._model is None:
            self._model = _with_weights(self._settings)
        sources = test["sources"][: writing.FEW if batch_size == 1 else None]
        self._texts(sources[:batch_size], test, beam_size)
        started = time.perf_counter()
        texts = []
        for start in range(0, len(sources), batch_size):
            texts += self._texts(sources[start : start + batch_size], test, beam_size)
        taken = time.perf_counter() - started
        found = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        score = writing.bleu(found, test["references"][: len(found)])
        return Result({writing.WRITING: len(texts) / taken, writing.BLEU: score})

    def _texts(self, sources: Sequence[str], test: dict[str, Any], beam_size: int) -> list[str]:
        inputs = self._tokenizer(
            sources, padding=True, truncation=True, max_length=writing.MAX_SEQ_LENGTH, return_tensors="pt"
        )
        ids = _generate(self._model, inputs["input_ids"], inputs["attention_mask"], test["tokens"], beam_size)
        return self._tokenizer.batch_decode(ids, skip_special_tokens=True)


def _test(settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((settings.folder / writing.TEST_FILE).read_text(encoding="utf-8"))
    return found


def _trained(settings: Settings, seeds: Iterator[int]) -> Result:
    seed = next(seeds)
    test = _test(settings)
    batches = model.read_batches(settings.folder / writing.batches_file(seed))
    torch.manual_seed(seed)
    writer = _new_model(settings)
    rate = _train(writer, batches, test["tokens"])
    writer.eval()
    tokens, found = test["tokens"], []
    for start in range(0, len(test["rows"]), writing.BATCH_SIZE):
        ids, mask = _padded(test["rows"][start : start + writing.BATCH_SIZE], tokens["pad"])
        written = _generate(writer, ids, mask, tokens).tolist()
        found += [[one for one in row if one not in (*tokens["never"], tokens["end"])] for row in written]
    return Result({writing.TRAINING: rate, writing.BLEU: writing.bleu(found, test["references"])})


def _new_model(settings: Settings) -> Any:
    """Encoder and decoder that start from the weights; word embeddings are one table, which also scores tokens."""
    made = EncoderDecoderModel.from_encoder_decoder_pretrained(settings.weights, settings.weights)
    _share_words(made)
    return made


def _share_words(writer: Any) -> None:
    words = writer.encoder.embeddings.word_embeddings
    writer.decoder.bert.embeddings.word_embeddings = words
    writer.decoder.cls.predictions.decoder.weight = words.weight


def _with_weights(settings: Settings) -> Any:
    """The model with the weights that our side has left.

    Raises:
      ValueError: some of them have no place in it.
    """
    writer = _new_model(settings)
    with np.load(settings.folder / writing.WEIGHTS_FILE) as values:
        given = {name: torch.tensor(values[name]) for name in values.files}
    bias = given.pop("decoder.cls.predictions.bias")
    for name in ("bias", "decoder.bias"):
        given[f"decoder.cls.predictions.{name}"] = bias
    unknown = writer.load_state_dict(given, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"the peer's model has no {unknown[0]}")
    return writer.eval()


def _train(writer: Any, batches: Sequence[model.Rows], tokens: dict[str, Any]) -> float:
    """Pairs a second from the first step to the last."""
    optimizer = torch.optim.AdamW(model.groups(writer, lambda _: writing.LEARNING_RATE))
    warmup = int(len(batches) * writing.WARMUP_PROPORTION)
    schedule = get_linear_schedule_with_warmup(optimizer, warmup, len(batches))
    criterion = torch.nn.CrossEntropyLoss(ignore_index=NO_TOKEN, label_smoothing=writing.LABEL_SMOOTHING)
    writer.train()
    started = time.perf_counter()
    for number, batch in enumerate(batches):
        ids, mask = _padded(batch["input_ids"], tokens["pad"])
        labels, _ = _padded(batch["target_ids"], NO_TOKEN)
        begun, _ = _padded([[tokens["begin"], *row[:-1]] for row in batch["target_ids"]], tokens["pad"])
        logits = writer(input_ids=ids, attention_mask=mask, decoder_input_ids=begun).logits
        criterion(logits.flatten(0, 1), labels.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(writer.parameters(), model.MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if number == 0:
            started = time.perf_counter()
    return sum(len(batch["target_ids"]) for batch in batches[1:]) / (time.perf_counter() - started)


def _padded(rows: Sequence[list[int]], fill: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of a batch, padded to its longest row."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [fill] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


@torch.inference_mode()
def _generate(
    writer: Any, ids: torch.Tensor, mask: torch.Tensor, tokens: dict[str, Any], beam_size: int = 1
) -> torch.Tensor:
    """Ids of the best text of each row; a search ends when as many texts as it follows have ended, as ours does."""
    return writer.generate(
        input_ids=ids,
        attention_mask=mask,
        decoder_start_token_id=tokens["begin"],
        eos_token_id=tokens["end"],
        pad_token_id=tokens["pad"],
        suppress_tokens=tokens["never"],
        max_new_tokens=writing.MAX_TARGET_LENGTH,
        do_sample=False,
        num_beams=beam_size,
        early_stopping=beam_size > 1,
    )
