"""Records that do not fit a run: found before training, in one line."""

import pytest
import tensorflow as tf

from common.errors import BertError
from processors.pretraining.checks import RecordKind, kind_of_records
from processors.pretraining.instance_records import InstanceSerializer
from processors.pretraining.instances import TrainingInstance

INSTANCE = TrainingInstance([2, 5, 4, 3, 7, 3], [0, 0, 0, 0, 1, 1], [2], [6], True)


def write(path, *instances, **settings):
    serialize = InstanceSerializer(8, 3, **settings).serializer()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for instance in instances:
            writer.write(serialize(instance))
    return path


def message(*paths, length=8, guesses=3, vocab_size=10):
    with pytest.raises(BertError) as caught:
        kind_of_records(paths, length, guesses, vocab_size)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("pad", [True, False])
@pytest.mark.parametrize("labels", [True, False])
def test_records_that_fit(tmp_path, pad, labels):
    path = write(tmp_path / "a", INSTANCE, INSTANCE, pad=pad, next_sentence=labels)
    assert kind_of_records([path], 8, 3, 8) == RecordKind(labels)
    if not pad:
        assert kind_of_records([path], 100, 20, 8) == RecordKind(labels)


def test_upstreams_records_fit(golden):
    assert kind_of_records([golden / "pretrain.tf_record"], 64, 10, 30522) == RecordKind(
        next_sentence=True, packed=False
    )


def test_lengths_differ_from_the_flags(tmp_path):
    padded = write(tmp_path / "a", INSTANCE)
    assert message(padded, length=16) == (
        f"{padded}: record 1 is made for max_seq_length 8, but --max_seq_length=16; "
        "give --max_seq_length=8, or make the records again"
    )
    assert "made for max_predictions_per_seq 3, but --max_predictions_per_seq=2" in message(padded, guesses=2)
    assert "made for max_predictions_per_seq 3, but --max_predictions_per_seq=20" in message(padded, guesses=20)
    lean = write(tmp_path / "b", INSTANCE, pad=False)
    assert "record 1 is made for max_seq_length 6 or more, but --max_seq_length=5" in message(lean, length=5)


def test_ids_outside_the_vocabulary(tmp_path):
    path = write(tmp_path / "a", INSTANCE, INSTANCE._replace(masked_lm_labels=[60]))
    assert message(path).startswith(
        f"{path}: record 2 has piece id 60, but the model's vocab_size is 10; give the model"
    )


def test_positions_outside_the_sequence(tmp_path):
    path = write(tmp_path / "a", INSTANCE._replace(masked_lm_positions=[9]))
    assert "masks position 9 of 8; the records are damaged" in message(path)


def test_files_that_are_no_pretraining_records(tmp_path, golden):
    text = tmp_path / "text"
    text.write_text("The lobster is blue, and so is the sea around it.\n")
    assert message(text).startswith(f"{text}: is no TFRecord file of tf.Example rows, or damaged (")
    empty = write(tmp_path / "empty")
    assert message(empty).startswith(f"{empty}: holds no records")
    other = golden / "mrpc_dev64.tf_record"
    assert "record 1 has no masked_lm_positions, masked_lm_ids, masked_lm_weights (it has " in message(other)


def test_pairs_and_packs_do_not_mix(tmp_path):
    pairs, packs = write(tmp_path / "a", INSTANCE), write(tmp_path / "b", INSTANCE, next_sentence=False)
    assert message(packs, pairs).startswith(f"{pairs} has next_sentence_labels and {packs} has none")


def feature(values):
    kinds = {int: ("int64_list", tf.train.Int64List), float: ("float_list", tf.train.FloatList)}
    name, kind = kinds.get(type(values[0]) if values else int, ("bytes_list", tf.train.BytesList))
    return tf.train.Feature(**{name: kind(value=values)})


RIGHT = {
    "input_ids": [2, 5, 3], "input_mask": [1, 1, 1], "segment_ids": [0, 0, 1], "masked_lm_positions": [1],
    "masked_lm_ids": [6], "masked_lm_weights": [1.0], "next_sentence_labels": [0],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"input_ids": [2.0, 5.0, 3.0]}, ": input_ids holds 2.0, expected integers; make the records again"),
        ({"masked_lm_weights": [1]}, ": masked_lm_weights holds 1, expected floats; make the records again"),
        ({"masked_lm_ids": [b"x"]}, ": masked_lm_ids holds b'x', expected integers"),
        ({"segment_ids": [0]}, " has 3 input_ids, 3 input_mask, 1 segment_ids; expected as many of each"),
        ({"masked_lm_ids": []}, " has 1 masked_lm_positions, 0 masked_lm_ids, 1 masked_lm_weights; expected as many"),
        ({"next_sentence_labels": [0, 1]}, " has next_sentence_labels [0, 1], expected one that is 0 or 1"),
        ({"next_sentence_labels": [5]}, " has next_sentence_labels [5], expected one that is 0 or 1"),
        ({"segment_ids": [0, 0, 9]}, " has segment id 9, but the model's type_vocab_size is 2"),
        ({"masked_lm_positions": [-1]}, " masks position -1 of 3; the records are damaged"),
    ],
)
def test_fields_of_wrong_types_sizes_and_values(tmp_path, change, told):
    path = tmp_path / "a"
    features = {name: feature(values) for name, values in {**RIGHT, **change}.items()}
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    assert message(path).startswith(f"{path}: record 1{told}")


def test_fields_that_are_right(tmp_path):
    path = tmp_path / "a"
    with tf.io.TFRecordWriter(str(path)) as writer:
        features = {name: feature(values) for name, values in RIGHT.items()}
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    assert kind_of_records([path], 8, 3, 10) == RecordKind(next_sentence=True)
