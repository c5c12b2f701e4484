"""--pack_sequences: whole instances share rows, none is lost or changed, and whoever makes the rows makes the same."""

import json
import random
import re

import pytest
import tensorflow as tf

import create_pretraining_data
from common.errors import BertError
from processors.pretraining import packing
from processors.pretraining.checks import RecordKind, kind_of_records
from processors.pretraining.instance_records import InstanceSerializer, record_files
from processors.pretraining.instances import TrainingInstance
from processors.pretraining.packing import RowSerializer, packed_rows
from tests.processors.pretraining.test_pretraining_beam import CORPUS, IN_PROCESS

LENGTH, GUESSES = 64, 9
PER_INSTANCE = ("input_ids", "segment_ids", "masked_lm_positions", "masked_lm_ids")


@pytest.fixture
def create(corpus_vocab_file, tmp_path, run_script):
    """Runs the script; gives its folder and its error output."""

    def run(name, *given):
        code, _, err = run_script(
            create_pretraining_data.main, f"--input_file={CORPUS}", f"--output_file={tmp_path / name}/t.tf_record",
            f"--vocab_file={corpus_vocab_file}", f"--max_seq_length={LENGTH}", f"--max_predictions_per_seq={GUESSES}",
            "--dupe_factor=3", "--short_seq_prob=0.5", *given,
        )  # fmt: skip
        assert code == 0, err
        return tmp_path / name, err

    return run


def rows(folder):
    """Records as plain dictionaries of lists."""
    kinds = {"int64_list": lambda v: list(v.int64_list.value), "float_list": lambda v: list(v.float_list.value)}
    names = [str(path) for path in record_files(f"{folder}/t.tf_record*")]
    examples = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(names)]
    return [{name: kinds[v.WhichOneof("kind")](v) for name, v in e.features.feature.items()} for e in examples]


def without_padding(row):
    """An instance of an unpacked record, as a text that can be compared and sorted."""
    length, guesses = sum(row["input_mask"]), int(sum(row["masked_lm_weights"]))
    values = {name: row[name][: guesses if name.startswith("masked") else length] for name in PER_INSTANCE}
    return json.dumps({**values, "label": row.get("next_sentence_labels")})


def unpacked(row):
    """The instances of a packed record, in the same form."""
    found = []
    guesses = int(sum(row["masked_lm_weights"]))
    by_guess = list(zip(row["masked_lm_positions"][:guesses], row["masked_lm_ids"][:guesses], strict=True))
    for number in range(1, max(row["sequence_ids"]) + 1):
        places = [index for index, value in enumerate(row["sequence_ids"]) if value == number]
        start, end = places[0], places[-1] + 1
        assert places == list(range(start, end))
        assert row["position_ids"][start:end] == list(range(end - start))
        inside = [(position - start, piece) for position, piece in by_guess if start <= position < end]
        label = None
        if "next_sentence_labels" in row:
            assert row["next_sentence_positions"][number - 1] == start
            assert row["next_sentence_weights"][number - 1] == 1.0
            label = [row["next_sentence_labels"][number - 1]]
        values = (row["input_ids"][start:end], row["segment_ids"][start:end], *map(list, zip(*inside, strict=True)))
        found.append(json.dumps({**dict(zip(PER_INSTANCE, values, strict=True)), "label": label}))
    return found


def assert_within_limits(row, length=LENGTH, guesses=GUESSES):
    for name in ("input_ids", "input_mask", "segment_ids", "position_ids", "sequence_ids"):
        assert len(row[name]) == length, name
    for name in {*row} & {"masked_lm_ids", "masked_lm_positions", *packing.NEXT_SENTENCE_FIELDS}:
        assert len(row[name]) == guesses, name
    assert [int(number > 0) for number in row["sequence_ids"]] == row["input_mask"]
    if "next_sentence_weights" in row:
        assert sum(row["next_sentence_weights"]) == max(row["sequence_ids"])


@pytest.mark.parametrize(
    "flags",
    [[], ["--streaming", "--block_size=2000", "--num_shards=2"], ["--no_nsp"]],
    ids=["exact", "stream", "no nsp"],
)
def test_unpacking_gives_back_the_instances(create, flags):
    alone = rows(create("alone", *flags)[0])
    packed = rows(create("packed", "--pack_sequences", *flags)[0])
    for row in packed:
        assert_within_limits(row)
    found = [instance for row in packed for instance in unpacked(row)]
    assert sorted(found) == sorted(map(without_padding, alone))
    assert len(packed) < 0.9 * len(alone)
    assert all("next_sentence_labels" in row for row in packed) is ("--no_nsp" not in flags)


def test_unpadded_rows_hold_the_same(create):
    padded = rows(create("padded", "--pack_sequences")[0])
    lean = rows(create("lean", "--pack_sequences", "--nopad_records")[0])
    assert [unpacked(row) for row in lean] == [unpacked(row) for row in padded]
    assert all(len(row["position_ids"]) == len(row["sequence_ids"]) == len(row["input_ids"]) for row in lean)
    assert all(len(row["next_sentence_labels"]) == max(row["sequence_ids"]) for row in lean)


def test_rows_do_not_depend_on_who_makes_them(create):
    """One process, two, or a pipeline: the same bytes. Another seed: others."""
    flags = ["--pack_sequences", "--block_size=600", "--num_shards=2"]

    def contents(name, *given):
        folder, _ = create(name, *flags, *given)
        return {path.name: path.read_bytes() for path in record_files(f"{folder}/t.tf_record*")}

    one = contents("one", "--streaming", "--num_workers=1")
    assert contents("two", "--streaming", "--num_workers=2") == one
    assert contents("beam", IN_PROCESS) == one
    assert contents("other", "--streaming", "--num_workers=1", "--random_seed=7") != one


@pytest.mark.parametrize("streaming", [False, True])
def test_report_says_how_full_rows_are(create, streaming):
    flags = [f"--streaming={streaming}", "--num_workers=1"]
    folder, said = create("packed", "--pack_sequences", *flags)
    alone = rows(create("alone", *flags)[0])
    report = json.loads((folder / "t.tf_record.report.json").read_text())
    found = rows(folder)
    pieces = sum(sum(row["input_mask"]) for row in alone)
    assert (report["instances"], report["rows"]) == (len(alone), len(found))
    assert report["instances_per_row"] == pytest.approx(len(alone) / len(found), abs=1e-3)
    assert report["share_filled"] == pytest.approx(pieces / (len(found) * LENGTH), abs=1e-3)
    assert report["share_filled_unpacked"] == pytest.approx(pieces / (len(alone) * LENGTH), abs=1e-3)
    assert report["share_filled"] > report["share_filled_unpacked"] + 0.1
    assert f"packed {len(alone)} instances into {len(found)} rows, {len(alone) / len(found):.2f} a row" in said
    assert "--no_nsp" not in said
    assert create("packed", "--pack_sequences", *flags)[1].count("keeping") == 1
    kept = json.loads((folder / "t.tf_record.report.json").read_text())
    assert kept == report
    changed, _ = create("packed", *flags)
    assert "rows" not in json.loads((changed / "t.tf_record.report.json").read_text())
    assert list(map(without_padding, rows(changed))) == list(map(without_padding, alone))


def test_full_sentences_leave_little_to_pack_and_that_is_said(create):
    _, said = create("packed", "--pack_sequences", "--no_nsp", "--short_seq_prob=0")
    assert re.search(r"--pack_sequences with --no_nsp: instances of full sentences fill \d\d\.\d% of a row by", said)


def instance(length, guesses=1, label=False):
    return TrainingInstance([2] * length, [0] * length, list(range(guesses)), [3] * guesses, label)


def lengths(instances, length=10, guesses=4):
    return [[len(one.tokens) for one in row] for row in packed_rows(instances, length, guesses)]


def test_an_instance_goes_to_the_first_row_with_room():
    assert lengths(map(instance, [6, 7, 3, 4, 1])) == [[6, 3, 1], [7], [4]]


def test_guesses_and_labels_are_limits_too():
    assert lengths([instance(2, 3), instance(2, 2), instance(2, 1)]) == [[2, 2], [2]]
    assert lengths([instance(1, 0) for _ in range(6)]) == [[1, 1, 1, 1], [1, 1]]


def test_the_fullest_row_gives_way(monkeypatch):
    monkeypatch.setattr(packing, "OPEN_ROWS", 2)
    assert lengths(map(instance, [6, 9, 7, 4, 3])) == [[9], [6, 4], [7, 3]]
    # Full of guesses is full, however many places are left.
    assert lengths([instance(8), instance(2, 4), instance(9), instance(2)]) == [[2], [8, 2], [9]]


def test_no_instance_is_lost_or_changed():
    rng = random.Random(3)
    made = [instance(rng.randint(3, 30), rng.randint(0, 5), label=index) for index in range(500)]
    found = list(packed_rows(map(packing.compact, made), 32, 6))
    assert sorted(one.is_random_next for row in found for one in row) == list(range(500))
    for one in (one for row in found for one in row):
        same = made[one.is_random_next]
        assert (list(one.tokens), list(one.segment_ids)) == (same.tokens, same.segment_ids)
        assert one[2:] == same[2:]
    for row in found:
        assert sum(len(one.tokens) for one in row) <= 32
        assert sum(len(one.masked_lm_positions) for one in row) <= 6


def write(path, *records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return path


def packed_record(**changed):
    serializer = RowSerializer(8, 3, next_sentence=changed.pop("next_sentence", True))
    features = serializer.features([instance(4), instance(3, label=True)])
    return serializer.spec.serialize({**features, **changed})


def test_packed_records_tell_what_they_are(tmp_path):
    for labels in (True, False):
        path = write(tmp_path / f"{labels}", packed_record(next_sentence=labels))
        assert kind_of_records([path], 8, 3, 10) == RecordKind(labels, packed=True)
    lean = RowSerializer(8, 3, pad=False)
    path = write(tmp_path / "lean", lean.spec.serialize(lean.features([instance(4)])))
    assert kind_of_records([path], 100, 20, 10) == RecordKind(packed=True)


def refusal(*paths):
    with pytest.raises(BertError) as caught:
        kind_of_records(paths, 8, 3, 10)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_packed_and_unpacked_files_do_not_mix(tmp_path):
    packed = write(tmp_path / "packed", packed_record())
    alone = write(tmp_path / "alone", InstanceSerializer(8, 3).serializer()(instance(4)))
    assert refusal(alone, packed) == (
        f"{packed} has sequence_ids and {alone} has none; "
        "give files that were made with the same --pack_sequences of create_pretraining_data.py"
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"position_ids": None}, "record 1 has no position_ids (it has input_ids,"),
        ({"next_sentence_weights": None}, "record 1 has no next_sentence_weights (it has"),
        ({"position_ids": [0, 1, 2, 8, 0, 1, 2, 0]}, "position_ids and sequence_ids do not fit its 8 pieces"),
        ({"sequence_ids": [1, 1, 1, 1, 2, 2, 2]}, "position_ids and sequence_ids do not fit its 8 pieces"),
        ({"sequence_ids": [1, 1, 1, 1, 2, 2, 2, 2]}, "and a number above 0 where input_mask is 1; the records are"),
        ({"next_sentence_positions": [0, 8, 0]}, "expected as many of each, and positions below 8; the records are"),
        ({"next_sentence_labels": [0, 1]}, "has 3 next_sentence_positions, 2 labels and 3 weights"),
        (
            {"next_sentence_positions": [0, 4, 0, 0], "next_sentence_weights": [1.0, 1.0, 0.0, 0.0]},
            "is made for max_predictions_per_seq 4, but --max_predictions_per_seq=3",
        ),
    ],
    ids=["no positions", "no weights", "far position", "short", "padding", "far label", "fewer labels", "more"],
)
def test_damaged_rows_are_named(tmp_path, changed, message):
    assert message in refusal(write(tmp_path / "a", packed_record(**changed)))
