"""Names of upstream's `run_squad.py`."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from common.errors import FlagError
from compat.features import program_flag, records_input_fn
from compat.squad_answers import RawResult, _compute_softmax, _get_best_indexes, write_predictions
from compat.squad_features import (
    POSITIONS,
    FeatureWriter,
    InputFeatures,
    SquadExample,
    _check_is_max_context,
    _improve_answer_span,
    convert_examples_to_features,
    read_squad_examples,
    window_spec,
)
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.heads.span import SpanHead
from modeling.settings import ModelSettings
from tasks.span.text import get_final_text
from tokenization import validate_case_matches_checkpoint

__all__ = [
    "FeatureWriter", "InputFeatures", "RawResult", "SquadExample", "_check_is_max_context", "_compute_softmax",
    "_get_best_indexes", "_improve_answer_span", "convert_examples_to_features", "create_model", "get_final_text",
    "input_fn_builder", "model_fn_builder", "read_squad_examples", "validate_flags_or_throw", "write_predictions",
]  # fmt: skip


_CHECKED_FLAGS: dict[str, Any] = {
    "do_lower_case": True, "init_checkpoint": None, "do_train": False, "do_predict": False, "train_file": None,
    "predict_file": None, "max_seq_length": 384, "max_query_length": 64,
}  # fmt: skip


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
    # Frozen graphs are asked for "unstack:0" and "unstack:1".
    start_logits, end_logits = tf.unstack(logits, axis=-1, name="unstack")
    return start_logits, end_logits


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
        ModelSettings(bert_config, init_checkpoint or None, use_one_hot_embeddings),
        SpanHead(),
        schedule,
        GraphSettings(packed=False, tpu_estimator=use_tpu, use_tpu=use_tpu),
    )


def input_fn_builder(
    input_file: str, seq_length: int, is_training: bool, drop_remainder: bool
) -> Callable[..., tf.data.Dataset]:
    """An `input_fn` over SQuAD records; see `compat.features.records_input_fn`."""
    spec = window_spec(seq_length, POSITIONS if is_training else ())
    return records_input_fn([input_file], spec, is_training, drop_remainder)


def validate_flags_or_throw(bert_config: BertConfig) -> None:
    """Checks the flags that the running program has defined under upstream's names.

    Args:
      bert_config: limits the length.

    Raises:
      FlagError: nothing to do, a file that is not given, or lengths that do not go together.
    """
    flag = {name: program_flag(name, None, default) for name, default in _CHECKED_FLAGS.items()}
    validate_case_matches_checkpoint(flag["do_lower_case"], flag["init_checkpoint"])
    if not flag["do_train"] and not flag["do_predict"]:
        raise FlagError("nothing to do: expected --do_train or --do_predict, as flags that this program defines")
    for step, file in (("do_train", "train_file"), ("do_predict", "predict_file")):
        if flag[step] and not flag[file]:
            raise FlagError(f"--{file} is missing; --{step} needs a SQuAD file")
    length, question, longest = flag["max_seq_length"], flag["max_query_length"], bert_config.max_position_embeddings
    if not question + 3 < length <= longest:
        raise FlagError(
            f"--max_seq_length={length}: expected more than --max_query_length={question} and 3 special tokens, and "
            f"at most the {longest} positions of the model"
        )
