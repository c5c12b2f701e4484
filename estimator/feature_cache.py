"""Outputs of a wholly frozen encoder, computed once a row and kept beside the records; see `estimator.row_values`."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from estimator import devices, row_values
from estimator.config import ExperimentSettings
from estimator.inputs import Inputs
from estimator.model_fn import GraphSettings, build_model_fn
from modeling.build import VECTORS
from modeling.checkpoints.bases import base_fingerprint
from modeling.encoder.model import BertModel
from modeling.heads.base import Features, Reader
from processors.records.length_order import ROW_INDEX
from processors.records.record_sets import RecordSet
from tasks.base import Task

BATCH_SIZE = 64
"""Rows that the encoder computes at once."""
_LENGTHS = "lengths"


@final
class FrozenOutputs(Reader):
    """Reads off an encoder what a head reads.

    Args:
      uses_sequence_output: every token, and not one vector a row.
    """

    def __init__(self, uses_sequence_output: bool) -> None:
        self.uses_sequence_output = uses_sequence_output

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        """Vectors float32, `[B, S, D]` or `[B, 1, D]`."""
        del features, is_training
        return (
            encoder.get_sequence_output() if self.uses_sequence_output else encoder.get_pooled_output()[:, tf.newaxis]
        )

    def predictions(self, logits: tf.Tensor, features: Features) -> dict[str, tf.Tensor]:
        """`encoder_vectors`, and how many of them a row has."""
        ones = tf.ones_like(features["input_mask"][:, 0])
        lengths = tf.reduce_sum(features["input_mask"], axis=1) if self.uses_sequence_output else ones
        return {VECTORS: logits, _LENGTHS: lengths}


def of_run(
    task: Task, settings: ExperimentSettings, inputs: Inputs, record_set: RecordSet
) -> row_values.RowValues | None:
    """What a run's wholly frozen encoder gives for each row; None where it does not keep it.

    Raises:
      DataError: as `row_values.built`.
    """
    model = settings.model
    if model.cached_as is None or model.init_checkpoint is None:
        return None
    reading = dataclasses.replace(model.reading, head_layers=1)
    is_sequence = task.head(is_training=False).uses_sequence_output
    made_of = {
        "base": base_fingerprint(model.init_checkpoint),
        "architecture": model.bert_config.to_dict(),
        "reading": str(reading),
        "precision": settings.devices.precision,
    }
    graph = GraphSettings(precision=settings.devices.precision)
    model = dataclasses.replace(model, reading=reading, cached_as=None)
    model_fn = build_model_fn(model, FrozenOutputs(is_sequence), graph=graph)

    def rows() -> Iterator[tuple[int, NDArray[Any]]]:
        input_fn = inputs.input_fn(record_set, BATCH_SIZE, sorts=True)
        # In a folder that has no checkpoint, so that the weights are those of the base.
        with tempfile.TemporaryDirectory(prefix="bert_features_") as folder:
            estimator = devices.build_estimator(model_fn, Path(folder), settings.training, settings.devices)
            for batch in estimator.predict(input_fn, None, None, None, False):
                for row, vectors, length in zip(batch[ROW_INDEX], batch[VECTORS], batch[_LENGTHS], strict=True):
                    yield row, vectors[:length]

    wanted = row_values.Wanted(
        what="the encoder's outputs",
        suffix=".features",
        name=VECTORS,
        made_of=made_of,
        dtype=settings.model.cached_as or "",
        is_sequence=is_sequence,
        width=reading.width(model.bert_config, is_sequence),
        most=tokens(record_set) if is_sequence else record_set.num_records,
        advice="give --cache_features=float16",
    )
    return row_values.built(record_set, wanted, rows)


def tokens(record_set: RecordSet) -> int:
    """Tokens of all rows, by their masks."""
    spec = {"input_mask": tf.io.FixedLenSequenceFeature([], tf.int64, True)}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        dataset = tf.data.TFRecordDataset([str(path) for path in record_set.files]).batch(1024)
        counts = dataset.map(lambda rows: tf.reduce_sum(tf.io.parse_example(rows, spec)["input_mask"]), 2)
        return int(session.run(counts.reduce(np.int64(0), lambda total, count: total + count)))
