"""Names of upstream's `run_classifier_with_tfhub.py`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from common.errors import CheckpointError
from compat import run_classifier
from modeling.checkpoints.hub import check_module, stated_casing
from modeling.checkpoints.locate import find_beside
from modeling.checkpoints.restore import initialize_from_checkpoint
from modeling.checkpoints.sizes import config_of_weights
from modeling.config import BertConfig
from tokenization import FullTokenizer

__all__ = ["create_model", "create_tokenizer_from_hub_module", "model_fn_builder"]


def create_tokenizer_from_hub_module(bert_hub_module_handle: str) -> FullTokenizer:
    """The tokenizer of a module: its `vocab.txt`, cased where it says so.

    Args:
      bert_hub_module_handle: folder of the module.

    Raises:
      BertError: it is no module, or has no `vocab.txt`.
    """
    folder = check_module(bert_hub_module_handle)
    vocab_file = find_beside(folder).vocab_file
    if vocab_file is None:
        raise CheckpointError(f"{folder}: has no vocab.txt among its assets; copy the module again")
    return FullTokenizer(vocab_file, stated_casing(Path(folder)) is not False)


def create_model(
    is_training: bool,
    input_ids: tf.Tensor,
    input_mask: tf.Tensor,
    segment_ids: tf.Tensor,
    labels: tf.Tensor,
    num_labels: int,
    bert_hub_module_handle: str,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The encoder of a module, whose variables start with its values, and a new classifier.

    Returns:
      As `compat.run_classifier.create_model`.

    Raises:
      BertError: it is no module, or cannot be read.
    """
    folder = check_module(bert_hub_module_handle)
    made = run_classifier.create_model(
        _config(folder), is_training, input_ids, input_mask, segment_ids, labels, num_labels, False
    )
    initialize_from_checkpoint(tf.compat.v1.trainable_variables(), folder)
    return made


def model_fn_builder(
    num_labels: int,
    learning_rate: float,
    num_train_steps: int | None,
    num_warmup_steps: int | None,
    use_tpu: bool,
    bert_hub_module_handle: str,
) -> Callable[..., Any]:
    """A `model_fn` for an Estimator or TPUEstimator, whose encoder starts with the values of a module.

    Raises:
      BertError: it is no module, or cannot be read.
    """
    folder = check_module(bert_hub_module_handle)
    return run_classifier.model_fn_builder(
        _config(folder), num_labels, folder, learning_rate, num_train_steps, num_warmup_steps, use_tpu, False
    )


def _config(folder: str) -> BertConfig:
    stated = find_beside(folder).config_file
    return config_of_weights(folder) if stated is None else BertConfig.from_json_file(stated)
