"""Heads over the words of a row: what counts in the loss, where scores are read, and what the CRF predicts."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, BertModel
from modeling.heads import crf
from modeling.heads.entities import TAG_VARIABLES, CrfHead, WordTagHead
from processors.entities.tags import allowed_transitions
from tests.support import tiny

v1 = tf.compat.v1

LABELS = ["O", "B-x", "I-x"]
STARTS = [[1, 3, 4], [1, 2, 0], [1, 2, 3]]
TAGS = [[1, 2, 0], [0, 1, 0], [2, 0, 1]]
MASK = [[1] * 6, [1, 1, 1, 1, 0, 0], [1] * 6]
TOKEN_TAGS = [[-1, 1, 2, 2, 0, -1], [-1, 0, 1, -1, -1, -1], [-1, 2, 0, 1, 1, -1]]


def features(real=(1, 1, 1)):
    lists = {
        "word_starts": STARTS, "label_ids": TAGS, "input_mask": MASK, "token_label_ids": TOKEN_TAGS,
        "is_real_example": list(real), "input_ids": [[5] * 6] * 3,
    }  # fmt: skip
    return {name: tf.constant(values, tf.int32) for name, values in lists.items()}


LOGITS = np.random.default_rng(3).normal(0, 2, (3, 6, 3)).astype(np.float32)


def evaluate(tensors):
    with v1.Session() as session:
        session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
        return session.run(tensors)


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_loss_is_the_mean_cross_entropy_of_the_words_at_their_first_token():
    head = WordTagHead(3)
    loss, losses = evaluate(head.loss(tf.constant(LOGITS), features((1, 1, 0))))
    logs = log_softmax(LOGITS)
    words = [
        [-logs[row, start, tag] for start, tag in zip(STARTS[row], TAGS[row], strict=True) if start] for row in range(3)
    ]
    np.testing.assert_allclose(loss, np.mean(words[0] + words[1]), rtol=1e-5)
    np.testing.assert_allclose(losses[:2], [np.mean(words[0]), np.mean(words[1])], rtol=1e-5)
    assert losses[2] == 0  # a row that fills up a batch


def test_every_token_can_count():
    head = WordTagHead(3, label_all_tokens=True)
    loss, _ = evaluate(head.loss(tf.constant(LOGITS), features()))
    logs = log_softmax(LOGITS)
    tokens = [-logs[row, place, tag] for row in range(3) for place, tag in enumerate(TOKEN_TAGS[row]) if tag >= 0]
    np.testing.assert_allclose(loss, np.mean(tokens), rtol=1e-5)


@pytest.mark.parametrize("head", [WordTagHead(3), WordTagHead(3, label_all_tokens=True), CrfHead(3)])
def test_a_batch_in_parts_has_the_loss_of_the_whole(head):
    whole = features((1, 1, 0))
    weights = head.loss_weights(whole)
    shares = [
        head.loss_shares(tf.constant(LOGITS[rows]), {name: value[rows] for name, value in whole.items()}, weights)
        for rows in (slice(0, 1), slice(1, 3))
    ]
    loss, parts = evaluate((head.loss(tf.constant(LOGITS), whole)[0], [share["loss"] for share in shares]))
    np.testing.assert_allclose(sum(parts), loss, rtol=1e-5)


def test_crf_loss_is_the_likelihood_of_all_sentences_over_all_words():
    head = CrfHead(3)
    batch = features()
    loss, losses = head.loss(tf.constant(LOGITS), batch)
    scores = tf.gather(tf.constant(LOGITS), batch["word_starts"], axis=1, batch_dims=1)
    with v1.variable_scope("", reuse=True):
        transitions = crf.transition_variables(3)
    likelihood = crf.log_likelihood(scores, batch["label_ids"], tf.constant([3, 2, 3]), transitions)
    found, by_row, expected = evaluate((loss, losses, likelihood))
    np.testing.assert_allclose(by_row, -expected / [3, 2, 3], rtol=1e-5)
    np.testing.assert_allclose(found, -expected.sum() / 8, rtol=1e-5)


def test_eval_loss_is_over_words_not_over_rows():
    head = WordTagHead(3)
    batch = features()
    loss, losses = head.loss(tf.constant(LOGITS), batch)
    value, update = head.metrics(tf.constant(LOGITS), batch, losses)["eval_loss"]
    with v1.Session() as session:
        session.run(v1.local_variables_initializer())
        session.run(update)
        np.testing.assert_allclose(*session.run([value, loss]), rtol=1e-5)


def test_crf_predicts_scores_and_constrained_transitions_in_every_row():
    head = CrfHead(3, allowed_transitions(LABELS, "iob2"))
    config = BertConfig.from_dict(tiny.CONFIG)
    batch = features()
    encoder = BertModel(config, False, tf.constant([[7] * 6] * 3))
    logits = head.logits(encoder, batch, is_training=False)
    names = {variable.op.name for variable in v1.trainable_variables()}
    of_head = {name for name in names if not name.startswith("bert/")}
    assert of_head == set(head.replaceable)
    assert of_head == {*TAG_VARIABLES, "crf/transitions", "crf/start", "crf/end"}
    found, raw = evaluate((head.predictions(logits, batch), logits))
    assert found["transitions"].shape == (3, 5, 3)
    assert (found["transitions"] == found["transitions"][0]).all()
    forbidden = found["transitions"][0] == crf.FORBIDDEN
    assert np.argwhere(forbidden).tolist() == [[0, 2], [3, 2]]  # no I-x after O, nor at the start
    np.testing.assert_array_equal(found["scores"][0], raw[0][STARTS[0]])
