"""The loss to smoothed targets, beside TensorFlow's own way."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.heads.sequence import smoothed_losses

v1 = tf.compat.v1
ROWS, SIZE = 5, 7


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
def test_losses_and_gradients_are_those_of_dense_targets(smoothing):
    generator = np.random.default_rng(1)
    values = generator.normal(0, 3, [ROWS, SIZE]).astype(np.float32)
    with tf.Graph().as_default(), v1.Session() as session:
        scores, labels = tf.constant(values), tf.constant([0, 6, 2, 2, 5])
        weights = tf.constant(generator.normal(size=ROWS).astype(np.float32))
        targets = (1 - smoothing) * tf.one_hot(labels, SIZE) + smoothing / SIZE
        ways = (
            smoothed_losses(scores, labels, smoothing),
            tf.nn.softmax_cross_entropy_with_logits(targets, scores),
        )
        found, expected = session.run([[losses, tf.gradients(losses * weights, scores)[0]] for losses in ways])
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_no_token_has_no_loss():
    with tf.Graph().as_default(), v1.Session() as session:
        scores = tf.zeros([0, SIZE])
        losses = smoothed_losses(scores, tf.zeros([0], tf.int32), 0.1)
        found, gradient = session.run([losses, tf.gradients(losses, scores)[0]])
    assert (found.shape, gradient.shape) == ((0,), (0, SIZE))
