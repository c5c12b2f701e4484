"""How long models take for one row."""

import dataclasses
import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from modeling.build import ENCODER_INPUTS, build_encoder
from modeling.heads.base import Features, Reader
from modeling.settings import ModelSettings

WARM_UPS = 5


@dataclasses.dataclass(frozen=True)
class Timed:
    """A model, and rows for it.

    Args:
      model: the encoder; its values do not matter, so none are read.
      head: what is read off it.
      windows: features of rows, as the featurizer makes them, one window each.
      precision: as in `DeviceSettings`.
    """

    model: ModelSettings
    head: Reader
    windows: Sequence[Mapping[str, Any]]
    precision: str


def seconds_a_row(models: Sequence[Timed]) -> list[float]:
    """Median time of one row at a time, in seconds; the models take turns, so that load on the machine hits all alike.

    Args:
      models: with as many windows each.
    """
    sessions = [_session(one) for one in models]
    times: list[list[float]] = [[] for _ in models]
    try:
        rows = zip(*(one.windows for one in models), strict=True)
        warm_ups = itertools.repeat([one.windows[0] for one in models], WARM_UPS)
        for number, windows in enumerate(itertools.chain(warm_ups, rows)):
            for (session, inputs, outputs), window, found in zip(sessions, windows, times, strict=True):
                fed = {tensor: np.array([window[name]], np.int32) for name, tensor in inputs.items()}
                started = time.perf_counter()
                session.run(outputs, fed)
                if number >= WARM_UPS:
                    found.append(time.perf_counter() - started)
    finally:
        for session, _, _ in sessions:
            session.close()
    return [statistics.median(found) for found in times]


def _session(timed: Timed) -> tuple[Any, dict[str, tf.Tensor], Any]:
    """A session with random values, its inputs by name and its outputs."""
    with tf.Graph().as_default():
        names = (*ENCODER_INPUTS, *timed.head.further_inputs)
        features = {name: tf.compat.v1.placeholder(tf.int32, [None, None], name) for name in names}

        def encode(rows: Features) -> Any:
            return build_encoder(
                timed.model, timed.head, rows, is_training=False, packed=True, precision=timed.precision
            )

        logits = timed.head.read(encode, features, is_training=False)
        outputs = timed.head.predictions(logits, features)
        session = tf.compat.v1.Session()
        session.run(tf.compat.v1.global_variables_initializer())
        return session, features, outputs
