"""Names of upstream's `run_squad.py`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from compat.features import records_input_fn
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.heads.span import SpanHead
from modeling.settings import ModelSettings
from processors.records.schema import FeatureSpec, Field
from processors.squad.examples import SquadExample, SquadReader
from tasks.span.text import get_final_text

__all__ = [
    "RawResult", "SquadExample", "create_model", "get_final_text", "input_fn_builder", "model_fn_builder",
    "read_squad_examples",
]  # fmt: skip


class RawResult(NamedTuple):
    """The model's output for one window."""

    unique_id: int
    start_logits: list[float]
    end_logits: list[float]


def read_squad_examples(input_file: str, is_training: bool) -> list[SquadExample]:
    """The questions of a SQuAD file."""
    return list(
        SquadReader(Path(input_file), learns=is_training, is_training=is_training, version_2_with_negative=True)
    )


def create_model(
    bert_config: BertConfig,
    is_training: bool,
    input_ids: tf.Tensor,
    input_mask: tf.Tensor,
    segment_ids: tf.Tensor,
    use_one_hot_embeddings: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Encoder and span head: scores of starts and of ends, float32 [B, S] each."""
    encoder = BertModel(bert_config, is_training, input_ids, input_mask, segment_ids, use_one_hot_embeddings)
    features = {"input_ids": input_ids, "input_mask": input_mask}
    logits = SpanHead().logits(encoder, features, is_training)
    return logits[:, :, 0], logits[:, :, 1]


def model_fn_builder(
    bert_config: BertConfig,
    init_checkpoint: str | None,
    learning_rate: float,
    num_train_steps: int | None,
    num_warmup_steps: int | None,
    use_tpu: bool,
    use_one_hot_embeddings: bool,
) -> Callable[..., Any]:
    """A `model_fn` for an Estimator or TPUEstimator; it predicts `unique_ids`, `start_logits`, `end_logits`."""
    schedule = None
    if num_train_steps is not None:
        schedule = Schedule(learning_rate, num_train_steps, num_warmup_steps or 0)
    return build_model_fn(
        ModelSettings(bert_config, init_checkpoint, use_one_hot_embeddings),
        SpanHead(),
        schedule,
        GraphSettings(packed=False, tpu_estimator=use_tpu, use_tpu=use_tpu),
    )


def input_fn_builder(
    input_file: str, seq_length: int, is_training: bool, drop_remainder: bool
) -> Callable[..., tf.data.Dataset]:
    """An `input_fn` over SQuAD records; see `compat.features.records_input_fn`."""
    names = ("input_ids", "input_mask", "segment_ids")
    ids = tuple(Field(name, shape=(None,), static=seq_length) for name in names)
    positions = ("start_positions", "end_positions") if is_training else ()
    spec = FeatureSpec((Field("unique_ids"), *ids, *(Field(name) for name in positions)))
    return records_input_fn([input_file], spec, is_training, drop_remainder)
