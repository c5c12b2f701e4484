"""A run that is killed at any moment ends as one that never was, once the same command is given again."""

import collections
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
QUICK = AT_THE_END | {"os.rename best/checkpoint"}


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


@pytest.mark.parametrize(
    "name",
    [*sorted(AT_THE_END), *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(QUICK - AT_THE_END))],
)
def test_some_states_of_a_crash(uninterrupted, tmp_path, run_script, name):
    recorder = uninterrupted[2]
    state = (recorder.last_of_each() if name in AT_THE_END else recorder.first_of_each())[name]
    check_state(state, name, uninterrupted, tmp_path, run_script)


@pytest.mark.slow
def test_one_state_of_every_kind(uninterrupted, tmp_path, run_script):
    for name, state in uninterrupted[2].first_of_each().items():
        (tmp_path / state.name).mkdir()
        check_state(state, name, uninterrupted, tmp_path / state.name, run_script)


WATCHING = ("--eval_every_n_steps", "--keep_best_checkpoint", "--best_metric")
FOREIGN = ("notes.txt", "other.ckpt-3.index", "mine/model.ckpt-7.index")
"""Files of the user's in an output directory."""


def run_of_kind(kind, folder, tiny_model):
    """Records every state of a plain, a watched or a resumed run; gives its folder, command and recorder."""
    tiny.write_table(folder / "data")
    flags = [flag for flag in FLAGS if kind != "plain" or not flag.startswith(WATCHING)]
    flags += ["--save_checkpoints_steps=4"] if kind == "plain" else []
    command = [*flags, f"--data_dir={folder / 'data'}", f"--init_checkpoint={tiny_model}"]
    run = folder / "run"
    for name in FOREIGN:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("mine")
    if kind == "resumed":
        (folder / "before").mkdir()
        with recorded(folder / "first", folder / "before") as before:
            run_classifier.main(["script", *command, f"--output_dir={folder / 'first'}"])
        middle = [state for number, state in enumerate(before.operations) if state == "os.rename checkpoint"]
        number = [index for index, name in enumerate(before.operations) if name == middle[0]][len(middle) // 2]
        shutil.copytree(before.copies / f"{number:03d}", run, dirs_exist_ok=True)
    (folder / "states").mkdir()
    with recorded(run, folder / "states") as recorder:
        run_classifier.main(["script", *command, f"--output_dir={run}"])
    return run, command, recorder


def figures_of_state(state, uninterrupted, again, run_script):
    """What is wrong after the command was given again in a copy of a state: counts by kind of harm."""
    run, command, _ = uninterrupted
    shutil.copytree(state, again)
    code, _, _ = run_script(run_classifier.main, *command, f"--output_dir={again}")
    if code:
        return {"commands that failed": 1}
    folders = ["", "best"] if (run / "best").is_dir() else [""]
    pairs = [(tensors(run / folder), tensors(again / folder)) for folder in folders]
    files = [name for name in ANSWERS if (run / name).exists()]
    left = {path.name for path in again.iterdir()} - {path.name for path in run.iterdir()}
    differing = [
        name for there, here in pairs for name, value in here.items() if not np.array_equal(there[name], value)
    ]
    return {
        "differing tensors": len(differing),
        "differing files": sum((run / name).read_bytes() != (again / name).read_bytes() for name in files),
        "differing evaluations": int(periodic(again) != periodic(run)),
        "files left over": len([name for name in left if "tfevents" not in name]),
        "foreign files deleted": sum(not (again / name).is_file() for name in FOREIGN),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "watched", "resumed"])
def test_every_state(kind, tmp_path, tiny_model, run_script):
    """Hundreds of states: nothing that is there under its final name is unfinished, and every command ends well."""
    uninterrupted = run_of_kind(kind, tmp_path, tiny_model)
    totals = collections.Counter()
    for number, name in enumerate(uninterrupted[2].operations):
        again = tmp_path / "again"
        found = figures_of_state(tmp_path / "states" / f"{number:03d}", uninterrupted, again, run_script)
        totals.update({"states": 1, **found})
        assert not any(found.values()), f"{kind}, state {number} before {name}: {found}"
        shutil.rmtree(again)
    print(f"{kind}: {dict(totals)}")
    assert totals["states"] > 40


def test_a_surplus_checkpoint_goes_when_the_finished_command_is_given_again(uninterrupted, tmp_path, run_script):
    """As a crash leaves it between the file `checkpoint`, which names the last one, and the removal of the oldest."""
    run, command, _ = uninterrupted
    again = Path(shutil.copytree(run, tmp_path / "run"))
    for path in list(again.glob("model.ckpt-12.*")):
        shutil.copy(path, again / path.name.replace("-12.", "-4."))
    state = (again / "checkpoint").read_text()
    before = 'all_model_checkpoint_paths: "model.ckpt-12"'
    assert before in state
    (again / "checkpoint").write_text(state.replace(before, f'all_model_checkpoint_paths: "model.ckpt-4"\n{before}'))
    code, _, err = run_script(run_classifier.main, *command, f"--output_dir={again}")
    assert code == 0, err
    assert {path.name for path in again.iterdir()} == {path.name for path in run.iterdir()}
    assert f"removed {again / 'model.ckpt-4'}: --keep_checkpoint_max=2" in err
    assert (again / "checkpoint").read_text() == state
