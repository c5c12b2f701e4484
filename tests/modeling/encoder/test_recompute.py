"""Activations computed again in the backward pass: the same gradients, dropout included."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, BertModel
from modeling.encoder.recompute import recomputed
from tests.estimator.test_devices import two_cpus
from tests.support import tiny
from tests.support.graphs import assign

tf1 = tf.compat.v1
RNG = np.random.default_rng(11)
LENGTHS = np.array([9, 4, 1, 7])
MASK = (np.arange(9) < LENGTHS[:, np.newaxis]).astype(np.int32)
IDS = (RNG.integers(1, 40, MASK.shape) * MASK).astype(np.int32)
TARGET = RNG.normal(size=[4, 16]).astype(np.float32)


def config(dropout: float) -> BertConfig:
    values = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout, "num_hidden_layers": 3}
    return BertConfig.from_dict({**tiny.CONFIG, **values})


def loss_of(dropout=0.0, **options):
    model = BertModel(config(dropout), True, tf.constant(IDS), tf.constant(MASK), **options)
    return tf.reduce_mean(tf.square(model.get_pooled_output() - TARGET))


def load(session):
    values = np.random.default_rng(2)
    session.run(tf1.global_variables_initializer())
    variables = tf1.trainable_variables()
    assign(session, {one: values.normal(0, 0.3, one.shape).astype(np.float32) for one in variables})


def loss_and_gradients(**options):
    with tf.Graph().as_default(), tf1.Session() as sess:
        loss = loss_of(**options)
        found = tf.gradients(loss, tf1.trainable_variables())
        rows = [tf.math.unsorted_segment_sum(g.values, g.indices, 40) for g in found if isinstance(g, tf.IndexedSlices)]
        load(sess)
        return sess.run([loss, *rows, *[g for g in found if not isinstance(g, tf.IndexedSlices)]])


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"packed": True, "pooled_only": True}])
def test_gradients_are_the_same_without_dropout(options):
    kept = loss_and_gradients(**options)
    for left, right in zip(kept, loss_and_gradients(recompute=True, **options), strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-5, atol=1e-6)
    assert sum(np.abs(value).max() > 1e-4 for value in kept) > 40


def test_gradients_under_dropout_are_those_of_the_very_function_that_ran():
    """A directional derivative against differences of the loss, under one draw of the dropout."""
    with tf.Graph().as_default(), tf1.Session() as sess:
        tf1.set_random_seed(5)
        loss = loss_of(dropout=0.3, packed=True, recompute=True)
        kernels = [v for v in tf1.trainable_variables() if v.op.name.endswith("kernel")]
        directions = [RNG.normal(size=kernel.shape).astype(np.float32) for kernel in kernels]
        found = tf.gradients(loss, kernels)
        slope = tf.add_n([tf.reduce_sum(g * d) for g, d in zip(found, directions, strict=True)])
        load(sess)
        values = sess.run(kernels)

    def moved_loss(step):
        # A new session begins the same series of random numbers again.
        with tf1.Session(graph=loss.graph) as sess, loss.graph.as_default():
            load(sess)
            moved = zip(kernels, values, directions, strict=True)
            assign(sess, {kernel: value + step * direction for kernel, value, direction in moved})
            return sess.run([loss, slope])

    (here, expected), (again, _) = moved_loss(0.0), moved_loss(0.0)
    assert here == again
    step = 2e-3
    measured = (moved_loss(step)[0] - moved_loss(-step)[0]) / (2 * step)
    assert measured == pytest.approx(expected, rel=2e-2)
    assert abs(expected) > 0.05


def test_a_layer_draws_the_same_mask_again_and_every_run_another():
    with tf.Graph().as_default(), tf1.Session() as sess:
        tf1.set_random_seed(5)
        seed = tf.random.uniform([2], tf.int32.min, tf.int32.max, tf.int32)

        def masked(x):
            from modeling import dropout

            return dropout(x, 0.5, seed)

        inputs = tf.ones([64])
        outputs = recomputed(masked, inputs)
        (gradient,) = tf.gradients(tf.reduce_sum(outputs), inputs)
        runs = [sess.run([outputs, gradient]) for _ in range(2)]
    for output, slope in runs:
        np.testing.assert_array_equal(slope, output)  # both are the mask itself
        assert 10 < (output == 0).sum() < 54
    assert (runs[0][0] != runs[1][0]).any()


def test_layers_drop_other_values_than_each_other():
    with tf.Graph().as_default() as graph, tf1.Session() as sess:
        loss = loss_of(dropout=0.3, recompute=True)
        tf.gradients(loss, tf1.trainable_variables())
        draws = [op.outputs[0] for op in graph.get_operations() if op.type == "RandomUniformInt"]
        seeds = [tensor for tensor in draws if tensor.shape == [3, 2]]
        drawn = np.concatenate(sess.run(seeds))
    assert len(seeds) == 2  # of three layers, the last of which is kept
    assert len({tuple(row) for row in drawn.tolist()}) == len(drawn)


def test_layers_are_computed_again_after_the_gradient_arrives():
    def softmaxes(**options):
        with tf.Graph().as_default() as graph:
            tf.gradients(loss_of(packed=True, **options), tf1.trainable_variables())
            return [op for op in graph.get_operations() if op.type == "Softmax"]

    assert len(softmaxes()) == 3
    again = softmaxes(recompute=True)
    assert [bool(ancestors(op)) for op in again] == [False] * 3 + [True] * 2


def ancestors(op):
    """Operations of the backward pass that must run before this one."""
    seen, waiting = set(), [op]
    while waiting:
        one = waiting.pop()
        if one.name in seen:
            continue
        seen.add(one.name)
        waiting += [tensor.op for tensor in one.inputs] + list(one.control_inputs)
    return [name for name in seen if "gradients" in name and "TanhGrad" in name]


@pytest.mark.slow
def test_it_works_on_the_replicas_of_a_strategy():
    def step():
        loss = loss_of(packed=True, recompute=True)
        return tf.add_n([tf.reduce_sum(tf.square(tf.convert_to_tensor(g))) for g in tf.gradients(
            loss, [v for v in tf1.trainable_variables() if "kernel" in v.op.name]
        )])  # fmt: skip

    strategy = two_cpus()
    with tf.Graph().as_default(), strategy.scope():
        found = strategy.experimental_local_results(strategy.extended.call_for_each_replica(step))
        with tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 2})) as sess:
            sess.run(tf1.global_variables_initializer())
            first, second = sess.run(found)
    assert first == pytest.approx(second, rel=1e-5)
    assert first > 0


def test_evaluation_keeps_nothing_anyway():
    def names(**options):
        with tf.Graph().as_default() as graph:
            BertModel(config(0.3), False, tf.constant(IDS), tf.constant(MASK), **options)
            return [op.name for op in graph.get_operations()]

    assert names(recompute=True) == names()
