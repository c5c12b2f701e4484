"""Updates whose loss is no number: the run stops, or goes on without them; either way the rows are named."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import run_classifier
from common.checkpoints import latest_checkpoint
from processors.records.input_fn import InputSettings, build_input_fn, places_of_batch
from processors.records.schema import FeatureSpec, Field
from tests.support import tiny

BAD = 21
"""The row whose squared error is infinite in float32."""


@pytest.fixture(scope="module")
def command(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    rows = [f"{text}\t{'1e30' if index == BAD else index % 3}\n" for index, (text, _) in enumerate(tiny.rows(40))]
    (folder / "train.tsv").write_text("text\tscore\n" + "".join(rows))
    return [
        "--task_name=table", "--text_a=text", "--label=score", "--problem_type=regression", "--max_seq_length=24",
        "--train_batch_size=8", "--num_train_epochs=1", "--learning_rate=1e-3", "--do_train", "--dev_fraction=0",
        f"--data_dir={folder}", f"--init_checkpoint={tiny_model}", "--log_every_n_steps=1",
    ]  # fmt: skip


def test_stops_and_names_step_rate_norm_and_rows(run_script, command, tmp_path):
    code, _, err = run_script(run_classifier.main, *command, f"--output_dir={tmp_path / 'run'}")
    found = re.match(
        r"error: training: the loss became infinite at step (\d) \(learning rate \S+, gradient norm inf, rows (.+?)"
        r"(; it was .+ a step before)?\); expected a finite number; lower --learning_rate or look for broken ",
        err.splitlines()[-1],
    )
    assert code == 2
    assert found, err
    rows = found[2].split(", ")
    assert len(rows) == 8
    assert f"train-{BAD}" in rows or f"train-{BAD + 1}" in rows


def test_skips_the_update_and_goes_on(run_script, command, tmp_path):
    run = tmp_path / "run"
    code, _, err = run_script(run_classifier.main, *command, "--on_nan=skip", f"--output_dir={run}")
    assert code == 0, err
    assert err.count("update skipped (loss inf, learning rate") == 1
    assert "1 of 5 updates were skipped" in err
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    (skipped,) = [event for event in events if event["event"] == "skipped"]
    assert len(skipped["rows"]) == 8
    assert len([event for event in events if event["event"] == "train"]) == 4
    assert all(event["gradient_norm"] > 0 for event in events if event["event"] == "train")
    assert latest_checkpoint(run).name == "model.ckpt-5"
    reader = tf.train.load_checkpoint(latest_checkpoint(run).prefix)
    assert all(np.isfinite(reader.get_tensor(name)).all() for name in reader.get_variable_to_shape_map())


@pytest.mark.parametrize("files", [1, 3])
def test_places_of_a_batch_are_those_of_its_rows(tmp_path, files):
    """Each record holds its own place; what the stream gives is what was said."""
    names = [tmp_path / f"{index}.tf_record" for index in range(files)]
    spec = FeatureSpec((Field("place"),))
    for index, name in enumerate(names):
        with tf.io.TFRecordWriter(str(name)) as writer:
            for number in range(20):
                writer.write(spec.serialize({"place": 100 * index + number}))
    settings = InputSettings(6, 20 * files, is_training=True, seed=9, skip_records=12 if files == 1 else 66)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(9)
        batch = tf.compat.v1.data.make_one_shot_iterator(build_input_fn(names, spec, settings)()).get_next()
        expected = session.run(batch["place"]).tolist()
    places = places_of_batch(names, settings)
    assert [100 * int(Path(file).stem) + number for file, number in places] == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--precision=fp16"], "--precision=fp16 skips by its loss scale"),
        (["--use_tpu"], "--use_tpu cannot leave updates out"),
    ],
)
def test_what_cannot_skip_is_a_line(run_script, command, tmp_path, flags, message):
    code, _, err = run_script(
        run_classifier.main, *command, *flags, "--on_nan=skip", f"--output_dir={tmp_path / 'run'}"
    )
    assert code == 2
    assert err.splitlines()[-1] == f"error: --on_nan=skip: {message}; remove one of them"
