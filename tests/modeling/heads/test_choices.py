"""The choice head: what it computes of packed and padded batches, against one sequence at a time."""

import numpy as np
import tensorflow as tf

from modeling.build import build_encoder
from modeling.config import BertConfig
from modeling.heads.choices import MISSING, ChoiceHead
from modeling.settings import ModelSettings
from tests.support import tiny

SEQUENCES = [[[2, 7, 8, 3, 9, 3], [2, 5, 3, 3]], [[2, 9, 3, 3], None, [2, 10, 11, 12, 3, 13, 3], [2, 3, 3]]]
LABELS = [1, 2]


def features(static=None, width=None):
    """A batch of both questions; `static` choices and `width` tokens a choice, else as long as needed."""
    flat = [[token for one in row if one for token in one] for row in SEQUENCES]
    size = max(map(len, flat)) if static is None else static * width
    places = 4 if static is None else static
    segments = [[int(i > len(one) // 2) for one in row if one for i in range(len(one))] for row in SEQUENCES]
    lengths = [[len(one or []) for one in row] for row in SEQUENCES]
    fill = lambda rows, to: np.array([row + [0] * (to - len(row)) for row in rows], np.int32)  # noqa: E731
    made = {
        "input_ids": fill(flat, size),
        "segment_ids": fill(segments, size),
        "input_mask": fill([[1] * len(row) for row in flat], size),
        "choice_lengths": fill(lengths, places),
        "label_ids": np.array(LABELS, np.int32),
        "is_real_example": np.array([1, 1], np.int32),
    }
    if static is None:  # the graph does not know the sizes
        return {name: tf.compat.v1.placeholder_with_default(value, [None] * value.ndim) for name, value in made.items()}
    return {name: tf.constant(value) for name, value in made.items()}


def encoder(head, packed):
    settings = ModelSettings(BertConfig.from_dict(tiny.CONFIG))

    def encode(batch):
        shapes.append(batch["input_ids"].shape.as_list())
        return build_encoder(settings, head, batch, False, packed)

    shapes: list[list[int | None]] = []
    return encode, shapes


def computed(batch, packed):
    head = ChoiceHead()
    with tf.compat.v1.variable_scope("", reuse=tf.compat.v1.AUTO_REUSE):
        encode, shapes = encoder(head, packed)
        scores = head.read(encode, batch, False)
    return scores, head.predictions(scores, batch), head.loss(scores, batch), shapes


def test_each_choice_scores_as_it_does_alone_packed_and_padded():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(3)
        packed = computed(features(), packed=True)
        padded = computed(features(static=5, width=8), packed=False)
        alone = []
        for row in SEQUENCES:
            for one in row:
                if one:
                    single = {
                        "input_ids": tf.constant([one]),
                        "input_mask": tf.ones([1, len(one)], tf.int32),
                        "segment_ids": tf.constant([[int(i > len(one) // 2) for i in range(len(one))]]),
                    }
                    with tf.compat.v1.variable_scope("", reuse=tf.compat.v1.AUTO_REUSE):
                        encode, _ = encoder(ChoiceHead(), packed=True)
                        alone.append(ChoiceHead().logits(encode(single), single, False)[0, 0])
        session.run(tf.compat.v1.global_variables_initializer())
        (scores, predictions, (loss, losses), _), wide, expected = session.run([(*packed[:3], []), padded[:3], alone])
        assert padded[3] == [[10, 8]]  # B * C rows of S tokens
    there = scores > MISSING
    assert there.tolist() == [[True, True, False, False], [True, False, True, True]]
    np.testing.assert_allclose(scores[there], expected, atol=1e-6)
    np.testing.assert_allclose(wide[0][:, :4], scores, atol=1e-6)
    np.testing.assert_allclose(wide[1]["probabilities"][:, 4], 0)
    exp = np.where(there, np.exp(scores), 0)
    probabilities = exp / exp.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictions["probabilities"], probabilities, atol=1e-6)
    assert (predictions["probabilities"][~there] == 0).all()
    np.testing.assert_allclose(losses, -np.log(probabilities[[0, 1], LABELS]), rtol=1e-5)
    np.testing.assert_allclose([loss, wide[2][0]], losses.mean(), rtol=1e-5)


def test_what_is_missing_is_no_row_of_the_packed_encoder():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        seen = {}

        def encode(batch):
            seen.update(batch)
            return build_encoder(ModelSettings(BertConfig.from_dict(tiny.CONFIG)), ChoiceHead(), batch, False, True)

        ChoiceHead().read(encode, features(), False)
        ids, mask = session.run([seen["input_ids"], seen["input_mask"]])
    flat = [one for row in SEQUENCES for one in row if one]
    assert ids.shape == (5, 7)
    assert [row[: sum(real)].tolist() for row, real in zip(ids, mask, strict=True)] == flat
    assert (ids[mask == 0] == 0).all()
