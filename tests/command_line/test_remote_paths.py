"""A run whose files all have a scheme, on TensorFlow's file system in memory."""

import json

import pytest

import create_pretraining_data
import run_classifier
import run_ner
from common.checkpoints import latest_checkpoint
from common.paths import copy_file, path_of, remove_tree
from tests.support import tiny

FLAGS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8",
    "--num_train_epochs=1", "--eval_every_n_steps=2", "--keep_best_checkpoint", "--keep_checkpoint_max=2",
    "--deterministic", "--log_every_n_steps=2", "--do_train", "--do_eval", "--do_predict",
]  # fmt: skip
SAME = ("eval_results.json", "predictions.jsonl", "test_results.tsv", "labels.txt", "vocab.txt")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory, tiny_model):
    """A bucket with a model and data, and the folder that it is a copy of."""
    here = tmp_path_factory.mktemp("remote")
    tiny.write_table(here / "data", train=32)
    there = path_of(f"ram://{here.name}")
    for name, source in (("data", here / "data"), ("model", tiny_model)):
        (there / name).mkdir(parents=True)
        for path in source.iterdir():
            copy_file(path, there / name / path.name)
    yield there, here
    remove_tree(there)


@pytest.fixture(scope="module")
def run(bucket):
    """The output directory of a whole run."""
    there, _ = bucket
    command = [*FLAGS, f"--data_dir={there}/data", f"--init_checkpoint={there}/model"]
    run_classifier.main(["script", *command, f"--output_dir={there}/run"])
    return there / "run"


def names(folder):
    return sorted(path.name for path in folder.iterdir() if "tfevents" not in path.name)


@pytest.mark.slow
def test_a_run_in_a_bucket_is_that_on_a_disk(bucket, run, tiny_model, run_script):
    _, here = bucket
    command = [*FLAGS, f"--data_dir={here / 'data'}", f"--init_checkpoint={tiny_model}"]
    code, _, err = run_script(run_classifier.main, *command, f"--output_dir={here / 'run'}")
    assert code == 0, err
    assert names(run) == names(here / "run")
    assert names(run / "best") == names(here / "run" / "best")
    for name in SAME:
        assert (run / name).read_bytes() == (here / "run" / name).read_bytes(), name
    assert latest_checkpoint(run).name == latest_checkpoint(here / "run").name == "model.ckpt-4"


@pytest.mark.slow
def test_a_second_command_takes_over_what_the_first_one_had(bucket, run, run_script):
    there, _ = bucket
    recorded = json.loads((run / "run.json").read_text())
    assert recorded["flags"]["data_dir"] == f"{there}/data"
    assert f"{there}/data/train.tsv" in recorded["commands"][0]["data"]
    assert f"{there}/model/bert_model.ckpt.index" in recorded["commands"][0]["weights"]
    before = (run / "predictions.jsonl").read_bytes()
    (run / "predictions.jsonl").unlink()
    code, _, err = run_script(run_classifier.main, f"--output_dir={run}", "--do_predict")
    assert code == 0, err
    assert (run / "predictions.jsonl").read_bytes() == before
    code, _, err = run_script(run_classifier.main, f"--output_dir={run}", "--do_eval", "--text_a=other")
    assert code == 2
    assert f"--text_a=other contradicts --output_dir={run}" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--do_export"], "--do_export writes to local folders only, but --output_dir=ram://"),
        (["--init_checkpoint=ram://no/model"], "ram://no/model: no checkpoint there"),
        (["--data_dir=ram://no/data"], "--data_dir=ram://no/data: no such file or folder; check the path"),
        (["--vocab_file=nosuch://x/vocab.txt"], "--vocab_file=nosuch://x/vocab.txt: cannot be read ("),
        (
            ["--processor_module=ram://a/b.py"],
            "--processor_module=ram://a/b.py: code is run from files of this machine",
        ),
    ],
)
def test_what_cannot_be_remote_is_a_line(flags, message, run_script, tmp_path):
    code, _, err = run_script(run_classifier.main, *FLAGS, f"--output_dir=ram://{tmp_path.name}/run", *flags)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert not path_of(f"ram://{tmp_path.name}/run").exists()


def test_other_scripts_write_local_files(run_script):
    code, _, err = run_script(
        create_pretraining_data.main, "--input_file=x", "--output_file=gs://b/x", "--vocab_file=y"
    )
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "error: --output_file=gs://b/x: this script takes a path of this machine only"
    )


@pytest.mark.slow
def test_other_tasks_run_in_a_bucket(bucket, tiny_model, run_script, tmp_path):
    there, _ = bucket
    (there / "ner").mkdir()
    for split in ("train", "dev", "test"):
        (there / "ner" / f"{split}.txt").write_text("good B-X\nday O\n\nbad B-X\nfilm O\n\n" * 8)
    code, _, err = run_script(
        run_ner.main, f"--data_dir={there}/ner", f"--init_checkpoint={there}/model/bert_model.ckpt", "--do_train",
        "--do_eval", "--do_predict", f"--output_dir={there}/tagged", "--max_seq_length=16", "--train_batch_size=8",
        "--num_train_epochs=1", "--keep_checkpoint_max=1",
    )  # fmt: skip
    assert code == 0, err
    assert (there / "tagged" / "eval_results.txt").is_file()
