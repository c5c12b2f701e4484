"""Record sets: reused only when whole and made from the same inputs; never half-written; upstream's are read."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import DataError
from processors.base import InputExample, PaddingInputExample
from processors.records import record_sets
from processors.records.featurizer import PairFeaturizer
from processors.records.input_fn import InputSettings, build_input_fn
from tests.support import tiny
from tokenization import BulkTokenizer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def featurizer(tiny_model):
    return PairFeaturizer(BulkTokenizer(tiny_model / "vocab.txt"), 24, ["neg", "pos"], "single_label")


def examples(count):
    return [InputExample(f"train-{i}", text, None, label) for i, (text, label) in enumerate(tiny.rows(count))]


def build(path, featurizer, count=20, digest="d", workers=1):
    return record_sets.build(path, lambda: examples(count), featurizer, digest, workers)


def test_same_fingerprint_is_reused_without_reading_the_examples(tmp_path, featurizer):
    first = build(tmp_path / "train.tf_record", featurizer)
    assert (first.num_examples, first.num_records, first.reused) == (20, 20, False)

    def must_not_be_called():
        raise AssertionError("examples were read again")

    second = record_sets.build(tmp_path / "train.tf_record", must_not_be_called, featurizer, "d", 1)
    assert (second.num_records, second.reused) == (20, True)


@pytest.mark.parametrize("damage", ["other inputs", "truncated", "flipped", "no manifest", "broken manifest"])
def test_anything_else_is_rebuilt(tmp_path, featurizer, damage):
    path = tmp_path / "train.tf_record"
    manifest = tmp_path / "train.tf_record.manifest.json"
    build(path, featurizer)
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-7])
    elif damage == "flipped":
        path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    elif damage == "no manifest":
        manifest.unlink()
    elif damage == "broken manifest":
        manifest.write_text("{")
    again = build(path, featurizer, digest="other" if damage == "other inputs" else "d")
    assert not again.reused
    assert path.read_bytes() == content
    assert json.loads(manifest.read_text())["num_records"] == 20


def test_a_failing_row_leaves_nothing_behind(tmp_path, featurizer):
    def broken():
        yield from examples(3)
        raise DataError("train.tsv:5: broken")

    with pytest.raises(DataError):
        record_sets.build(tmp_path / "train.tf_record", broken, featurizer, "d", 1)
    assert list(tmp_path.iterdir()) == []


def test_no_rows_are_an_error(tmp_path, featurizer):
    with pytest.raises(DataError) as empty:
        build(tmp_path / "train.tf_record", featurizer, count=0)
    assert str(empty.value).startswith("no examples to write to train.tf_record")
    assert list(tmp_path.iterdir()) == []


def test_number_of_processes_changes_nothing(tmp_path, featurizer):
    one = build(tmp_path / "one.tf_record", featurizer, count=1500)
    three = build(tmp_path / "three.tf_record", featurizer, count=1500, workers=3)
    assert one.num_records == three.num_records == 1500
    assert one.path.read_bytes() == three.path.read_bytes()


@pytest.mark.slow
def test_full_disk_is_one_line_and_the_next_run_rebuilds(tmp_path, tiny_model):
    code = f"""
import resource, signal, sys
from pathlib import Path
from tests.processors.records.test_record_sets import examples, PairFeaturizer, BulkTokenizer, record_sets
from common.errors import DataError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
featurizer = PairFeaturizer(BulkTokenizer({str(tiny_model / "vocab.txt")!r}), 24, ["neg", "pos"], "single_label")
try:
    record_sets.build(Path({str(tmp_path / "train.tf_record")!r}), lambda: examples(400), featurizer, "d", 1)
except DataError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert "writing records failed" in done.stdout
    assert "free disk space or choose another --output_dir" in done.stdout
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_fingerprint_follows_settings_and_content(tmp_path):
    data = tmp_path / "train.tsv"
    data.write_text("a\n")
    first = record_sets.fingerprint({"max_seq_length": 8}, [data])
    assert first == record_sets.fingerprint({"max_seq_length": 8}, [data])
    assert first != record_sets.fingerprint({"max_seq_length": 9}, [data])
    data.write_text("b\n")
    assert first != record_sets.fingerprint({"max_seq_length": 8}, [data])


def batches(path, featurizer, **settings):
    return build_input_fn([path], featurizer.spec, InputSettings(**settings))().as_numpy_iterator()


def test_one_pass_in_order_keeps_every_row(tmp_path, featurizer):
    build(tmp_path / "eval.tf_record", featurizer, count=11)
    found = list(batches(tmp_path / "eval.tf_record", featurizer, batch_size=4, num_records=11))
    assert [len(batch["label_ids"]) for batch in found] == [4, 4, 3]
    assert np.concatenate([batch["label_ids"] for batch in found]).tolist() == [1, 0] * 5 + [1]
    for batch in found:
        assert batch["input_ids"].shape[1] == batch["input_mask"].sum(axis=1).max()


def test_static_shapes_fill_the_last_batch_with_rows_that_do_not_count(tmp_path, featurizer):
    build(tmp_path / "eval.tf_record", featurizer, count=5)
    found = list(batches(tmp_path / "eval.tf_record", featurizer, batch_size=4, num_records=5, static_shapes=True))
    assert [batch["input_ids"].shape for batch in found] == [(4, 24), (4, 24)]
    assert np.concatenate([batch["is_real_example"] for batch in found]).tolist() == [1] * 5 + [0] * 3


def test_training_shuffles_whole_epochs_by_seed_and_resumes_where_it_stopped(tmp_path, featurizer):
    build(tmp_path / "train.tf_record", featurizer, count=30)

    def stream(count, **settings):
        made = batches(
            tmp_path / "train.tf_record", featurizer, batch_size=5, num_records=30, is_training=True, **settings
        )
        return [tuple(map(tuple, next(made)["input_ids"].tolist())) for _ in range(count)]

    first = stream(12, seed=1)
    assert first == stream(12, seed=1)
    assert first != stream(12, seed=2)
    assert first[4:] == stream(8, seed=1, skip_records=20)
    rows = [tuple(x for x in row if x) for batch in first for row in batch]
    assert sorted(rows[:30]) == sorted(rows[30:])
    assert rows[:30] != rows[30:]


def test_padding_example_becomes_a_row_that_does_not_count(featurizer):
    ((real,), (padding,)) = featurizer.featurize([examples(1)[0], PaddingInputExample()])
    assert (real["is_real_example"], padding["is_real_example"]) == (1, 0)
    assert padding["label_ids"] is None


def test_upstreams_padded_records_give_the_same_batches_as_ours(golden, shared, vocab_dir, tmp_path):
    from processors.tables.glue import MrpcProcessor

    tokenizer = BulkTokenizer(vocab_dir / "bert-base-uncased" / "vocab.txt")
    featurizer = PairFeaturizer(tokenizer, 128, ["0", "1"], "single_label")
    dev = list(MrpcProcessor().get_dev_examples(str(shared / "data" / "glue" / "MRPC")))[:64]
    ours = record_sets.build(tmp_path / "eval.tf_record", lambda: dev, featurizer, "d", 1)
    theirs = golden / "mrpc_dev64.tf_record"
    for static in (False, True):
        settings = {"batch_size": 16, "num_records": 64, "static_shapes": static}
        pairs = zip(batches(ours.path, featurizer, **settings), batches(theirs, featurizer, **settings), strict=True)
        count = 0
        for mine, upstream in pairs:
            assert mine.keys() == upstream.keys()
            for name in mine:
                np.testing.assert_array_equal(mine[name], upstream[name], err_msg=name)
            count += 1
        assert count == 4
