"""A run that is killed at any moment ends as one that never was, once the same command is given again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import run_classifier
from common.checkpoints import latest_checkpoint
from tests.support import tiny
from tests.support.crash_states import recorded

FLAGS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8",
    "--learning_rate=1e-2", "--num_train_epochs=2", "--eval_every_n_steps=4", "--keep_best_checkpoint",
    "--keep_checkpoint_max=2", "--deterministic", "--best_metric=loss", "--log_every_n_steps=4", "--do_train",
    "--do_eval", "--do_predict",
]  # fmt: skip
ANSWERS = ("eval_results.json", "eval_results.txt", "predictions.jsonl", "test_results.tsv", "labels.txt", "vocab.txt")
AT_THE_END = {"os.rename checkpoint", "open metrics.jsonl"}
QUICK = AT_THE_END | {"os.rename vocab.txt", "os.rename best/checkpoint"}


def tensors(folder):
    reader = tf.train.load_checkpoint(latest_checkpoint(folder).prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def periodic(run):
    """Every evaluation beside training: step -> value, the last of each step."""
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {event["step"]: event["value"] for event in events if event["event"] == "periodic_eval"}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_model):
    """A run from its first file to its last, the command, and its states."""
    folder = tmp_path_factory.mktemp("crashes")
    tiny.write_table(folder / "data")
    command = [*FLAGS, f"--data_dir={folder / 'data'}", f"--init_checkpoint={tiny_model}"]
    (folder / "states").mkdir()
    with recorded(folder / "run", folder / "states") as recorder:
        run_classifier.main(["script", *command, f"--output_dir={folder / 'run'}"])
    return folder / "run", command, recorder


def check_state(state, name, uninterrupted, tmp_path, run_script):
    """Gives the command again in a copy of a state, and compares all that it leaves."""
    run, command, _ = uninterrupted
    again = Path(shutil.copytree(state, tmp_path / "run"))
    code, _, err = run_script(run_classifier.main, *command, f"--output_dir={again}")
    assert code == 0, f"{name}: {err}"
    for folder in ("", "best"):
        for tensor, value in tensors(run / folder).items():
            np.testing.assert_array_equal(tensors(again / folder)[tensor], value, err_msg=f"{name}: {tensor}")
    for file in ANSWERS:
        assert (again / file).read_bytes() == (run / file).read_bytes(), f"{name}: {file}"
    assert periodic(again) == periodic(run), name
    assert {path.name for path in again.iterdir() if "tfevents" not in path.name} == {
        path.name for path in run.iterdir() if "tfevents" not in path.name
    }, name


def test_states_of_every_kind_are_recorded(uninterrupted):
    _, _, recorder = uninterrupted
    assert len(recorder.operations) > 60
    assert set(recorder.first_of_each()) >= QUICK


@pytest.mark.parametrize("name", sorted(QUICK))
def test_some_states_of_a_crash(uninterrupted, tmp_path, run_script, name):
    recorder = uninterrupted[2]
    state = (recorder.last_of_each() if name in AT_THE_END else recorder.first_of_each())[name]
    check_state(state, name, uninterrupted, tmp_path, run_script)


@pytest.mark.slow
def test_one_state_of_every_kind(uninterrupted, tmp_path, run_script):
    for name, state in uninterrupted[2].first_of_each().items():
        (tmp_path / state.name).mkdir()
        check_state(state, name, uninterrupted, tmp_path / state.name, run_script)
