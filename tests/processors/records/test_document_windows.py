"""Documents in windows: every token is in one, records and graph have the same, and what cannot be is refused."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import DataError, ExportError, FlagError
from export.savedmodel import check_parity
from processors.base import DataProcessor, InputExample, PaddingInputExample
from processors.example_source import ExampleSource
from processors.graph.document_windows import pack_documents
from processors.records.document_windows import DocumentWindows
from processors.records.featurizer import PairFeaturizer
from processors.records.input_fn import parse_batch
from processors.records.pair_layout import PairLayout
from tasks.classification.task import ClassificationTask
from tests.support import tiny
from tokenization import BulkTokenizer

v1 = tf.compat.v1
WORDS = [*tiny.GOOD, *tiny.BAD, *tiny.FILLERS]
INPUTS = ("input_ids", "input_mask", "segment_ids")
words = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)
bounds = st.none() | st.integers(1, 4)


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return BulkTokenizer(tiny_model / "vocab.txt")


class Reviews(DataProcessor):
    def get_labels(self):
        return ["neg", "pos"]


def featurizer(tokenizer, length, windows):
    return PairFeaturizer(tokenizer, length, ["neg", "pos"], "single_label", windows)


def windows_of(record):
    """The windows of a record: lists of ids and segments."""
    cut, start = [], 0
    for length in record["window_lengths"]:
        cut.append(tuple(record[name][start : start + length] for name in ("input_ids", "segment_ids")))
        start += length
    assert start == len(record["input_ids"]) == len(record["segment_ids"]) == len(record["input_mask"])
    assert set(record["input_mask"]) == {1}
    return cut


# Plans


@given(
    a=st.integers(0, 300), b=st.integers(0, 300), budget=st.integers(2, 60), stride=st.none() | st.integers(1, 60),
    most=bounds,
)  # fmt: skip
def test_windows_cover_the_longer_text_and_overlap_or_touch(a, b, budget, stride, most):
    plan = DocumentWindows(stride, most).plan(a, b, budget)
    length, other = max(a, b), min(a, b)
    assert plan.is_second == (b > a)
    assert plan.kept == min(other, budget // 2)
    assert plan.room + plan.kept == budget
    assert 1 <= plan.stride <= plan.room
    starts = [index * plan.stride for index in range(plan.num_windows)]
    read = {token for start in starts for token in range(start, min(start + plan.room, length))}
    assert read == set(range(len(read)))
    assert plan.lost == length - len(read) + other - plan.kept
    assert plan.num_windows == (plan.needed if most is None else min(plan.needed, most))
    if plan.num_windows == plan.needed:
        assert len(read) == length
        shown_before_the_last = starts[-1] + plan.room - plan.stride
        assert plan.num_windows == 1 or shown_before_the_last < length


def test_by_default_a_window_shares_half_with_the_next():
    assert DocumentWindows().plan(100, 0, 10).stride == 5
    assert DocumentWindows().plan(100, 4, 10).stride == 3


def test_a_pair_that_fits_is_one_window_of_both_texts(tokenizer):
    plain = featurizer(tokenizer, 24, "head")
    windowed = featurizer(tokenizer, 24, DocumentWindows())
    example = InputExample("0", "good film it was", "very nasty food here", "pos")
    ((one,),) = plain.featurize([example])
    ((other,),) = windowed.featurize([example])
    assert other == {**one, "window_lengths": [len(one["input_ids"])]}


# Records


def test_the_longer_text_of_a_pair_is_cut_and_the_other_is_in_every_window(tokenizer):
    names = {index: token for token, index in tokenizer.vocab.items()}
    long, short = "good fine great lovely superb bad poor", "the film"
    cut = {}
    for a, b in ((long, short), (short, long)):
        ((record,),) = featurizer(tokenizer, 9, DocumentWindows(3)).featurize([InputExample("0", a, b, "pos")])
        cut[a] = [" ".join(names[index] for index in ids) for ids, _ in windows_of(record)]
        for ids, segments in windows_of(record):
            first = ids.index(3) + 1
            assert segments == [0] * first + [1] * (len(ids) - first)
    assert cut[long] == [
        "[CLS] good fine great lovely [SEP] the film [SEP]",
        "[CLS] lovely superb bad poor [SEP] the film [SEP]",
    ]
    assert cut[short] == [
        "[CLS] the film [SEP] good fine great lovely [SEP]",
        "[CLS] the film [SEP] lovely superb bad poor [SEP]",
    ]


def test_a_bound_reads_the_first_windows_or_refuses_the_row(tokenizer):
    example = InputExample("train-7", " ".join(WORDS * 2), None, "pos")
    ((record,),) = featurizer(tokenizer, 12, DocumentWindows(5, 3)).featurize([example])
    assert len(record["window_lengths"]) == 3
    with pytest.raises(DataError) as refused:
        featurizer(tokenizer, 12, DocumentWindows(5, 3, refuses=True)).serialize([example])
    assert str(refused.value) == (
        "example train-7: has 7 windows of --max_seq_length=12, expected at most --max_windows=3 (shapes are static); "
        "raise it, shorten the text or leave the row out"
    )
    enough = featurizer(tokenizer, 12, DocumentWindows(5, 7, refuses=True))
    assert len(next(enough.featurize([example]))[0]["window_lengths"]) == 7


def test_records_of_unlike_bounds_are_not_mistaken_for_each_other(tokenizer):
    made = [DocumentWindows(), DocumentWindows(5), DocumentWindows(5, 3), DocumentWindows(5, 3, refuses=True)]
    settings = [str(featurizer(tokenizer, 12, windows).settings()) for windows in made]
    assert len({*settings, str(featurizer(tokenizer, 12, "head").settings())}) == 5
    assert str(featurizer(tokenizer, 12, DocumentWindows(5, pooling="max")).settings()) == settings[1]


def test_batches_have_static_shapes_where_there_is_a_bound(tokenizer):
    made = featurizer(tokenizer, 12, DocumentWindows(5, 4))
    examples = [InputExample("0", "good film", None, "pos"), PaddingInputExample()]
    records = tf.constant([*made.serialize(examples), made.spec.padding()])
    batch = parse_batch(records, made.spec, static_shapes=True)
    assert {name: batch[name].shape.as_list() for name in INPUTS} == {name: [3, 48] for name in INPUTS}
    assert batch["window_lengths"].numpy().tolist() == [[4, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert batch["is_real_example"].numpy().tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("length", "stride", "message"),
    [
        (12, 0, "--doc_stride=0: windows would never advance; expected 1 to 10"),
        (12, 11, "--doc_stride=11 is larger than the 10 tokens of text in a window of --max_seq_length=12"),
        (4, None, "--max_seq_length=4 leaves no room for two texts in a window; expected at least 5"),
    ],
)
def test_lengths_that_do_not_suit_are_refused(tokenizer, length, stride, message):
    with pytest.raises(FlagError, match=message.replace("(", "[(]")):
        featurizer(tokenizer, length, DocumentWindows(stride))


# The same in the graph


@pytest.fixture(scope="module", params=[(None, None), (3, None), (7, 2)], ids=str)
def packed(request):
    """The windows, and a function of pieces, second pieces and a length that runs the graph."""
    windows = DocumentWindows(*request.param)
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = (v1.ragged.placeholder(tf.int32, 1, ()) for _ in range(2))
        has_b, length = v1.placeholder(tf.bool, [None]), v1.placeholder(tf.int32, [])
        rows = pack_documents(PairLayout(2, 3), a, b, has_b, length, windows)

        def run(first, second, most):
            ragged = [
                v1.ragged.constant_value([x or [] for x in some], dtype="int32", ragged_rank=1)
                for some in (first, second)
            ]
            return session.run(rows, {a: ragged[0], b: ragged[1], has_b: [bool(x) for x in second], length: most})

        yield windows, run


@given(pairs=st.lists(st.tuples(words, st.none() | words), min_size=1, max_size=4), length=st.integers(9, 30))
@settings(max_examples=60, deadline=None)
def test_graph_and_featurizer_make_the_same_windows(packed, tokenizer, pairs, length):
    windows, run = packed
    encoded = [
        [None if text is None else tokenizer.encode([text])[0] for text in texts] for texts in zip(*pairs, strict=True)
    ]
    found = run(*encoded, length)
    examples = [InputExample(str(i), a, b) for i, (a, b) in enumerate(pairs)]
    for row, (record,) in enumerate(featurizer(tokenizer, length, windows).featurize(examples)):
        assert max(record["window_lengths"]) <= length
        for name in (*INPUTS, "window_lengths"):
            size = len(record[name])
            assert found[name][row, :size].tolist() == record[name], name
            assert not found[name][row, size:].any()


def test_export_with_another_stride_than_the_records_is_found_out(tokenizer):
    def task(windows):
        return ClassificationTask("reviews", ExampleSource(Reviews(), ""), tokenizer, 64, truncation=windows)

    differs = pytest.raises(ExportError, match="in-graph tokenizer differs from the featurizer")
    with tf.Graph().as_default(), v1.Session() as session, differs:
        check_parity(session, task(DocumentWindows()), task(DocumentWindows(30)).text_signature())
