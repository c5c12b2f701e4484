"""Weights that a model begins with: a head says which of its variables a new set of labels replaces."""

import numpy as np
import pytest
import tensorflow as tf

from common.errors import CheckpointError
from estimator.model_fn import build_model_fn
from modeling import BertConfig, ClassificationHead, MultiLabelHead, RegressionHead
from modeling.heads.base import Reader
from modeling.settings import ModelSettings

tf1 = tf.compat.v1


class Scorer(Reader):
    """A reader from outside, with a variable of its own name."""

    uses_sequence_output = False

    def __init__(self, outputs, replaceable=()):
        self.outputs, self.replaceable = outputs, replaceable

    def logits(self, encoder, features, is_training):
        pooled = encoder.get_pooled_output()
        return tf.matmul(pooled, tf1.get_variable("scorer/kernel", [pooled.shape[-1], self.outputs]))

    def predictions(self, logits, features):
        return {"scores": logits}


def started(folder, checkpoint, head, save_to=None):
    """Shape of each prediction, and the values of the encoder's pooler, of a model that starts from a checkpoint."""
    with tf.Graph().as_default(), tf1.Session() as session:
        ids = tf.constant([[2, 5, 3]], tf.int32)
        features = {"input_ids": ids, "input_mask": tf.ones_like(ids), "segment_ids": tf.zeros_like(ids)}
        config = BertConfig.from_json_file(str(folder / "bert_config.json"))
        model_fn = build_model_fn(ModelSettings(config, str(checkpoint)), head)
        spec = model_fn(features, None, tf.estimator.ModeKeys.PREDICT, None)
        session.run(tf1.global_variables_initializer())
        if save_to:
            tf1.train.Saver().save(session, str(save_to))
        pooler = next(v for v in tf1.trainable_variables() if v.op.name == "bert/pooler/dense/kernel")
        return session.run((spec.predictions, pooler))


@pytest.mark.parametrize("head", [ClassificationHead(3), MultiLabelHead(5), RegressionHead()])
def test_a_classifier_of_other_labels_starts_anew_on_the_same_encoder(golden, head):
    folder = golden / "tiny"
    expected = tf.train.load_checkpoint(str(folder / "bert_model.ckpt")).get_tensor("bert/pooler/dense/kernel")
    predictions, pooler = started(folder, folder / "bert_model.ckpt", head)
    width = getattr(head, "num_labels", 1)
    assert all(value.size == width for value in predictions.values())
    np.testing.assert_array_equal(pooler, expected)


def test_a_head_from_outside_names_what_is_replaced(golden, tmp_path):
    folder, checkpoint = golden / "tiny", tmp_path / "scorer.ckpt"
    started(folder, folder / "bert_model.ckpt", Scorer(2), checkpoint)
    predictions, _ = started(folder, checkpoint, Scorer(3, ("scorer/kernel",)))
    assert predictions["scores"].shape == (1, 3)
    with pytest.raises(CheckpointError) as excinfo:
        started(folder, checkpoint, Scorer(3))
    assert "scorer/kernel has shape (16, 3) in the model, (16, 2) in the checkpoint" in str(excinfo.value)
