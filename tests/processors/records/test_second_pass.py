"""A second pass over examples gives what stands in the records, or ends."""

import pytest
import tensorflow as tf

from common.errors import DataError
from processors.base import InputExample
from processors.records import record_sets
from processors.records.featurizer import PairFeaturizer
from processors.records.second_pass import held_against, raw_records
from tests.support import tiny
from tokenization import BulkTokenizer


@pytest.fixture(scope="module")
def featurizer(tiny_model):
    return PairFeaturizer(BulkTokenizer(str(tiny_model / "vocab.txt")), 24, ["neg", "pos"], "single_label")


@pytest.fixture
def made(featurizer, tmp_path):
    """Examples, and the record set that was made of them."""
    examples = [InputExample(f"train-{n}", text, None, label) for n, (text, label) in enumerate(tiny.rows(30, 4))]
    return examples, record_sets.build(tmp_path / "train.tf_record", lambda: examples, featurizer, "digest")


def test_records_are_read_as_tensorflow_reads_them(made):
    _, record_set = made
    with tf.Graph().as_default():  # as within a training, where no dataset could be read so
        found = list(raw_records(record_set.path))
    assert found == list(tf.data.TFRecordDataset(str(record_set.path)).as_numpy_iterator())
    assert len(found) == 30


def test_the_same_examples_come_with_their_windows(made, featurizer):
    examples, record_set = made
    found = list(held_against(record_set, featurizer, iter(examples), "train"))
    assert [example for example, _ in found] == examples
    assert [windows for _, windows in found] == list(featurizer.featurize(examples))


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[::-1],
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [*rows[:3], InputExample("x", rows[3].text_a, None, "pos" if rows[3].label == "neg" else "neg"),
                      *rows[4:]],
    ],
    ids=["shuffled", "fewer", "more", "another label"],
)  # fmt: skip
def test_others_are_refused(made, featurizer, change):
    examples, record_set = made
    with pytest.raises(DataError) as refused:
        list(held_against(record_set, featurizer, iter(change(examples)), "train"))
    assert str(refused.value) == (
        f"{record_set.path}: the train split gives other rows, or in another order, than when its 30 examples were "
        "converted; do not change the data while it is read, and shuffle with a fixed seed or not at all; then run the "
        "same command again"
    )
