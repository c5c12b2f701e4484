"""Windows and records equal upstream's."""

import pickle

import numpy as np
import pytest
import tensorflow as tf

from common.errors import FlagError
from processors.records.input_fn import parse_batch
from processors.records.schema import FeatureSpec
from processors.squad.examples import SquadExample, SquadReader
from processors.squad.passages import Passage
from processors.squad.windows import SpanFeaturizer
from tokenization import BulkTokenizer

LENGTH, STRIDE, QUERY = 128, 48, 24


@pytest.fixture(scope="module")
def tokenizer(vocab_dir):
    return BulkTokenizer(vocab_dir / "bert-base-uncased" / "vocab.txt")


@pytest.fixture(scope="module")
def featurizer(tokenizer):
    return SpanFeaturizer(tokenizer, LENGTH, STRIDE, QUERY)


def parsed(records: list[bytes], spec: FeatureSpec) -> dict[str, np.ndarray]:
    batch = parse_batch(tf.constant(records), spec, static_shapes=True)
    return {name: value.numpy() for name, value in batch.items()}


def read_records(path) -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]


def numbered(featurizer, records):
    return [featurizer.numbered(record, index) for index, record in enumerate(records)]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("is_training", [True, False])
def test_records_equal_upstreams(golden, featurizer, version, is_training):
    suffix = "_train" if is_training else ""
    reader = SquadReader(golden / f"squad_v{version}{suffix}.json", is_training, is_training, version == 2)
    examples = list(reader)
    upstream = read_records(golden / f"squad_v{version}_{'train' if is_training else 'predict'}.tf_record")
    expected = parsed(upstream, featurizer.spec)
    found = parsed(numbered(featurizer, featurizer.serialize(examples)), featurizer.spec)
    for name in ("unique_ids", "input_ids", "input_mask", "segment_ids"):
        np.testing.assert_array_equal(found[name], expected[name], name)
    if is_training:
        assert expected["start_positions"].any()
        assert expected["is_impossible"].any() == (version == 2)
    for name in ("start_positions", "end_positions", "is_impossible"):
        np.testing.assert_array_equal(found[name], expected[name], name)


def test_records_are_not_padded(golden, featurizer):
    examples = list(SquadReader(golden / "squad_v1.json"))[:1]
    lengths = [len(window["input_ids"]) for window in next(featurizer.featurize(examples))]
    upstream = read_records(golden / "squad_v1_predict.tf_record")[: len(lengths)]
    masks = parsed(upstream, featurizer.spec)["input_mask"]
    assert lengths == masks.sum(axis=1).tolist()
    assert min(lengths) < LENGTH


def test_every_piece_has_its_most_context_in_exactly_one_window(tokenizer):
    featurizer = SpanFeaturizer(tokenizer, 40, 10, 8)
    example = SquadExample("q", "who?", Passage(" ".join(f"word{i}" for i in range(100))))
    windows = [features["_window"] for features in next(featurizer.featurize([example]))]
    assert len(windows) > 5
    owners = np.zeros(len(windows[0].document.ids), int)
    for window in windows:
        owners[window.start : window.start + window.length] += window.is_max_context
    assert (owners == 1).all()


def test_empty_context_has_no_window_and_a_long_question_is_cut(tokenizer):
    featurizer = SpanFeaturizer(tokenizer, 40, 10, 8)
    long_question = SquadExample("b", "why " * 30, Passage("because"))
    empty, cut = featurizer.featurize([SquadExample("a", "why?", Passage(" \n")), long_question])
    assert empty == []
    assert cut[0]["input_ids"].count(tokenizer.vocab["why"]) == 8


def test_host_only_values_survive_pickling_of_the_featurizer_and_are_not_written(tokenizer, featurizer):
    example = SquadExample("q", "who?", Passage("the cat"))
    copy = pickle.loads(pickle.dumps(featurizer))
    assert copy.serialize([example]) == featurizer.serialize([example])
    assert b"_window" not in featurizer.serialize([example])[0]


def test_the_answer_in_text_without_blanks_is_the_one_at_its_place(vocab_dir):
    chinese = BulkTokenizer(vocab_dir / "bert-base-chinese" / "vocab.txt")
    featurizer = SpanFeaturizer(chinese, 64, 16, 16)
    text = "北京是首都。小明住在北京。"
    passage = Passage(text)
    start = text.rindex("北京")
    example = SquadExample(
        "q", "小明住在哪里?", passage, (), "北京", passage.word_at(start), passage.word_at(start + 1)
    )
    features = next(featurizer.featurize([example]))[0]
    window = features["_window"]
    first = features["start_positions"] - window.offset + window.start
    assert passage.starts[window.document.piece_words[first]] == start
    assert features["end_positions"] == features["start_positions"] + 1


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((67, 16, 64), "--max_seq_length=67 is too small for --max_query_length=64 and 3 special tokens"),
        ((128, 0, 64), "--doc_stride=0: windows would never advance; expected at least 1"),
        ((128, 62, 64), "--doc_stride=62 is larger than the 61 pieces of context"),
        ((128, 16, 0), "--max_query_length=0: expected at least 1"),
    ],
)  # fmt: skip
def test_lengths_that_cannot_work(tokenizer, lengths, message):
    with pytest.raises(FlagError) as error:
        SpanFeaturizer(tokenizer, *lengths)
    assert message in str(error.value)
