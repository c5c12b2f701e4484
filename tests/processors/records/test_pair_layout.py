"""How special tokens join texts: in Python, in the graph, and for other models than BERT."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.graph.pairs import pack_pairs
from processors.records.pair_layout import PairLayout
from tokenization import SpecialTokens

v1 = tf.compat.v1
BERT = PairLayout(2, 3)
DOUBLE = PairLayout(0, 2, pad=1, separators=2, second_segment=0)
texts = st.lists(st.integers(10, 20), max_size=6)


def test_bert():
    assert BERT.join([7, 8]) == ([2, 7, 8, 3], [0, 0, 0, 0])
    assert BERT.join([7], [8, 9]) == ([2, 7, 3, 8, 9, 3], [0, 0, 0, 1, 1, 1])
    assert BERT.join([], []) == ([2, 3, 3], [0, 0, 1])
    assert (BERT.specials_alone, BERT.specials_of_pair, BERT.second_start(4)) == (2, 3, 6)


def test_two_separators_and_one_segment():
    assert DOUBLE.features([7], [8]) == {
        "input_ids": [0, 7, 2, 2, 8, 2],
        "input_mask": [1] * 6,
        "segment_ids": [0] * 6,
    }
    assert (DOUBLE.specials_of_pair, DOUBLE.second_start(1)) == (4, 4)


def test_two_separators_and_two_segments():
    layout = PairLayout(0, 2, separators=2)
    assert layout.join([7], [8]) == ([0, 7, 2, 2, 8, 2], [0, 0, 0, 1, 1, 1])


def test_tokens_as_text():
    assert PairLayout("[CLS]", "[SEP]").join(["a"], ["b"])[0] == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]


def test_special_tokens_state_ids_by_name_and_padding_by_number():
    special = SpecialTokens(unk="<unk>", cls="<s>", sep="</s>", mask="<mask>", pad="<pad>", pad_id=1)
    ids = special.ids({"<s>": 0, "<pad>": 9, "</s>": 2, "<unk>": 3})
    assert (ids.cls, ids.sep, ids.unk, ids.mask, ids.pad) == (0, 2, 3, None, 1)


@pytest.fixture(scope="module", params=[BERT, DOUBLE, PairLayout(0, 2, separators=2)])
def graph(request):
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = (v1.ragged.placeholder(tf.int32, 1, ()) for _ in range(2))
        has_b = v1.placeholder(tf.bool, [None])
        rows = pack_pairs(request.param, a, b, has_b, 100)

        def run(first, second):
            ragged = [
                v1.ragged.constant_value([x or [] for x in some], dtype="int32", ragged_rank=1)
                for some in (first, second)
            ]
            return session.run(rows, {a: ragged[0], b: ragged[1], has_b: [x is not None for x in second]})

        yield request.param, run


@given(st.lists(st.tuples(texts, st.none() | texts), min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_the_graph_joins_as_python_does(graph, pairs):
    layout, run = graph
    found = run([a for a, _ in pairs], [b for _, b in pairs])
    expected = [layout.features(a, b) for a, b in pairs]
    longest = max(len(row["input_ids"]) for row in expected)
    padding = {"input_ids": layout.pad, "input_mask": 0, "segment_ids": 0}
    for name, pad in padding.items():
        assert found[name].tolist() == [row[name] + [pad] * (longest - len(row[name])) for row in expected]
