"""The encoder over a batch of features, as training, prediction and exports build it."""

from typing import cast

import tensorflow as tf

from modeling.encoder.model import BertModel
from modeling.encoder.readings import CachedReadings, EncoderReadings
from modeling.heads.base import Reader
from modeling.settings import BF16, FLOAT32, FP16, ModelSettings

ENCODER_INPUTS = ("input_ids", "input_mask", "segment_ids")
VECTORS = "encoder_vectors"
"""Feature that takes the encoder's place: what a head reads of it, computed before."""
COMPUTE_DTYPES = {FLOAT32: tf.float32, BF16: tf.bfloat16, FP16: tf.float16}


def build_encoder(
    model: ModelSettings,
    head: Reader,
    features: dict[str, tf.Tensor],
    is_training: bool,
    packed: bool,
    recompute: bool = False,
    precision: str = FLOAT32,
) -> BertModel:
    """The BERT encoder over a batch, as heads are to see it; used by `model_fn` and by the export.

    Packed, the last layer is computed only as far as the head reads it.
    """
    reading = model.reading
    if VECTORS in features:
        return cast(BertModel, CachedReadings(features[VECTORS], model.bert_config, reading, is_training))
    encoder = BertModel(
        config=model.bert_config,
        is_training=is_training,
        input_ids=features["input_ids"],
        input_mask=features["input_mask"],
        token_type_ids=features["segment_ids"],
        use_one_hot_embeddings=model.use_one_hot_embeddings,
        scope="bert",  # named, so that several inputs can share the variables
        packed=packed,
        pooled_only=packed and not (head.uses_sequence_output or reading.reads_all_tokens),
        recompute=recompute,
        compute_dtype=COMPUTE_DTYPES[precision],
        position_ids=features.get("position_ids"),
        sequence_ids=features.get("sequence_ids"),
        insertions=model.insertions,
    )
    if reading.is_default:
        return encoder
    return cast(BertModel, EncoderReadings(encoder, reading, features["input_mask"], is_training))  # it has all of it
