"""Several machines as real processes on the loopback interface: the losses of one process, and one end for all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import run_classifier
from common.checkpoints import latest_checkpoint
from tests.common.test_cluster import members
from tests.support import tiny

SCRIPT = str(Path(__file__).resolve().parents[2] / "run_classifier.py")
FLAGS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=12",
    "--learning_rate=1e-3", "--log_every_n_steps=1", "--do_train", "--class_weights=9,1",
]  # fmt: skip
"""Unequal row weights: the share of heavy rows differs between machines at most steps."""


@pytest.fixture(scope="module")
def command(tiny_model, tmp_path_factory):
    """Training without dropout: the head has its own."""
    folder = tmp_path_factory.mktemp("cluster")
    shutil.copytree(tiny_model, folder / "model")
    (folder / "model" / "bert_config.json").write_text(json.dumps({**tiny.CONFIG, "classifier_dropout": 0.0}))
    data = tiny.write_table(folder / "data")
    return [*FLAGS, f"--data_dir={data}", f"--init_checkpoint={folder / 'model'}"]


def started(machines, command, run, **changed):
    """Starts the command on every machine; gives the processes."""
    processes = []
    for member in machines:
        config = {"cluster": member.jobs, "task": {"type": member.job, "index": member.index}}
        flags = [*command, f"--output_dir={run}", *changed.get(f"worker_{member.index}", [])]
        environment = {**os.environ, "TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": ""}
        call = [sys.executable, SCRIPT, *flags]
        processes.append(subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=environment))
    return processes


def ended(processes, timeout=900):
    """Exit codes and standard errors."""
    errors = [process.communicate(timeout=timeout)[1] for process in processes]
    return [process.returncode for process in processes], errors


def losses(run):
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {event["step"]: event["loss"] for event in events if event["event"] == "train"}


def lines_of(run):
    """Every file of a run that its machines have written."""
    return sorted(path.name for path in run.iterdir() if "tfevents" not in path.name)


@pytest.mark.slow
def test_two_machines_train_to_the_losses_of_one(run_script, command, tmp_path):
    short = [*command, "--num_train_epochs=0.8"]
    assert run_script(run_classifier.main, *short, f"--output_dir={tmp_path / 'one'}")[0] == 0
    codes, errors = ended(started(members(2), short, tmp_path / "two"))
    assert codes == [0, 0], errors
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    assert len(losses(tmp_path / "one")) == 4
    assert lines_of(tmp_path / "two") == lines_of(tmp_path / "one")
    code, _, err = run_script(run_classifier.main, *command, f"--output_dir={tmp_path / 'two'}", "--do_eval")
    assert code == 0, err


def test_what_several_machines_cannot_do_is_refused_by_name(run_script, command, tmp_path, monkeypatch):
    config = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    flags = [*command, f"--output_dir={tmp_path / 'run'}"]
    for further, message in (
        (["--do_eval", "--use_xla"], "run --do_eval, --use_xla as a command of its own without TF_CONFIG"),
        (["--train_batch_size=13"], "--train_batch_size=13 cannot be shared by 2 machines; give a multiple of 2"),
    ):
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
        code, _, err = run_script(run_classifier.main, *flags, *further)
        assert code == 2
        assert message in err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("further", [["--gradient_accumulation_steps=2"], ["--optimizer=lamb"]], ids=["parts", "lamb"])
def test_three_machines_train_to_the_losses_of_one(run_script, command, tmp_path, further):
    whole = [*command, *further, "--num_train_epochs=2"]
    assert run_script(run_classifier.main, *whole, f"--output_dir={tmp_path / 'one'}")[0] == 0
    codes, errors = ended(started(members(3), whole, tmp_path / "three"))
    assert codes == [0, 0, 0], errors
    assert losses(tmp_path / "three") == pytest.approx(losses(tmp_path / "one"), abs=1e-5)
    assert len(losses(tmp_path / "one")) == 10


@pytest.mark.slow
def test_one_killed_and_all_restarted_go_on_from_the_last_checkpoint(run_script, command, tmp_path):
    whole = [*command, "--save_checkpoints_steps=5", "--num_train_epochs=2000"]
    processes = started(members(3), whole, tmp_path / "three")
    for line in processes[0].stderr:
        if " step 12/" in line:
            break
    processes[1].kill()
    codes, errors = ended(processes)
    assert codes == [2, -9, 2], errors
    lost = "TF_CONFIG: lost worker 1 of 3 machines (its process has ended); start the same command again on all of them"
    assert errors[0].splitlines()[-1].startswith(f"error: {lost}")
    assert errors[2].splitlines()[-1].startswith(f"error: worker 0: {lost}")
    step = int(latest_checkpoint(tmp_path / "three").name.rpartition("-")[2])
    assert step >= 10
    epochs = (step + 4) * 12 / 64
    again = [*command, "--save_checkpoints_steps=5", f"--num_train_epochs={epochs}"]
    codes, errors = ended(started(members(3), again, tmp_path / "three"))
    assert codes == [0, 0, 0], errors
    assert f"training {step} to {step + 4} of {step + 4} steps" in errors[0]
    assert latest_checkpoint(tmp_path / "three").name == f"model.ckpt-{step + 4}"


@pytest.mark.slow
def test_the_best_checkpoint_and_an_early_stop_are_the_chiefs(run_script, command, tmp_path):
    watched = [
        *command, "--eval_every_n_steps=2", "--early_stopping_patience=1", "--keep_best_checkpoint",
        "--best_metric=eval_accuracy", "--learning_rate=0", "--num_train_epochs=2",
    ]  # fmt: skip
    codes, errors = ended(started(members(2), watched, tmp_path / "two"))
    assert codes == [0, 0], errors
    assert latest_checkpoint(tmp_path / "two").name == "model.ckpt-4"
    assert latest_checkpoint(tmp_path / "two" / "best").name == "model.ckpt-2"


@pytest.mark.slow
def test_different_commands_and_folders_are_lines(command, tmp_path):
    codes, errors = ended(started(members(2), command, tmp_path / "run", worker_1=["--learning_rate=2e-3"]))
    assert codes == [2, 2]
    told = "TF_CONFIG: --learning_rate is 0.001 on worker 0 and 0.002 on worker 1; give every machine the same command"
    assert [error.splitlines()[-1] for error in errors] == [f"error: {told}", f"error: worker 0: {told}"]
    codes, errors = ended(
        started(members(2), command, tmp_path / "here", worker_1=[f"--output_dir={tmp_path / 'there'}"])
    )
    assert codes == [2, 2]
    assert "train.tf_record: is not there, or not what the data and code of this machine give" in errors[1]
    assert "error: worker 1: " in errors[0]
    assert not (tmp_path / "there").exists()


@pytest.mark.slow
def test_sigterm_on_any_machine_saves_a_checkpoint_and_ends_all(command, tmp_path):
    processes = started(members(2), [*command, "--num_train_epochs=2000"], tmp_path / "run")
    for line in processes[0].stderr:
        if " step 7/" in line:
            break
    processes[1].terminate()
    codes, errors = ended(processes)
    assert codes[0] == 143, errors
    assert errors[1].splitlines()[-1] == "error: worker 0: was stopped"
    assert int(latest_checkpoint(tmp_path / "run").name.rpartition("-")[2]) >= 7
