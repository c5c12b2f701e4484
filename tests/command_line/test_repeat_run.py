"""A run is repeated by what its `run.json` says, to the same bits; what has changed since is a line each."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import repeat_run
import run_classifier
from common import command_records
from common.checkpoints import record_checkpoint
from modeling.checkpoints.sources import save_tensors
from tests.support import tiny

FLAGS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8",
    "--num_train_epochs=0.5", "--deterministic", "--init_checkpoint=model", "--data_dir=data",
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_model):
    """A run of two commands, given in a folder with relative paths, and that folder."""
    folder = tmp_path_factory.mktemp("repeated")
    tiny.write_table(folder / "data", train=32)
    shutil.copytree(tiny_model, folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_classifier.main(["script", *FLAGS, "--output_dir=run", "--do_train", "--do_eval"])
        run_classifier.main(["script", "--output_dir=run", "--data_dir=data", "--do_predict"])
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of `run.json`, which a test may change."""
    (tmp_path / "run").mkdir()
    shutil.copy(made / "run" / "run.json", tmp_path / "run")
    return tmp_path / "run"


def changed(run, change):
    """Writes a change of the last command into `run.json`."""
    described = json.loads((run / "run.json").read_text())
    change(described["commands"][-1])
    (run / "run.json").write_text(json.dumps(described))


def test_a_run_says_all_of_its_commands(made):
    described = json.loads((made / "run" / "run.json").read_text())
    train, predict = described["commands"]
    assert train["program"] == ["run_classifier.py"]
    assert "--do_train" in train["given"]
    assert not any(one.startswith("--output_dir") for one in train["given"])
    assert train["flags"]["learning_rate"] == 5e-5
    assert {Path(name).name for name in train["data"]} == {"train.tsv", "dev.tsv"}
    assert {Path(name).name for name in predict["data"]} == {"test.tsv"}
    assert {Path(name).suffix for name in train["weights"]} == {".txt", ".json", ".index", ".data-00000-of-00001"}
    assert train["versions"]["tensorflow"].startswith("2.15")
    assert train["device"]["machines"] == 1
    assert train["training"]["step"] == 2
    assert train["scores"]["eval_accuracy"] == json.loads((made / "run/eval_results.json").read_text())["eval_accuracy"]
    assert train["sessions"] == 1
    assert train["started"] <= train["ended"]
    assert predict["flags"]["max_seq_length"] == 24


@pytest.mark.slow
def test_a_repeat_has_equal_bits(made, run_script, tmp_path):
    code, out, err = run_script(repeat_run.main, str(made / "run"), f"--output_dir={tmp_path / 'again'}")
    assert code == 0, err
    assert "nothing has changed since the run" in out
    assert out.splitlines()[-1] == (
        f"{tmp_path / 'again'}: equal, bit for bit (scores, prediction files, tensors of checkpoints)"
    )
    for name in ("test_results.tsv", "eval_results.json"):
        assert (tmp_path / "again" / name).read_bytes() == (made / "run" / name).read_bytes()
    (tmp_path / "again" / "test_results.tsv").write_text("other")
    assert list(repeat_run.repeat_run._files(made / "run", tmp_path / "again")) == [
        "test_results.tsv: has other content in the repeat"
    ]


def test_every_change_is_a_line(made, run, run_script):
    table = made / "data" / "test.tsv"
    before = table.read_text()
    table.write_text(before + "one more\tpos\n")
    try:
        changed(run, lambda command: command["versions"].update(numpy="1.0"))
        changed(run, lambda command: command["device"].update(threads=999, gpus=["a GPU"]))
        changed(run, lambda command: command["weights"].update({"/nowhere/model.index": "0"}))
        changed(run, lambda command: command["flags"].update(no_such_flag=3))
        code, out, err = run_script(repeat_run.main, str(run), "--verify_only")
    finally:
        table.write_text(before)
    assert code == 2
    lines = out.splitlines()
    for part in (
        "numpy: 1.0 there, ", "CPU threads: 999 there, ", "GPUs: ['a GPU'] there, ", f"{table}: has other content (",
        "/nowhere/model.index: is not there", "--no_such_flag: 3 there, no flag of run_classifier.py any more",
    ):  # fmt: skip
        assert sum(line.startswith(part) for line in lines) == 1, part
    assert err.splitlines()[-1] == f"error: {run}: {len(lines)} thing(s) changed since the run, listed above"
    code, _, err = run_script(repeat_run.main, str(run), f"--output_dir={run.parent / 'again'}")
    assert code == 2
    assert err.splitlines()[-1].endswith("listed above; restore it, or add --anyway to repeat with what is here")
    assert not (run.parent / "again").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.update(program=["rm.py"]), "no script rm.py"),
        (lambda one: one.update(program=["run_task.py", "x.py"]), "made with code of a user, x.py; look at it, then"),
        (lambda one: one["flags"].update(processor_module="y.py"), "made with code of a user, y.py; look at it"),
        (lambda one: one.update(processor="Frame"), "its examples came from a Python program (Frame), which run.json"),
        (lambda one: one.pop("folder"), "commands[1] lacks program, given, flags or folder; restore the file"),
    ],
)
def test_what_cannot_be_repeated_is_a_line(run, run_script, change, message):
    changed(run, change)
    code, _, err = run_script(repeat_run.main, str(run), "--verify_only")
    assert code == 2
    assert message in err.splitlines()[-1]


def test_mistakes_are_lines(made, run, run_script, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text("{}")
    for arguments, message in (
        (["--verify_only"], "no run is named; give its folder before the flags"),
        ([str(tmp_path / "no")], f"{tmp_path / 'no'}: no run.json there; check the path"),
        ([str(tmp_path)], f"{tmp_path}: no run.json there; there are runs in old, run: name one of them"),
        ([str(tmp_path / "old")], f"{tmp_path / 'old' / 'run.json'}: lists no commands"),
        ([str(run)], "--output_dir is missing: give a folder for the repeat, or --verify_only"),
        ([str(run), f"--output_dir={run}"], f"--output_dir={run} is the run itself; give another folder"),
    ):
        code, _, err = run_script(repeat_run.main, *arguments)
        assert code == 2
        assert message in err.splitlines()[-1]


def test_standard_input_is_not_read_again():
    script = run_classifier.run_classifier.SCRIPT
    values = {flag.name: flag.default for flag in script.flags} | {"do_predict": True, "predict_file": "-"}
    command = {
        "given": ["--do_predict", "--predict_file=-", "--nodo_lower_case"],
        "flags": values | {"do_lower_case": False},
    }
    assert repeat_run.repeat_run.arguments(command, script) == ["--nodo_predict", "--nodo_lower_case"]


def test_a_bit_of_a_tensor_is_a_difference(tmp_path):
    for name, value in (("run", 1.0), ("same", 1.0), ("other", np.nextafter(np.float32(1), np.float32(2)))):
        (tmp_path / name).mkdir()
        values = {"a": np.array([value, np.nan], np.float32), "b": np.zeros(3, np.float32), "global_step": np.int64(4)}
        save_tensors(values, str(tmp_path / name / "model.ckpt-4"))
        record_checkpoint(tmp_path / name, "model.ckpt-4", keep=1)
    (tmp_path / "none").mkdir()
    differences = repeat_run.repeat_run._tensors
    assert list(differences(tmp_path / "run", tmp_path / "same")) == []
    assert list(differences(tmp_path / "none", tmp_path / "none")) == []
    assert list(differences(tmp_path / "run", tmp_path / "other")) == ["model.ckpt-4: 1 of 3 tensors differ (a ...)"]
    assert list(differences(tmp_path / "run", tmp_path / "none")) == [
        "checkpoint: model.ckpt-4 there, None in the repeat"
    ]


def test_a_score_is_a_difference():
    there = [{"scores": {"eval_loss": 0.5, "eval_f1": None}}, {}]
    assert list(repeat_run.repeat_run._scores(there, there)) == []
    here = [{"scores": {"eval_loss": 0.25}}, {"scores": None}]
    assert list(repeat_run.repeat_run._scores(there, here)) == ["eval_loss: 0.5 there, 0.25 in the repeat"]


def test_a_command_that_was_stopped_goes_on_as_one():
    command = {"program": ["run_classifier.py"], "given": ["--do_train"], "flags": {"do_train": True}}
    listed = command_records.begun([], command)
    listed = command_records.begun(listed, {**command, "given": ["--do_eval"], "flags": {}})
    listed = command_records.begun(listed, {**command, "folder": "elsewhere"})
    assert [one["sessions"] for one in listed] == [2, 1]
    assert listed[0]["folder"] == "elsewhere"
    assert "ended" not in listed[0]
    listed = command_records.ended(listed, command, 2.5, {"scores": {}})
    listed = command_records.ended(listed, command, 1.0, {"scores": {"a": 1}})
    assert (listed[0]["seconds"], listed[0]["scores"]) == (3.5, {"a": 1})
    assert "ended" not in listed[1]
    for number in range(150):
        listed = command_records.begun(listed, {**command, "given": [f"{number}"], "flags": {}})
    assert len(listed) == 101
    assert listed[0]["given"] == ["--do_train"]
