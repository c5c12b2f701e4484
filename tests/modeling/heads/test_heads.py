"""Heads: one contract that each must pass, and what is particular to each."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, BertModel, ClassificationHead, Head, MultiLabelHead, RegressionHead
from modeling.families import registry
from modeling.heads.classification import CLASSIFIER_VARIABLES
from modeling.heads.span import SpanHead

tf1 = tf.compat.v1
CONFIG = BertConfig(
    vocab_size=13, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
    max_position_embeddings=8, type_vocab_size=2,
)  # fmt: skip
IDS = np.array([[2, 5, 6, 3], [2, 7, 3, 0], [2, 9, 4, 3], [2, 1, 1, 3]], np.int32)

# Each head with labels of four rows, the names of its predictions with their widths, and of its metrics.
HEADS = {
    "classification": (
        ClassificationHead(3), np.array([0, 2, 1, 1], np.int32),
        {"probabilities": [4, 3], "logits": [4, 3]}, {"eval_accuracy", "eval_loss"},
    ),
    "classification with weights": (
        ClassificationHead(3, [1.0, 2.0, 0.5]), np.array([0, 2, 1, 1], np.int32),
        {"probabilities": [4, 3], "logits": [4, 3]}, {"eval_accuracy", "eval_loss"},
    ),
    "regression": (
        RegressionHead(), np.array([0.5, -1.0, 2.0, 3.5], np.float32), {"score": [4]}, {"eval_loss"},
    ),
    "multi-label": (
        MultiLabelHead(2), np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32),
        {"probabilities": [4, 2], "logits": [4, 2]}, {"eval_accuracy", "eval_loss"},
    ),
    "classification with smoothing and focus": (
        ClassificationHead(3, None, 0.1, 2.0), np.array([0, 2, 1, 1], np.int32),
        {"probabilities": [4, 3], "logits": [4, 3]}, {"eval_accuracy", "eval_loss"},
    ),
    "multi-label with smoothing and focus": (
        MultiLabelHead(2, None, 0.1, 2.0), np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32),
        {"probabilities": [4, 2], "logits": [4, 2]}, {"eval_accuracy", "eval_loss"},
    ),
    "multi-label with weights": (
        MultiLabelHead(2, [3.0, 1.0]), np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.float32),
        {"probabilities": [4, 2], "logits": [4, 2]}, {"eval_accuracy", "eval_loss"},
    ),
}  # fmt: skip


def check_head(head, labels, predictions, metrics, variables):
    """What every head promises, on a batch of four rows; for heads of other rooms as well.

    Args:
      head: the head.
      labels: array of its `label_ids`, four rows.
      predictions: shape of each prediction by name.
      metrics: names of its metrics.
      variables: shape of each of its variables by name.
    """
    assert isinstance(head, Head)
    with tf.Graph().as_default(), tf1.Session() as sess:
        tf1.set_random_seed(3)
        real = tf1.placeholder(tf.int32, [4])
        features = {
            "input_ids": tf.constant(IDS), "input_mask": tf.constant((IDS > 0).astype(np.int32)),
            "segment_ids": tf.zeros_like(IDS), "label_ids": tf1.placeholder(labels.dtype, labels.shape),
            "is_real_example": real,
        }  # fmt: skip
        encoder = BertModel(
            CONFIG, False, features["input_ids"], features["input_mask"], features["segment_ids"],
            pooled_only=not head.uses_sequence_output,
        )  # fmt: skip
        logits = head.logits(encoder, features, is_training=False)
        created = {v.op.name: v.shape.as_list() for v in tf1.trainable_variables() if not v.op.name.startswith("bert/")}
        assert created == variables
        assert set(head.replaceable) <= variables.keys()
        loss, by_example = head.loss(logits, features)
        assert (loss.shape, by_example.shape) == ([], [4])
        predicted = head.predictions(logits, features)
        assert {name: value.shape.as_list() for name, value in predicted.items()} == predictions
        measured = head.metrics(logits, features, by_example)
        assert set(measured) == metrics
        train_op = tf1.train.GradientDescentOptimizer(0.05).minimize(loss)
        sess.run([tf1.global_variables_initializer(), tf1.local_variables_initializer()])
        everything = {real: [1, 1, 1, 1], features["label_ids"]: labels}

        _check_predictions(sess.run(predicted, everything))
        _check_padding_rows(sess, loss, measured, features, labels)
        before = sess.run(loss, everything)
        for _ in range(20):
            sess.run(train_op, everything)
        after = sess.run(loss, everything)
        assert np.isfinite([before, after]).all()
        assert after < before


def _check_predictions(values):
    if "probabilities" in values:
        assert ((values["probabilities"] >= 0) & (values["probabilities"] <= 1)).all()
        order = np.argsort(values["logits"], axis=-1)
        np.testing.assert_array_equal(np.argsort(values["probabilities"], axis=-1), order)
    assert all(np.isfinite(value).all() for value in values.values())


def _check_padding_rows(sess, loss, measured, features, labels):
    """Rows that fill up a batch may hold any label: loss and metrics stay those of the first two rows."""
    real, label_ids = features["is_real_example"], features["label_ids"]
    other = labels.copy()
    other[2:] = labels[0]
    results = []
    for given in (labels, other):
        sess.run(tf1.local_variables_initializer())
        feed = {real: [1, 1, 0, 0], label_ids: given}
        sess.run([update for _, update in measured.values()], feed)
        results.append([sess.run(loss, feed), *sess.run([value for value, _ in measured.values()])])
    assert results[0] == results[1]
    assert results[0][0] != sess.run(loss, {real: [1, 1, 1, 1], label_ids: labels})
    assert sess.run(loss, {real: [0, 0, 0, 0], label_ids: labels}) == 0


@pytest.mark.parametrize("name", HEADS)
def test_contract(name):
    head, labels, predictions, metrics = HEADS[name]
    outputs = getattr(head, "num_labels", 1)
    check_head(head, labels, predictions, metrics, {"output_weights": [outputs, 8], "output_bias": [outputs]})


def losses(head, logits, **features):
    with tf.Graph().as_default(), tf1.Session() as sess:
        return sess.run(head.loss(tf.constant(logits, tf.float32), {k: tf.constant(v) for k, v in features.items()}))


LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0], [0.0, 1.0, 0.0], [9.0, 9.0, 9.0]])
LABELS = np.array([0, 1, 2, 0], np.int32)
CROSS_ENTROPY = np.log(np.exp(LOGITS).sum(-1)) - LOGITS[np.arange(4), LABELS]


def test_cross_entropy_is_the_mean_over_rows():
    mean, by_row = losses(ClassificationHead(3), LOGITS, label_ids=LABELS)
    np.testing.assert_allclose(by_row, CROSS_ENTROPY, rtol=1e-5)
    np.testing.assert_allclose(mean, CROSS_ENTROPY.mean(), rtol=1e-5)


def test_class_weights_make_a_weighted_mean():
    weights = np.array([1.0, 4.0, 0.5])
    mean, by_row = losses(
        ClassificationHead(3, weights), LOGITS, label_ids=LABELS, is_real_example=np.array([1, 1, 1, 0], np.int32)
    )
    np.testing.assert_allclose(by_row, CROSS_ENTROPY, rtol=1e-5)
    kept = weights[LABELS[:3]]
    np.testing.assert_allclose(mean, (CROSS_ENTROPY[:3] * kept).sum() / kept.sum(), rtol=1e-5)


def test_label_smoothing_is_cross_entropy_with_soft_targets():
    targets = np.eye(3)[LABELS] * 0.9 + 0.1 / 3
    log_probabilities = LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True))
    _, by_row = losses(ClassificationHead(3, label_smoothing=0.1), LOGITS, label_ids=LABELS)
    np.testing.assert_allclose(by_row, -(targets * log_probabilities).sum(-1), rtol=1e-5)
    _, by_row = losses(MultiLabelHead(2, label_smoothing=0.2), [[2.0, -1.0]], label_ids=np.array([[1, 0]], np.float32))
    by_label = [np.log1p(np.exp(-2.0)) + 0.1 * 2.0, np.log1p(np.exp(-1.0)) + 0.1 * 1.0]
    np.testing.assert_allclose(by_row, [np.mean(by_label)], rtol=1e-5)


def test_focal_loss_weighs_rows_by_what_their_label_lacks():
    weights = np.array([1.0, 4.0, 0.5])
    expected = CROSS_ENTROPY * (1.0 - np.exp(-CROSS_ENTROPY)) ** 2
    mean, by_row = losses(ClassificationHead(3, weights, focal_gamma=2.0), LOGITS, label_ids=LABELS)
    np.testing.assert_allclose(by_row, expected, rtol=1e-4)
    np.testing.assert_allclose(mean, (expected * weights[LABELS]).sum() / weights[LABELS].sum(), rtol=1e-4)
    _, by_row = losses(MultiLabelHead(2, focal_gamma=2.0), [[2.0, -1.0]], label_ids=np.array([[1, 0]], np.float32))
    missed = 1.0 / (1.0 + np.exp([2.0, 1.0]))
    np.testing.assert_allclose(by_row, [np.mean(-np.log1p(-missed) * missed**2)], rtol=1e-4)


@pytest.mark.parametrize("head", [ClassificationHead(3, None, 0.1, 1.0), MultiLabelHead(3, None, 0.1, 1.0)])
def test_certain_answers_have_finite_gradients(head):
    logits = tf.constant([[80.0, -80.0, -80.0]])
    labels = tf.constant([0]) if isinstance(head, ClassificationHead) else tf.constant([[1.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss, _ = head.loss(logits, {"label_ids": labels})
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all()


def test_squared_error():
    mean, by_row = losses(RegressionHead(), [[1.0], [4.0]], label_ids=np.array([0.0, 1.0], np.float32))
    assert by_row.tolist() == [1.0, 9.0]
    assert mean == 5.0


def test_multi_label_loss_averages_over_labels():
    logits, labels = np.array([[2.0, -1.0], [0.0, 3.0]]), np.array([[1, 0], [1, 1]], np.float32)
    probability = 1 / (1 + np.exp(-logits))
    by_label = -(labels * np.log(probability) + (1 - labels) * np.log(1 - probability))
    mean, by_row = losses(MultiLabelHead(2), logits, label_ids=labels)
    np.testing.assert_allclose(by_row, by_label.mean(-1), rtol=1e-5)
    np.testing.assert_allclose(mean, by_label.mean(), rtol=1e-5)
    _, by_row = losses(MultiLabelHead(2, [3.0, 1.0]), logits, label_ids=labels)
    np.testing.assert_allclose(by_row, by_label @ [0.75, 0.25], rtol=1e-5)


def metric(head, logits, name, **features):
    with tf.Graph().as_default(), tf1.Session() as sess:
        features = {key: tf.constant(value) for key, value in features.items()}
        logits = tf.constant(logits, tf.float32)
        value, update = head.metrics(logits, features, head.loss(logits, features)[1])[name]
        sess.run(tf1.local_variables_initializer())
        sess.run(update)
        return sess.run(value)


def test_metrics_of_known_rows():
    real = np.array([1, 1, 1, 0], np.int32)
    head = ClassificationHead(3)
    assert metric(head, LOGITS, "eval_accuracy", label_ids=LABELS, is_real_example=real) == pytest.approx(1 / 3)
    loss = metric(head, LOGITS, "eval_loss", label_ids=LABELS, is_real_example=real)
    np.testing.assert_allclose(loss, CROSS_ENTROPY[:3].mean(), rtol=1e-5)
    labels = np.array([[1, 0], [1, 1]], np.float32)
    assert metric(MultiLabelHead(2), [[2.0, -1.0], [1.0, -3.0]], "eval_accuracy", label_ids=labels) == 0.5
    assert metric(RegressionHead(), [[1.0], [4.0]], "eval_loss", label_ids=np.array([0.0, 1.0], np.float32)) == 5.0


def test_initial_values_and_dropout_of_the_classifier():
    with tf.Graph().as_default(), tf1.Session() as sess:
        encoder = BertModel(CONFIG, False, tf.constant(IDS), pooled_only=True)
        head = ClassificationHead(200)
        training = head.logits(encoder, {}, is_training=True)
        with tf1.variable_scope("", reuse=True):
            serving = head.logits(encoder, {}, is_training=False)
        sess.run(tf1.global_variables_initializer())
        values = {v.op.name: sess.run(v) for v in tf1.trainable_variables() if v.op.name.startswith("output")}
        assert not values["output_bias"].any()
        assert values["output_weights"].std() == pytest.approx(0.0176, rel=0.1)  # 0.02, cut at two deviations
        first, second = (sess.run([training, serving]) for _ in range(2))
    assert (first[1] == second[1]).all()
    assert (first[0] != second[0]).any()


def test_classes_of_hugging_face_have_the_same_variables():
    """Names of heads in a family's files lead to the variables of the head that states the class."""
    heads = {head.title: head.variable for head in registry.named("bert").hugging_face.heads}
    assert heads["ForSequenceClassification"] == CLASSIFIER_VARIABLES[0]
    assert heads["ForQuestionAnswering"] == "cls/squad/output_weights"
    for head in (ClassificationHead, MultiLabelHead, RegressionHead, SpanHead):
        assert vars(head)["hugging_face_class"] in heads


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0, 1.0], [0.0, 0.0, 0.0]])
def test_class_weights_must_fit(weights):
    for kind in (ClassificationHead, MultiLabelHead):
        with pytest.raises(ValueError) as excinfo:
            kind(3, weights)
        assert str(excinfo.value) == f"class_weights {weights}: expected 3 weights of at least 0, and not all 0"


def test_the_contract_is_enforced():
    class Half(Head):
        def logits(self, encoder, features, is_training):
            return encoder.get_pooled_output()

    with pytest.raises(TypeError) as excinfo:
        Half()
    assert "abstract" in str(excinfo.value)
