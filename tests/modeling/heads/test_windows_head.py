"""A head over documents: the scores of its windows, pooled; whatever the layout, and however many at a time."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, ClassificationHead, MultiLabelHead, RegressionHead
from modeling.build import build_encoder
from modeling.heads import windows
from modeling.heads.pooling_names import WINDOW_POOLINGS
from modeling.heads.windows import WindowedHead
from modeling.settings import ModelSettings
from tests.support import tiny

tf1 = tf.compat.v1
CONFIG = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 1, "classifier_dropout": 0.0})
WIDTH = 6
LENGTHS = np.array([[6, 4, 0, 0], [6, 6, 6, 3], [2, 0, 0, 0]], np.int32)
POOLED = {
    "mean": lambda scores: scores.mean(axis=0),
    "max": lambda scores: scores.max(axis=0),
    "first": lambda scores: scores[0],
}


def batch(static: bool) -> dict[str, np.ndarray]:
    """Three documents of 2, 4 and 1 windows, and the label of each."""
    rng = np.random.default_rng(5)
    total = LENGTHS.shape[1] * WIDTH if static else LENGTHS.sum(axis=1).max()
    mask = (np.arange(total) < LENGTHS.sum(axis=1, keepdims=True)).astype(np.int32)
    ids = np.random.default_rng(6).integers(5, CONFIG.vocab_size, [3, 24])[:, :total]
    segments = rng.integers(0, 2, [3, 24])[:, :total]
    return {
        "input_ids": (ids * mask).astype(np.int32), "input_mask": mask,
        "segment_ids": (segments * mask).astype(np.int32), "window_lengths": LENGTHS,
        "label_ids": np.array([0, 2, 1], np.int32), "is_real_example": np.ones(3, np.int32),
    }  # fmt: skip


def run(head, static=False, is_training=False, values=None, with_gradient=False):
    """Scores and loss of a batch, and the gradient of the word embeddings."""
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(3)
        values = batch(static) if values is None else values
        shape = (lambda value: value.shape) if static else (lambda value: [None] * value.ndim)
        features = {name: tf1.placeholder(value.dtype, shape(value)) for name, value in values.items()}
        encode = functools.partial(
            build_encoder, ModelSettings(CONFIG), head, is_training=is_training, packed=not static
        )
        logits = head.read(encode, features, is_training)
        loss, _ = head.loss(logits, features)
        (table,) = (v for v in tf1.trainable_variables() if v.op.name.endswith("word_embeddings"))
        gradient = tf.convert_to_tensor(tf.gradients(loss, table)[0]) if with_gradient else tf.zeros([])
        session.run(tf1.global_variables_initializer())
        return session.run([logits, loss, gradient], {features[name]: value for name, value in values.items()})


@functools.cache
def scores_of_windows() -> list[np.ndarray]:
    """The head on every window as a row of its own, by document."""
    whole = batch(False)
    rows = {name: [] for name in windows._CUT}
    for index, lengths in enumerate(LENGTHS):
        ends = np.cumsum(lengths[lengths > 0])
        for name, cut in rows.items():
            cut += [np.pad(part, (0, WIDTH - len(part))) for part in np.split(whole[name][index], ends)[: len(ends)]]
    values = {name: np.stack(cut) for name, cut in rows.items()}
    values |= {"label_ids": np.zeros(7, np.int32), "is_real_example": np.ones(7, np.int32)}
    return np.split(run(ClassificationHead(3), values=values)[0], [2, 6])


def expected(pooling: str) -> np.ndarray:
    return np.stack([POOLED[pooling](scores) for scores in scores_of_windows()])


@pytest.mark.parametrize("pooling", WINDOW_POOLINGS)
def test_scores_are_those_of_the_windows_pooled(pooling):
    found, _, _ = run(WindowedHead(ClassificationHead(3), pooling, WIDTH))
    np.testing.assert_allclose(found, expected(pooling), atol=1e-6)


def test_static_shapes_change_no_number():
    head = WindowedHead(ClassificationHead(3), "mean", WIDTH)
    plain, static = (run(head, static=one, is_training=True, with_gradient=True) for one in (False, True))
    for left, right in zip(plain, static, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)
    # Every window has its part in the loss.
    assert set(batch(False)["input_ids"].ravel()) - {0} <= set(np.flatnonzero(np.abs(plain[2]).sum(axis=1)).tolist())


def test_windows_in_turn_are_the_windows_at_once(monkeypatch):
    monkeypatch.setattr(windows, "TOKENS_AT_ONCE", 2 * WIDTH)
    found, _, _ = run(WindowedHead(ClassificationHead(3), "max", WIDTH))
    np.testing.assert_allclose(found, expected("max"), atol=1e-6)


@pytest.mark.slow
def test_a_frozen_graph_reads_windows_in_turn(monkeypatch):
    monkeypatch.setattr(windows, "TOKENS_AT_ONCE", 2 * WIDTH)
    values, head = batch(False), WindowedHead(ClassificationHead(3), "max", WIDTH)
    with tf.Graph().as_default() as graph, tf1.Session() as session:
        tf1.set_random_seed(3)
        features = {name: tf1.placeholder(value.dtype, [None] * value.ndim, name) for name, value in values.items()}
        encode = functools.partial(build_encoder, ModelSettings(CONFIG), head, is_training=False, packed=True)
        tf.identity(head.read(encode, features, False), "scores")
        session.run(tf1.global_variables_initializer())
        feeds = {f"{name}:0": values[name] for name in (*windows._CUT, windows.WINDOW_LENGTHS)}
        expected = session.run("scores:0", feeds)
        frozen = tf1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["scores"])
    with tf.Graph().as_default(), tf1.Session() as session:
        tf.import_graph_def(frozen, name="")
        np.testing.assert_allclose(session.run("scores:0", feeds), expected, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_row_that_only_fills_a_batch_has_scores_of_zero(pooling):
    lengths = LENGTHS * np.array([[1], [0], [1]], np.int32)
    scores = tf.random.normal([3, 4, 3])
    found = WindowedHead(ClassificationHead(3), pooling, WIDTH)._pooled(scores, tf.constant(lengths > 0))
    assert np.isfinite(found.numpy()).all()
    np.testing.assert_array_equal(found[1], 0.0)


@pytest.mark.parametrize(
    ("head", "labels"),
    [
        (ClassificationHead(3, [1.0, 5.0, 0.25]), [0, 2, 1]),
        (MultiLabelHead(3), [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        (RegressionHead(), [0.5, -1.0, 2.0]),
    ],
    ids=["weights", "multi-label", "regression"],
)
def test_loss_and_predictions_are_those_of_the_head_a_row_a_document(head, labels):
    windowed = WindowedHead(head, "mean", WIDTH)
    assert windowed.replaceable == head.replaceable
    scores = tf.random.normal([3, 1 if isinstance(head, RegressionHead) else 3])
    features = {**batch(False), "label_ids": np.array(labels, np.int32 if isinstance(labels[0], int) else np.float32)}
    features = {name: tf.constant(value) for name, value in features.items()}
    assert windowed.loss(scores, features)[0] == head.loss(scores, features)[0]
    weights = windowed.loss_weights(features)
    assert windowed.loss_shares(scores, features, weights)["loss"] == head.loss(scores, features)[0]
    for name, values in windowed.predictions(scores, features).items():
        assert values.shape[0] == 3, name


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling 'sum': expected one of mean, max, first"):
        WindowedHead(ClassificationHead(3), "sum", WIDTH)
