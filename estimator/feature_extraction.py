"""Vectors of text: the encoder in prediction mode over examples that stream by."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import CheckpointError
from estimator import devices
from estimator.config import DeviceSettings, TrainingSettings
from estimator.model_fn import GraphSettings, build_model_fn
from estimator.streaming import AnsweredExample, ExampleStream, answered
from modeling.build import ENCODER_INPUTS
from modeling.checkpoints.restore import checkpoint_variables
from modeling.heads.base import Reader
from modeling.settings import ModelSettings
from processors.records.featurizer import Featurizer

CPU_OR_GPU = DeviceSettings()
POOLER = "bert/pooler/dense/kernel"


def extract(
    model: ModelSettings,
    reader: Reader,
    featurizer: Featurizer,
    chunks: Iterable[Sequence[Any]],
    batch_size: int,
    device: DeviceSettings = CPU_OR_GPU,
) -> Iterator[AnsweredExample]:
    """Reads vectors off the encoder, example by example, in flat memory.

    Args:
      model: encoder and its weights; `init_checkpoint` may be of any task.
      reader: a `modeling.heads.pooling.VectorReader`; its output is `vectors`.
      featurizer: makes rows of examples.
      chunks: examples in lists.
      batch_size: most rows a batch.
      device: where the graph runs.

    Yields:
      Examples in order, with their windows and vectors.

    Raises:
      CheckpointError: the weights cannot be read, do not fit, or lack the pooler that the reader reads.
    """
    check_pooler(model, reader)
    graph = GraphSettings(
        packed=not device.needs_static_shapes,
        tpu_estimator=device.uses_tpu_estimator,
        use_tpu=device.use_tpu,
        precision=device.precision,
    )
    fields = [field for field in featurizer.spec.fields if field.name in ENCODER_INPUTS]
    stream = ExampleStream(featurizer, chunks, batch_size, fields, device.needs_static_shapes)
    with tempfile.TemporaryDirectory(prefix="bert_features_") as folder:
        training = TrainingSettings(predict_batch_size=batch_size)
        estimator = devices.build_estimator(build_model_fn(model, reader, graph=graph), Path(folder), training, device)
        yield from answered(estimator, stream)


def check_pooler(model: ModelSettings, reader: Reader) -> None:
    """Checks that a reader of nothing but the pooler finds one in the checkpoint.

    Raises:
      CheckpointError: there is none: its output would be random.
    """
    if reader.uses_sequence_output or model.init_checkpoint is None:
        return
    if POOLER not in checkpoint_variables(model.init_checkpoint):
        raise CheckpointError(
            f"{model.init_checkpoint}: has no pooler ({POOLER}), which --pooling=pooled reads; choose another --pooling"
        )
