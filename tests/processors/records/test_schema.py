"""The record schema: what it writes is a `tf.Example`, and it parses what it and upstream write."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.records.featurizer import truncated_lengths
from processors.records.input_fn import parse_batch
from processors.records.schema import FeatureSpec, Field

SPEC = FeatureSpec(
    (
        Field("input_ids", shape=(None,), static=8),
        Field("input_mask", shape=(None,), static=8),
        Field("label_ids"),
        Field("scores", "float32", (3,), 0.0),
        Field("name", "bytes", (), b""),
    )
)


@given(
    ids=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6),
    scores=st.lists(st.floats(width=32, allow_nan=False), min_size=3, max_size=3),
    name=st.binary(max_size=300),
)
@settings(max_examples=100, deadline=None)
def test_bytes_are_those_of_a_tf_example(ids, scores, name):
    serialized = SPEC.serialize({"input_ids": ids, "label_ids": 300, "scores": scores, "name": name})
    example = tf.train.Example.FromString(serialized).features.feature
    assert list(example["input_ids"].int64_list.value) == ids
    assert list(example["label_ids"].int64_list.value) == [300]
    assert list(example["scores"].float_list.value) == scores
    assert list(example["name"].bytes_list.value) == [name]
    assert "input_mask" not in example


@pytest.mark.parametrize(
    "ids",
    [
        [0, 127],
        [127, 128],
        [1, -1],
        [-1, 0, 1],
        [-(1 << 17) - 1],
        [(1 << 15) - 1, 1 << 15],
        [1 << 17, 5],
        [True, False],
    ],
)
def test_integers_around_the_ways_of_writing_them_come_back(ids):
    example = tf.train.Example.FromString(SPEC.serialize({"input_ids": ids})).features.feature
    assert list(example["input_ids"].int64_list.value) == ids


def test_absent_values_are_read_as_defaults_and_rows_are_padded_to_the_longest():
    rows = [
        SPEC.serialize({"input_ids": [1, 2, 3], "input_mask": [1, 1, 1], "label_ids": 1}),
        SPEC.serialize({"input_ids": [4], "input_mask": [1], "scores": np.array([1, 2, 3], np.float32)}),
    ]
    batch = {name: value.numpy() for name, value in parse_batch(tf.constant(rows), SPEC).items()}
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch["input_ids"].dtype == np.int32
    assert batch["label_ids"].tolist() == [1, 0]
    assert batch["scores"].tolist() == [[0, 0, 0], [1, 2, 3]]


def test_static_shapes_are_known_before_the_graph_runs():
    rows = tf.constant([SPEC.serialize({"input_ids": [1, 2], "input_mask": [1, 1]})])
    batch = parse_batch(rows, SPEC, static_shapes=True)
    assert batch["input_ids"].numpy().tolist() == [[1, 2, 0, 0, 0, 0, 0, 0]]
    graph_batch = tf.data.Dataset.from_tensors(rows).map(lambda r: parse_batch(r, SPEC, True)).element_spec
    assert graph_batch["input_ids"].shape == (1, 8)


def test_token_fields_have_the_static_length_of_the_mask():
    fields = (*SPEC.fields, Field("guesses", shape=(None,), static=5), Field("tags", shape=(None,), static=8))
    assert FeatureSpec(fields).token_fields() == ("input_ids", "input_mask", "tags")
    assert FeatureSpec((Field("input_ids", shape=(None,), static=8), Field("label_ids"))).token_fields() == ()


def test_padding_row_is_all_defaults():
    example = tf.train.Example.FromString(SPEC.padding()).features.feature
    assert list(example["label_ids"].int64_list.value) == [0]
    assert list(example["scores"].float_list.value) == [0, 0, 0]


def test_unknown_key_and_wrong_length_are_programming_errors():
    with pytest.raises(ValueError) as unknown:
        SPEC.serialize({"input_id": [1]})
    assert "not in the feature spec: ['input_id']" in str(unknown.value)
    with pytest.raises(ValueError) as short:
        SPEC.serialize({"scores": [1.0]})
    assert "field scores holds 1 values, expected 3" in str(short.value)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"label_ids": 1.5}, r"field label_ids holds \(1.5,\), expected int64"),
        ({"label_ids": "1"}, r"field label_ids holds \['1'\], expected int64"),
        ({"input_ids": [200, 1.0]}, r"field input_ids holds \[200, 1.0\], expected int64"),
        ({"scores": ["1", "2", "3"]}, r"field scores holds \['1', '2', '3'\], expected float32"),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_cut(features, message):
    with pytest.raises(ValueError, match=message):
        SPEC.serialize(features)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_truncation_equals_dropping_one_piece_at_a_time_from_the_longer_text(length_a, length_b, budget):
    a, b = length_a, length_b
    while a + b > budget:
        if a > b:
            a -= 1
        else:
            b -= 1
    assert truncated_lengths(length_a, length_b, budget) == (a, b)
