"""The losses between a student and its teacher, by formulas written out; how they are shared with those of labels."""

import numpy as np
import pytest
import tensorflow as tf

from common.errors import FlagError
from modeling.heads.classification import ClassificationHead, MultiLabelHead, RegressionHead
from modeling.heads.distillation import IS_LABELLED, LABELS, TEACHER, DistilledHead
from modeling.heads.masked_lm import PretrainingHead
from modeling.heads.soft_losses import TEACHER_SCORES

RANDOM = np.random.default_rng(3)
STUDENT, TAUGHT = RANDOM.normal(size=(2, 4, 3)).astype(np.float32)


def value(tensor):
    with tf.compat.v1.Session() as session:
        return session.run(tensor)


def computed(head, logits, features, method="loss", *further):
    with tf.Graph().as_default():
        given = {"input_ids": np.ones([len(logits), 2], np.int32), **features}
        given = {name: tf.constant(array) for name, array in given.items()}
        return value(getattr(head, method)(tf.constant(logits), given, *further))


def softmax(scores):
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def sigmoid(scores):
    return 1 / (1 + np.exp(-scores))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distributions_over_labels_are_compared_at_a_temperature(temperature):
    found = computed(ClassificationHead(3), STUDENT, {TEACHER_SCORES: TAUGHT}, "soft_losses", temperature)
    p, q = softmax(TAUGHT / temperature), softmax(STUDENT / temperature)
    np.testing.assert_allclose(found, temperature**2 * (p * np.log(p / q)).sum(-1), atol=1e-5)
    shifted = {TEACHER_SCORES: TAUGHT + 5}  # logarithms of probabilities are scores up to a constant
    np.testing.assert_allclose(
        computed(ClassificationHead(3), STUDENT, shifted, "soft_losses", temperature), found, atol=1e-5
    )


def test_labels_that_do_not_exclude_each_other_are_compared_one_by_one():
    found = computed(MultiLabelHead(3), STUDENT, {TEACHER_SCORES: TAUGHT}, "soft_losses", 2.0)
    p, q = sigmoid(TAUGHT / 2), sigmoid(STUDENT / 2)
    each = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    np.testing.assert_allclose(found, 4 * each.mean(-1), atol=1e-5)


def test_numbers_are_compared_by_their_square():
    found = computed(RegressionHead(), STUDENT[:, :1], {TEACHER_SCORES: TAUGHT[:, :1]}, "soft_losses", 1.0)
    np.testing.assert_allclose(found, (STUDENT[:, 0] - TAUGHT[:, 0]) ** 2, rtol=1e-6)


FEATURES = {
    "label_ids": np.array([0, 2, 1, 0], np.int32),
    "is_real_example": np.array([1, 1, 1, 0], np.int32),
    IS_LABELLED: np.array([1, 1, 0, 1], np.float32),
    TEACHER_SCORES: TAUGHT,
}


def test_rows_without_labels_count_for_the_teacher_alone_and_fillers_for_nothing():
    head = DistilledHead(ClassificationHead(3), 0.25, 2.0)
    hard = -np.log(softmax(STUDENT))[np.arange(4), FEATURES["label_ids"]]
    soft = computed(ClassificationHead(3), STUDENT, FEATURES, "soft_losses", 2.0)
    parts = computed(head, STUDENT, FEATURES, "loss_parts")
    assert parts[LABELS] == pytest.approx(0.75 * hard[:2].mean(), rel=1e-5)
    assert parts[TEACHER] == pytest.approx(0.25 * soft[:3].mean(), rel=1e-5)
    loss, rows = computed(head, STUDENT, FEATURES)
    assert loss == pytest.approx(sum(parts.values()), rel=1e-6)
    np.testing.assert_allclose(rows[:3], 0.75 * hard[:3] * [1, 1, 0] + 0.25 * soft[:3], rtol=1e-5)


def test_parts_of_a_batch_add_up_to_its_loss():
    with tf.Graph().as_default():
        found = value(
            DistilledHead(ClassificationHead(3, [1.0, 2.0, 0.5]), 0.5, 1.0).loss_weights(
                {
                    "input_ids": tf.ones([4, 2], tf.int32),
                    **{name: tf.constant(array) for name, array in FEATURES.items()},
                }
            )
        )
    assert found == {LABELS: 1.5, TEACHER: 3.0}
    head = DistilledHead(ClassificationHead(3, [1.0, 2.0, 0.5]), 0.5, 1.0)
    # The weights of the labels 0 and 2, which are those of real rows; and three real rows.
    whole = {LABELS: np.float32(1.5), TEACHER: np.float32(3)}
    shares = [
        computed(head, STUDENT[part], {name: array[part] for name, array in FEATURES.items()}, "loss_shares", whole)
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert sum(sum(share.values()) for share in shares) == pytest.approx(computed(head, STUDENT, FEATURES)[0], rel=1e-5)


def test_a_share_of_one_leaves_the_labels_out_and_of_none_the_teacher():
    for share, part in ((1.0, TEACHER), (0.0, LABELS)):
        head = DistilledHead(ClassificationHead(3), share, 1.0)
        parts = computed(head, STUDENT, FEATURES, "loss_parts")
        assert computed(head, STUDENT, FEATURES)[0] == pytest.approx(parts[part])


def test_a_head_without_such_a_loss_says_so():
    with pytest.raises(FlagError, match="PretrainingHead has no loss against a teacher's scores; leave it out"):
        PretrainingHead.soft_losses(PretrainingHead.__new__(PretrainingHead), None, {}, 1.0)
