"""The optimizer: upstream's numbers, its checkpoint names, strategies, and gradients of every kind."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import (
    AdamWeightDecayOptimizer,
    BertConfig,
    BertModel,
    ClassificationHead,
    create_optimizer,
    initialize_from_checkpoint,
    learning_rate_schedule,
)
from tests.estimator.test_devices import two_cpus

tf1 = tf.compat.v1
INPUTS = ("input_ids", "input_mask", "segment_ids", "label_ids")


def test_given_gradients_move_variables_as_upstream(golden):
    expected = np.load(golden / "optimizer.npz")
    names = [str(name) for name in expected["names"]]
    steps, warmup = int(expected["num_train_steps"]), int(expected["num_warmup_steps"])
    with tf.Graph().as_default(), tf1.Session() as sess:
        variables = [tf1.get_variable(name, initializer=expected["initial:" + name]) for name in names]
        gradients = [tf1.placeholder(tf.float32, variable.shape) for variable in variables]
        loss = tf.add_n([tf.reduce_sum(v * g) for v, g in zip(variables, gradients, strict=True)])
        train_op = create_optimizer(loss, float(expected["lr"]), steps, warmup, False)
        sess.run(tf1.global_variables_initializer())
        for step in range(steps):
            sess.run(train_op, {g: expected["gradients:" + n][step] for g, n in zip(gradients, names, strict=True)})
            for name, value in zip(names, sess.run(variables), strict=True):
                np.testing.assert_allclose(value, expected["after:" + name][step], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        *(pytest.param(one, marks=pytest.mark.slow) for one in ({}, {"packed": True})),
        {"packed": True, "pooled_only": True},
    ],
)
def test_training_is_upstreams(golden, options):
    expected = np.load(golden / "train_tiny.npz")
    config = BertConfig.from_json_file(golden / "tiny" / "bert_config.json")
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = config.classifier_dropout = 0.0
    with tf.Graph().as_default(), tf1.Session() as sess:
        features = {name: tf1.placeholder(tf.int32, expected[name].shape[1:]) for name in INPUTS}
        encoder = BertModel(config, True, *[features[name] for name in INPUTS[:3]], **options)
        head = ClassificationHead(2)
        loss, _ = head.loss(head.logits(encoder, features, is_training=True), features)
        variables = tf1.trainable_variables()
        gradients = tf.gradients(loss, variables)
        norm, dense = tf.linalg.global_norm(gradients), [tf.convert_to_tensor(gradient) for gradient in gradients]
        steps, warmup = int(expected["num_train_steps"]), int(expected["num_warmup_steps"])
        train_op = create_optimizer(loss, float(expected["lr"]), steps, warmup, False)
        report = initialize_from_checkpoint(variables, golden / "tiny")
        assert report.new == ()
        sess.run(tf1.global_variables_initializer())

        def feed(step):
            return {features[name]: expected[name][step] for name in INPUTS}

        first, first_norm = sess.run([dense, norm], feed(0))
        losses = [sess.run([loss, train_op], feed(step))[0] for step in range(steps)]
        final, global_step = sess.run([variables, tf1.train.get_global_step()])
    assert global_step == steps
    np.testing.assert_allclose(first_norm, expected["gradient_norm"], rtol=1e-3)
    np.testing.assert_allclose(losses, expected["losses"], rtol=0, atol=1e-5)
    differences = []
    for variable, gradient, value in zip(variables, first, final, strict=True):
        name = variable.op.name
        rows = expected["rows"] if name.endswith("word_embeddings") else slice(None)
        np.testing.assert_allclose(gradient[rows], expected["gradient:" + name], rtol=1e-3, atol=1e-5)
        differences.append(np.abs(value[rows] - expected["final:" + name]).ravel())
    differences = np.concatenate(differences)
    assert np.mean(differences < 5e-5) > 0.99
    assert differences.max() < 1e-3


def rates(updates, *arguments):
    with tf.Graph().as_default(), tf1.Session() as sess:
        rate = learning_rate_schedule(*arguments)
        step = tf1.train.get_global_step()
        sess.run(tf1.global_variables_initializer())
        values = []
        for _ in range(updates):
            values.append(sess.run(rate))
            sess.run(step.assign_add(1))
        return values


def test_learning_rate_rises_and_falls():
    np.testing.assert_allclose(rates(6, 1.0, 5, 2), [0.5, 0.6, 0.4, 0.2, 0.0, 0.0], atol=1e-6)
    for no_warmup in (0, None):
        np.testing.assert_allclose(rates(3, 0.8, 4, no_warmup), [0.6, 0.4, 0.2], atol=1e-6)


def reference_step(value, gradient, m, v, rate, decay):
    m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
    return value - rate * (m / (np.sqrt(v) + 1e-6) + decay * value), m, v


@pytest.mark.parametrize("use_resource", [True, False])
@pytest.mark.parametrize("sparse", [True, False])
def test_every_kind_of_variable_and_gradient(use_resource, sparse):
    """Dense and sparse, resource and reference variables: one method, written out in numpy."""
    rng = np.random.default_rng(0)
    value = rng.normal(size=[6, 4]).astype(np.float32)
    indices = np.array([1, 4, 1])
    with tf.Graph().as_default(), tf1.Session() as sess:
        variable = tf1.get_variable("table", initializer=value, use_resource=use_resource)
        values = tf1.placeholder(tf.float32, [3, 4])
        gradient = tf.IndexedSlices(values, tf.constant(indices), tf.constant([6, 4]))
        if not sparse:
            gradient = tf.math.unsorted_segment_sum(values, indices, 6)
        optimizer = AdamWeightDecayOptimizer(0.1, weight_decay_rate=0.01)
        train_op = optimizer.apply_gradients([(gradient, variable)])
        sess.run(tf1.global_variables_initializer())
        m = v = np.zeros_like(value)
        for _ in range(4):
            fed = rng.normal(size=[3, 4]).astype(np.float32)
            summed = np.zeros_like(value)
            np.add.at(summed, indices, fed)
            sess.run(train_op, {values: fed})
            value, m, v = reference_step(value, summed, m, v, 0.1, 0.01)
            np.testing.assert_allclose(sess.run(variable), value, rtol=0, atol=1e-5)


def test_slots_have_upstreams_names_and_the_step_counts_once():
    with tf.Graph().as_default(), tf1.Session() as sess:
        with tf1.variable_scope("bert/pooler/dense"):
            kernel = tf1.get_variable("kernel", [2, 2])
        frozen, unused = tf1.get_variable("frozen", [2]), tf1.get_variable("unused", [3])
        loss = tf.reduce_sum(kernel) + tf.reduce_sum(frozen)
        train_op = create_optimizer(loss, 0.1, 10, 0, False, variables=[kernel, unused])
        sess.run(tf1.global_variables_initializer())
        before = sess.run([frozen, unused])
        assert {variable.op.name for variable in tf1.global_variables()} == {
            "bert/pooler/dense/kernel", "bert/pooler/dense/kernel/adam_m", "bert/pooler/dense/kernel/adam_v",
            "frozen", "unused", "global_step",
        }  # fmt: skip
        for _ in range(3):
            sess.run(train_op)
        assert sess.run(tf1.train.get_global_step()) == 3
        for left, right in zip(before, sess.run([frozen, unused]), strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_given_learning_rate_is_used():
    with tf.Graph().as_default(), tf1.Session() as sess:
        bias = tf1.get_variable("bias", initializer=np.zeros(2, np.float32))
        train_op = create_optimizer(tf.reduce_sum(bias), 9.0, 10, 0, False, learning_rate=tf.constant(0.0))
        sess.run(tf1.global_variables_initializer())
        sess.run(train_op)
        assert not sess.run(bias).any()


def test_weight_decay_goes_by_name():
    optimizer = AdamWeightDecayOptimizer(0.1, 0.01, exclude_from_weight_decay=["LayerNorm", "layer_norm", "bias"])
    decayed = [
        name
        for name in ("bert/a/kernel", "bert/a/bias", "bert/LayerNorm/gamma", "x/layer_norm/beta", "output_bias", "t")
        if optimizer._do_use_weight_decay(name)
    ]
    assert decayed == ["bert/a/kernel", "t"]
    assert not AdamWeightDecayOptimizer(0.1)._do_use_weight_decay("bert/a/kernel")


def train_under(strategy, inputs, targets, steps=5):
    """Weights after some steps of a model with an embedding and a dense layer; `inputs` is the global batch."""

    def step_fn(replica_ids, replica_targets):
        table = tf1.get_variable("table", initializer=np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2))
        kernel = tf1.get_variable("kernel", initializer=np.array([[3.0], [-2.0]], np.float32))
        loss = tf.reduce_mean(tf.square(tf.matmul(tf.gather(table, replica_ids), kernel)[:, 0] - replica_targets)) * 50
        return create_optimizer(loss, 0.05, steps + 1, 0, False)

    with tf.Graph().as_default(), strategy.scope():
        # As the Estimator does: the mean over replicas is the mean over the global batch.
        strategy._scale_loss_for_estimator = True
        replicas = strategy.num_replicas_in_sync
        parts = [
            strategy.experimental_distribute_values_from_function(
                lambda context, array=array: tf.constant(np.split(array, replicas)[context.replica_id_in_sync_group])
            )
            for array in (inputs, targets)
        ]
        tf1.train.get_or_create_global_step()
        train_op = strategy.group(strategy.extended.call_for_each_replica(step_fn, args=parts))
        config = tf1.ConfigProto(device_count={"CPU": 2})
        with tf1.Session(config=config) as sess:
            sess.run(tf1.global_variables_initializer())
            for _ in range(steps):
                sess.run(train_op)
            variables = {v.op.name: v for v in tf1.trainable_variables()}
            return sess.run([variables["table"], variables["kernel"], tf1.train.get_global_step()])


def test_two_replicas_train_as_one_device_on_the_global_batch():
    """The norm is far above 1, so this also tells where clipping happens."""
    inputs, targets = np.array([0, 1, 2, 5]), np.array([1.0, -1.0, 4.0, 0.0], np.float32)
    one = train_under(tf.distribute.OneDeviceStrategy("/cpu:0"), inputs, targets)
    two = train_under(two_cpus(), inputs, targets)
    assert one[2] == two[2] == 5
    for left, right in zip(one[:2], two[:2], strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-5, atol=1e-6)
    assert abs(one[0] - np.linspace(-1, 1, 12).reshape(6, 2)).max() > 0.1
