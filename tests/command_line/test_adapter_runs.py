"""Adapters and low-rank deltas through the scripts: checkpoints, bases, later commands, exports."""

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import run_classifier
from common.errors import CheckpointError, FlagError
from estimator.experiment import Experiment
from modeling.checkpoints import bases
from modeling.checkpoints.bases import base_fingerprint, check_base, settled_base, with_deltas
from modeling.checkpoints.restore import checkpoint_variables, read_tensor, read_tensors
from modeling.insertions import parse_insertions
from serving.predictor import Predictor
from tests.command_line.test_run_classifier import TABLE, TRAINING
from tests.support import tiny

LORA = ["--lora_rank=2", "--lora_alpha=3", "--lora_targets=query,value,output", "--lora_dropout=0.1"]
ADAPTERS = ["--adapter_size=3", "--keep_best_checkpoint", "--eval_every_n_steps=8"]


def run(folder, two_layers, *given):
    tiny.write_table(folder / "data")
    run_classifier.main(
        [
            "run_classifier.py", *TABLE, *TRAINING, f"--data_dir={folder / 'data'}", "--num_train_epochs=2",
            f"--init_checkpoint={two_layers}", f"--output_dir={folder / 'run'}", *given,
        ]
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def lora(tmp_path_factory, two_layers):
    """A run of low-rank deltas, with an export in which they are merged."""
    actions = ["--do_train", "--do_predict", "--do_export", "--merge_adapters", "--export_signatures=ids"]
    return run(tmp_path_factory.mktemp("lora"), two_layers, *LORA, *actions)


@pytest.fixture(scope="module")
def adapters(tmp_path_factory, two_layers):
    """A run of adapters that keeps its best checkpoint, with an export."""
    actions = ["--do_train", "--do_predict", "--do_export", "--export_signatures=ids"]
    return run(tmp_path_factory.mktemp("adapters"), two_layers, *ADAPTERS, *actions)


def test_a_checkpoint_holds_what_was_trained(lora, two_layers):
    held = checkpoint_variables(str(lora / "run"))
    weights = {name for name in held if "adam" not in name} - {"global_step"}
    projections = [f"bert/encoder/layer_{layer}/{part}" for layer in (0, 1) for part in
                   ("attention/self/query", "attention/self/value", "output/dense")]  # fmt: skip
    deltas = {f"{projection}/{leaf}" for projection in projections for leaf in ("lora_a", "lora_b")}
    assert weights == deltas | {"output_weights", "output_bias"}
    assert np.abs(read_tensor(str(lora / "run"), f"{projections[0]}/lora_b")).max() > 0
    base = json.loads((lora / "run" / "run.json").read_text())["base"]
    assert base == {"path": str(two_layers), "fingerprint": base_fingerprint(str(two_layers))}


@pytest.mark.slow
def test_adapters_are_saved_with_the_normalizations_they_train(adapters):
    held = checkpoint_variables(str(adapters / "run" / "best"))
    assert "bert/embeddings/LayerNorm/gamma" in held
    assert held["bert/encoder/layer_1/attention/output/adapters/weights1"] == (16, 3)
    assert not any(name.endswith("kernel") for name in held)


@pytest.mark.parametrize("kind", ["lora", pytest.param("adapters", marks=pytest.mark.slow)])
def test_an_export_answers_as_the_run(kind, request):
    folder = request.getfixturevalue(kind) / "run"
    (export,) = (folder / "export_ids").iterdir()
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    with Predictor(export) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_allclose(
            list(answer["probabilities"].values()), list(row["probabilities"].values()), atol=1e-5
        )
    names = {name for name, _ in tf.train.list_variables(str(export / "variables" / "variables"))}
    assert any("lora" in name or "adapters" in name for name in names) == (kind == "adapters")


def test_merging_is_the_product():
    rng = np.random.default_rng(0)
    kernel, down, up = rng.normal(size=[4, 3]), rng.normal(size=[4, 2]), rng.normal(size=[2, 3])
    folded = with_deltas({"a/kernel": kernel, "a/lora_a": down, "a/lora_b": up, "b/kernel": kernel}, 1.5)
    np.testing.assert_allclose(folded["a/kernel"], kernel + 1.5 * down @ up, rtol=1e-6)
    assert folded.keys() == {"a/kernel", "b/kernel"}
    np.testing.assert_array_equal(folded["b/kernel"], kernel)


def another_base(two_layers, folder):
    """The same model with one other weight."""
    shutil.copytree(two_layers, folder)
    prefix = str(folder / "bert_model.ckpt")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, _ in tf.train.list_variables(prefix):
            value = tf.train.load_variable(prefix, name)
            tf.compat.v1.get_variable(name, initializer=value + 1e-3 * name.endswith("layer_1/output/dense/bias"))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, prefix, write_meta_graph=False)
    return folder


def test_another_base_is_refused(lora, two_layers, tmp_path, run_script):
    other = another_base(two_layers, tmp_path / "other")
    given = [*TABLE, f"--data_dir={lora / 'data'}", f"--output_dir={lora / 'run'}", "--do_eval"]
    code, _, err = run_script(run_classifier.main, *given, f"--init_checkpoint={other}")
    assert code == 2
    assert f"error: {other}: has other weights (fingerprint " in err
    assert f"trained on ({two_layers}, fingerprint " in err


@pytest.mark.parametrize("action", ["evaluate", "export"])
def test_a_base_that_changes_within_a_command_is_refused(action, lora, two_layers, tmp_path, run_script, monkeypatch):
    other = another_base(two_layers, tmp_path / "other")
    base = shutil.copytree(two_layers, tmp_path / "base")
    run = shutil.copytree(lora / "run", tmp_path / "run")
    before = {path.name for path in (run / "export_ids").iterdir()}
    act = getattr(Experiment, action)

    def change_and_act(experiment, *given):
        shutil.copytree(other, base, dirs_exist_ok=True, copy_function=shutil.copyfile)
        return act(experiment, *given)

    monkeypatch.setattr(Experiment, action, change_and_act)
    command = "--do_eval" if action == "evaluate" else "--do_export --merge_adapters --export_signatures=ids"
    given = [*TABLE, f"--data_dir={lora / 'data'}", f"--output_dir={run}", f"--init_checkpoint={base}"]
    code, _, err = run_script(run_classifier.main, *given, *command.split())
    now, then = base_fingerprint(str(other)), base_fingerprint(str(two_layers))
    assert code == 2
    assert f"error: {base}: has other weights (fingerprint {now}) than when this command began ({then}), and" in err
    assert {path.name for path in (run / "export_ids").iterdir()} == before


def test_a_base_is_read_again_only_once_its_files_have_changed(two_layers, tmp_path, monkeypatch):
    base = shutil.copytree(two_layers, tmp_path / "base")
    fingerprint = base_fingerprint(str(base))
    read = []
    monkeypatch.setattr(bases, "read_tensors", lambda *given: read.append(given) or read_tensors(*given))
    check_base(str(base), fingerprint)
    assert not read
    os.utime(base / "bert_model.ckpt.index", (1, 1))
    check_base(str(base), fingerprint)
    assert len(read) == 1
    shutil.rmtree(base)
    with pytest.raises(CheckpointError, match="no checkpoint there"):
        check_base(str(base), fingerprint)


def test_a_base_that_is_gone_is_named(tmp_path):
    recorded = {"path": str(tmp_path / "gone"), "fingerprint": "0"}
    with pytest.raises(CheckpointError, match=r"gone: the base that --output_dir=.* was trained on is not there"):
        settled_base(None, recorded, tmp_path)
    with pytest.raises(FlagError, match="--init_checkpoint is missing: adapters, LoRA"):
        settled_base(None, None, tmp_path)


def test_later_commands_keep_what_is_inserted(lora, run_script, two_layers, tmp_path):
    given = [*TABLE, f"--data_dir={lora / 'data'}", f"--output_dir={lora / 'run'}"]
    code, _, err = run_script(run_classifier.main, *given, "--do_eval", "--lora_rank=3")
    assert (code, "--lora_rank=3 contradicts" in err) == (2, True)
    code, _, err = run_script(run_classifier.main, *given, "--do_eval", "--adapter_size=3")
    assert (code, "--adapter_size=3 contradicts" in err) == (2, True)
    elsewhere = [*TABLE, f"--data_dir={lora / 'data'}", f"--output_dir={tmp_path / 'new'}", *TRAINING, "--do_train"]
    code, _, err = run_script(run_classifier.main, *elsewhere, f"--init_checkpoint={lora / 'run'}")
    assert code == 2
    assert f"holds only what was trained in or on {two_layers}; give that as --init_checkpoint, which is the" in err


ERRORS = {
    "--lora_rank=0": "lora_rank",
    "--lora_rank=2 --adapter_size=2": "--adapter_size and --lora_rank insert two kinds of parts",
    "--lora_rank=2 --lora_targets=query,values": "--lora_targets=query,values: no layer 'values'",
    "--lora_alpha=2": "--lora_alpha needs --lora_rank",
    "--adapter=pfeiffer": "--adapter needs --adapter_size",
    "--lora_rank=2 --merge_adapters": "--merge_adapters needs --do_export",
    "--adapter_size=2 --merge_adapters --do_export": "bottlenecks are not linear",
    "--merge_adapters --do_export": "there are none",
}


@pytest.mark.parametrize("given", ERRORS)
def test_what_cannot_be_inserted_is_one_line(given, run_script, two_layers, table_dir, tmp_path):
    output = tmp_path / "run"
    arguments = [*TABLE, f"--data_dir={table_dir}", f"--init_checkpoint={two_layers}", f"--output_dir={output}"]
    code, _, err = run_script(run_classifier.main, *arguments, *TRAINING, "--do_train", *given.split())
    assert code == 2
    assert err.count("error: ") == 1
    assert ERRORS[given] in err
    assert not output.exists()


def test_flags_become_what_is_inserted():
    flags = SimpleNamespace(
        adapter_size=4, adapter="pfeiffer", adapter_activation=None, adapter_layer_norms=True, lora_rank=None,
        lora_alpha=None, lora_targets="query,value", lora_dropout=0.0, typed=set(),
    )  # fmt: skip
    found = parse_insertions(flags)
    assert (found.size, found.activation, found.layer_norms) == (4, "relu", False)
    flags.adapter_size, flags.lora_rank, flags.lora_targets = None, 4, "value, query"
    found = parse_insertions(flags)
    assert (found.rank, found.scale, found.targets) == (4, 2.0, ("query", "value"))
