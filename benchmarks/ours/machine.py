"""How much of what the machine can multiply a model uses."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.ours import classifier, stepping
from benchmarks.ours.flops import model_flops
from benchmarks.protocol import TRAIN_BATCH_SIZE, WARM_STEPS, Result, Round, Rounds, Settings, seconds
from modeling.config import BertConfig
from modeling.settings import ModelSettings
from tasks.base import TRAIN

MATRIX = 2048
PRODUCTS = 8
TRAINING_FACTOR = 3
"""A backward pass has two products for each of the forward pass."""
BASE_ROWS, BASE_LENGTH = 16, 128


def load(settings: Settings) -> Rounds:
    """The rate of large products, then of the weights given on MRPC, and of a random model of BERT-base's shape."""
    product = tf.function(lambda a, b: tf.matmul(a, b))
    square = tf.random.normal([MATRIX, MATRIX], seed=1)
    _multiply(product, square)

    def peak() -> float:
        return PRODUCTS * 2 * MATRIX**3 / seconds(lambda: _multiply(product, square)) / 1e9

    rounds: Rounds = {f"matrix product of {MATRIX}": lambda: Result({"GFLOP/s": peak()})}
    task = classifier.task(settings)
    input_fn = classifier.input_fn(settings, task, TRAIN, TRAIN_BATCH_SIZE, is_training=True)
    minilm = classifier.model(settings)
    rounds |= _model("weights, MRPC", settings, minilm, input_fn, settings.effort.training_steps, peak)
    base = ModelSettings(BertConfig(30522, max_position_embeddings=512, type_vocab_size=2))
    rounds |= _model("BERT-base, random", settings, base, full_batches, settings.effort.base_steps, peak)
    return rounds


def full_batches() -> tf.data.Dataset:
    """Batches of full rows of random pieces, without end."""
    shape = (BASE_ROWS, BASE_LENGTH)
    batch = {
        "input_ids": np.random.default_rng(1).integers(1000, 30000, shape, np.int32),
        "input_mask": np.ones(shape, np.int32),
        "segment_ids": np.zeros(shape, np.int32),
        "label_ids": np.zeros(BASE_ROWS, np.int32),
        "is_real_example": np.ones(BASE_ROWS, np.int32),
    }
    return tf.data.Dataset.from_tensors(batch).repeat()


def _multiply(product: Callable[..., Any], square: tf.Tensor) -> None:
    for _ in range(PRODUCTS):
        found = product(square, square)
    found.numpy()


def _model(
    name: str, settings: Settings, model: ModelSettings, input_fn: Any, steps: int, peak: Callable[[], float]
) -> Rounds:
    """Rounds of training and of prediction of one model."""
    head = classifier.task(settings).head(True)
    count = WARM_STEPS + steps * settings.effort.rounds
    work = [model_flops(model.bert_config, classifier.lengths(b)) for b in classifier.first_batches(input_fn, count)]
    folder = settings.folder / name
    # The two see the same batches; each starts at the first.
    training = stepping.training(model, head, input_fn, folder / "training")
    predict = stepping.prediction(model, head, input_fn, folder / "prediction")
    _draw(predict, WARM_STEPS)
    return {
        f"{name}, training": _rounds(training.seconds, work, steps, TRAINING_FACTOR, peak),
        f"{name}, prediction": _rounds(functools.partial(_drawing_time, predict), work, steps, 1, peak),
    }


def _rounds(
    run: Callable[[int], float], work: Sequence[float], steps: int, factor: int, peak: Callable[[], float]
) -> Round:
    """A round of `steps` steps, whose operations are the next of `work`."""
    following: Iterator[float] = iter(work[WARM_STEPS:])

    def one() -> Result:
        done = factor * sum(itertools.islice(following, steps))
        # The product of the same moment: a machine's rate drifts.
        possible = peak()
        rate = done / run(steps) / 1e9
        return Result({"GFLOP/s": rate, "% of the product": 100 * rate / possible})

    return one


def _draw(predict: Callable[[], Any], steps: int) -> None:
    for _ in range(steps):
        predict()


def _drawing_time(predict: Callable[[], Any], steps: int) -> float:
    return seconds(lambda: _draw(predict, steps))
