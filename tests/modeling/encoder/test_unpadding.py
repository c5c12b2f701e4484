"""Without compute on padding, and with the last layer cut to what is read: the same numbers."""

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, BertModel, PackedLayout, PaddedLayout
from tests.support.graphs import assign

tf1 = tf.compat.v1
CONFIG = BertConfig(
    vocab_size=23, hidden_size=12, num_hidden_layers=3, num_attention_heads=3, intermediate_size=20,
    max_position_embeddings=16, type_vocab_size=2, initializer_range=0.3,
)  # fmt: skip
RNG = np.random.default_rng(5)
LENGTHS = np.array([9, 4, 1, 7])
MASK = (np.arange(9) < LENGTHS[:, np.newaxis]).astype(np.int32)
IDS = (RNG.integers(1, 23, MASK.shape) * MASK).astype(np.int32)
SEGMENTS = (RNG.integers(0, 2, MASK.shape) * MASK).astype(np.int32)
TARGET = RNG.normal(size=[4, 12]).astype(np.float32)


def evaluate(fetch, is_training=False, ids=IDS, mask=MASK, **options):
    """Values of `fetch(model)` from the same initial weights, whatever the options."""
    with tf.Graph().as_default(), tf1.Session() as sess:
        tf1.set_random_seed(7)
        model = BertModel(
            CONFIG, is_training, tf.constant(ids), tf.constant(mask), tf.constant(SEGMENTS[: len(ids)]), **options
        )
        fetched = fetch(model)
        values = np.random.default_rng(2)
        variables = tf1.trainable_variables()
        assign(sess, {one: values.normal(0, 0.3, one.shape).astype(np.float32) for one in variables})
        return sess.run(fetched)


def gradients(model):
    loss = tf.reduce_mean(tf.square(model.get_pooled_output() - TARGET))
    found = tf.gradients(loss, tf1.trainable_variables())
    dense = [tf.convert_to_tensor(gradient) for gradient in found if not isinstance(gradient, tf.IndexedSlices)]
    sparse = [
        tf.math.unsorted_segment_sum(gradient.values, gradient.indices, CONFIG.vocab_size)
        for gradient in found
        if isinstance(gradient, tf.IndexedSlices)
    ]
    assert len(sparse) == 1
    return [*sparse, *dense, tf.linalg.global_norm(found)]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"packed": True}, marks=pytest.mark.slow),
        pytest.param({"pooled_only": True}, marks=pytest.mark.slow),
        {"packed": True, "pooled_only": True},
    ],
)
def test_pooled_output_and_gradients_are_the_same(options):
    plain = evaluate(lambda model: [model.get_pooled_output(), *gradients(model)])
    other = evaluate(lambda model: [model.get_pooled_output(), *gradients(model)], **options)
    for left, right in zip(plain, other, strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-5, atol=1e-5)
    # A key's bias moves all scores of a query alike, so its gradient is nothing but rounding; every other one counts.
    assert sum(np.abs(value).max() < 1e-6 for value in other) <= CONFIG.num_hidden_layers


def test_packed_sequence_output_is_the_same_on_tokens_and_zero_on_padding():
    def outputs(model):
        return [model.get_embedding_output(), *model.get_all_encoder_layers()]

    for plain, packed in zip(evaluate(outputs), evaluate(outputs, packed=True), strict=True):
        real = MASK.astype(bool)
        np.testing.assert_allclose(packed[real], plain[real], rtol=1e-5, atol=1e-5)
        assert (packed[~real] == 0).all()
        assert np.abs(plain[~real]).max() > 0.1


@pytest.mark.slow
def test_sequence_gradients_are_the_same():
    """A loss on every real token, as tagging and span tasks have."""

    def sequence_gradients(model):
        weights = tf.cast(MASK, tf.float32)[..., tf.newaxis]
        loss = tf.reduce_sum(tf.square(model.get_sequence_output() - 0.5) * weights)
        return [tf.convert_to_tensor(g) for g in tf.gradients(loss, tf1.trainable_variables()[1:]) if g is not None]

    for left, right in zip(evaluate(sequence_gradients), evaluate(sequence_gradients, packed=True), strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-4, atol=1e-4)


def test_rows_are_the_real_tokens_only():
    with tf.Graph().as_default(), tf1.Session() as sess:
        layout = PackedLayout(tf.constant(MASK))
        tensor = np.arange(MASK.size * 2, dtype=np.float32).reshape(*MASK.shape, 2) + 1
        rows = layout.pack(tf.constant(tensor))
        packed, back, first = sess.run([rows, layout.unpack(rows), layout.first(rows)])
    np.testing.assert_array_equal(packed, tensor[MASK.astype(bool)])
    np.testing.assert_array_equal(back, tensor * MASK[..., np.newaxis])
    np.testing.assert_array_equal(first, tensor[:, 0])


def test_heads_of_real_tokens_are_those_of_padded_rows():
    tensor = np.random.default_rng(3).normal(size=(*MASK.shape, 6)).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session() as session:
        layout, padded = PackedLayout(tf.constant(MASK), num_heads=2), PaddedLayout(*MASK.shape)
        heads = layout.split_heads(layout.pack(tf.constant(tensor)), 2)
        expected = padded.split_heads(padded.pack(tf.constant(tensor)), 2)
        found, wanted, rows = session.run([heads, expected, layout.merge_heads(heads)])
        with pytest.raises(ValueError, match="made for 2 heads, not 3"):
            layout.split_heads(layout.pack(tf.constant(tensor)), 3)
    real = MASK.astype(bool)
    np.testing.assert_array_equal(found.transpose(0, 2, 1, 3)[real], wanted.transpose(0, 2, 1, 3)[real])
    np.testing.assert_array_equal(rows, tensor[real])


@pytest.mark.parametrize("options", [{}, pytest.param({"pooled_only": True}, marks=pytest.mark.slow)])
def test_an_example_of_padding_alone_leaves_the_others_as_they_are(options):
    def pooled(model):
        return model.get_pooled_output()

    mask, ids = MASK.copy(), IDS.copy()
    mask[1], ids[1] = 0, 0
    plain, packed = evaluate(pooled, ids=ids, mask=mask), evaluate(pooled, ids=ids, mask=mask, packed=True, **options)
    np.testing.assert_allclose(packed[[0, 2, 3]], plain[[0, 2, 3]], rtol=1e-5, atol=1e-5)
    assert np.isfinite(packed).all()
    assert np.isfinite(evaluate(pooled, ids=ids * 0, mask=mask * 0, packed=True, **options)).all()


def test_no_gradient_of_the_encoder_is_a_scatter():
    """Each direction of the layout is a gather; only the word table's own gradient is sparse."""
    with tf.Graph().as_default() as graph:
        model = BertModel(CONFIG, True, tf.constant(IDS), tf.constant(MASK), packed=True)
        tf.gradients(tf.reduce_sum(model.get_pooled_output()), tf1.trainable_variables())
        kinds = [operation.type for operation in graph.get_operations()]
    assert "ScatterNd" not in kinds
    assert "UnsortedSegmentSum" not in kinds


@pytest.mark.slow
def test_training_drops_values_in_packed_rows():
    first = evaluate(lambda model: model.get_sequence_output(), is_training=True, packed=True)
    second = evaluate(lambda model: model.get_sequence_output(), is_training=False, packed=True)
    assert abs(first - second).max() > 0.01


def test_pooled_only_refuses_the_sequence_output():
    with tf.Graph().as_default():
        model = BertModel(CONFIG, False, tf.constant(IDS), tf.constant(MASK), pooled_only=True)
        for read in (model.get_sequence_output, model.get_all_encoder_layers):
            with pytest.raises(ValueError) as excinfo:
                read()
            assert "built with pooled_only=True" in str(excinfo.value)


def test_packed_needs_a_mask_to_leave_anything_out():
    with tf.Graph().as_default():
        model = BertModel(CONFIG, False, tf.constant(IDS), packed=True)
        assert model.get_sequence_output().shape == [4, 9, 12]
