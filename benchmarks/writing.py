"""What both sides of the writing benchmark know. Standard library only."""

import collections
import functools
import math
from collections.abc import Callable, Iterator, Sequence

from benchmarks.protocol import Result, Round, Rounds, Settings

BATCH_SIZE, EPOCHS, MAX_SEQ_LENGTH, MAX_TARGET_LENGTH = 32, 8, 64, 64
LEARNING_RATE, LABEL_SMOOTHING, WARMUP_PROPORTION = 5e-4, 0.1, 0.1
BEAM_SIZE = 4
TEST_FILE, WEIGHTS_FILE = "test.json", "weights.npz"
"""Sources and references, as texts and in ids, with the special tokens; the weights that both sides write with."""

TRAINING, WRITING, BLEU = "training, pairs/s", "texts/s", "BLEU"
"""Values of a round."""
TRAINED = "trained"
"""Case of a whole training."""
WAYS = {"greedy, batch 1": (1, 1), "greedy, batch 32": (32, 1), f"beam of {BEAM_SIZE}, batch 32": (32, BEAM_SIZE)}
"""Cases of writing with the same weights: how many texts at a time, and how many are followed for each."""
FEW = 32
"""Texts of a round that are written one at a time."""
LONGEST_NGRAM = 4


def batches_file(seed: int) -> str:
    """Batches of the training with a seed, in order."""
    return f"batches-{seed}.json"


def seeds(settings: Settings) -> range:
    """One a round."""
    return range(1, settings.effort.rounds + 1)


def rounds(train: Round, write: Callable[[str], Result]) -> Rounds:
    """The cases of a side.

    Args:
      train: a round of training.
      write: a round of one of `WAYS`.
    """
    writing: Rounds = {way: functools.partial(write, way) for way in WAYS}
    return {TRAINED: train, **writing}


def peers_name(name: str) -> str:
    """The name that a variable of an encoder-decoder has in Hugging Face's `EncoderDecoderModel`.

    Example:
      >>> peers_name("decoder/layer_0/output/dense/kernel")
      'decoder.bert.encoder.layer.0.output.dense.weight'
    """
    path = name.replace("/layer_", "/layer.").replace("/", ".")
    for ours, other in (
        (".kernel", ".weight"),
        (".gamma", ".weight"),
        (".beta", ".bias"),
        ("_embeddings", "_embeddings.weight"),
        ("cls.predictions.output_bias", "cls.predictions.bias"),
    ):
        path = path.removesuffix(ours) + other if path.endswith(ours) else path
    if path.startswith("bert."):
        return "encoder." + path.removeprefix("bert.")
    if path.startswith("decoder.layer."):
        return path.replace("decoder.layer.", "decoder.bert.encoder.layer.", 1)
    return path.replace("decoder.", "decoder.bert.", 1) if path.startswith("decoder.") else f"decoder.{path}"


def bleu(found: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> float:
    """BLEU of a corpus with a reference a text, over tokens, 0 to 100.

    Source: Papineni et al., 2002.

    Example:
      >>> bleu([[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5]])
      100.0
    """
    logs = 0.0
    for length in range(1, LONGEST_NGRAM + 1):
        hits = total = 0
        for tokens, reference in zip(found, references, strict=True):
            counts = collections.Counter(_ngrams(tokens, length))
            hits += (counts & collections.Counter(_ngrams(reference, length))).total()
            total += counts.total()
        if not hits:
            return 0.0
        logs += math.log(hits / total) / LONGEST_NGRAM
    written, expected = (sum(map(len, texts)) for texts in (found, references))
    return 100 * math.exp(logs + min(1 - expected / written, 0.0))


def _ngrams(tokens: Sequence[int], length: int) -> Iterator[tuple[int, ...]]:
    return (tuple(tokens[start : start + length]) for start in range(len(tokens) - length + 1))
