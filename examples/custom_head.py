"""A classifier on the mean of all token vectors instead of that of `[CLS]`; run_classifier.py --head=<this file>."""

import tensorflow as tf

from modeling.encoder.model import BertModel
from modeling.heads.base import Features
from modeling.heads.classification import ClassificationHead, pooled_logits


class MeanPoolingHead(ClassificationHead):
    uses_sequence_output = True  # otherwise only the vector of [CLS] is computed in the last layer

    def logits(self, encoder: BertModel, features: Features, is_training: bool) -> tf.Tensor:
        mask = tf.cast(features["input_mask"], tf.float32)[:, :, tf.newaxis]  # [B, S, 1]
        mean = tf.reduce_sum(encoder.get_sequence_output() * mask, axis=1) / tf.reduce_sum(mask, axis=1)  # [B, H]
        return pooled_logits(mean, self.num_labels, is_training, encoder.classifier_dropout)
