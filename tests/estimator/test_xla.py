"""XLA: asked for by a flag, it compiles the graph, and the numbers stay."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from command_line.app import XLA_FOR_CPU, let_xla_compile_for_cpu
from estimator.config import DeviceSettings, TrainingSettings
from tests.command_line.test_run_classifier import TABLE, TRAINING

ROOT = Path(__file__).resolve().parents[2]
# Seen by the runs of the script; the compiler writes what it compiled there.
DUMP = "--xla_dump_hlo_as_text --xla_dump_to="


def run(output_dir, *flags, **environment):
    """The script in a process of its own, as TensorFlow reads its compiler's flags once."""
    arguments = [*TABLE, *TRAINING, f"--output_dir={output_dir}", *flags]
    done = subprocess.run(
        [sys.executable, "run_classifier.py", *arguments],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def events(folder, kind):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_model):
    """The same run, padded to the full length, compiled and not."""
    from tests.support import tiny

    folder = tmp_path_factory.mktemp("runs")
    data = tiny.write_table(folder / "data")
    common = [f"--data_dir={data}", f"--init_checkpoint={tiny_model}", "--log_every_n_steps=1", "--do_train"]
    common += ["--do_eval", "--num_train_epochs=0.5", "--seed=5"]
    errors = {}
    for name, flag in (("plain", "--pad_to_max_length"), ("compiled", "--use_xla")):
        dump = {"XLA_FLAGS": f"{DUMP}{folder / name / 'dump'}"}
        errors[name] = run(folder / name, *common, flag, **dump)
    return folder, errors


@pytest.mark.slow
def test_it_compiles(runs):
    folder, errors = runs
    assert "CPU threads, float32, XLA\n" in errors["compiled"]
    dumped = {name: list((folder / name / "dump").glob("*after_optimizations.txt")) for name in errors}
    assert not dumped["plain"]
    texts = [path.read_text() for path in dumped["compiled"]]
    assert any(" dot(" in text for text in texts)  # a matrix product


@pytest.mark.slow
def test_losses_are_those_without_it(runs):
    folder, _ = runs
    plain, compiled = ([line["loss"] for line in events(folder / name, "train")] for name in ("plain", "compiled"))
    assert len(plain) == 4
    # The head's dropout draws the same numbers under the same seed in both.
    np.testing.assert_allclose(compiled[0], plain[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(compiled, plain, rtol=0, atol=1e-3)
    left, right = (events(folder / name, "eval")[-1] for name in ("plain", "compiled"))
    assert left["eval_loss"] == pytest.approx(right["eval_loss"], abs=1e-3)


def test_it_needs_static_shapes():
    assert DeviceSettings(use_xla=True).needs_static_shapes
    assert not DeviceSettings(precision="bf16").needs_static_shapes


def test_the_session_asks_for_it_and_else_stays_the_estimators(tmp_path):
    import tensorflow as tf

    from estimator.devices import build_estimator

    def session_of(**device):
        def model_fn(features, labels, mode, params):
            return None

        return build_estimator(model_fn, tmp_path, TrainingSettings(), DeviceSettings(**device))._session_config

    compiled, plain = session_of(use_xla=True), session_of()
    level = compiled.graph_options.optimizer_options
    assert level.global_jit_level == tf.compat.v1.OptimizerOptions.ON_1
    level.ClearField("global_jit_level")
    compiled.graph_options.ClearField("optimizer_options")
    assert compiled == plain


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, XLA_FOR_CPU),
        ("--tf_xla_min_cluster_size=2", f"--tf_xla_min_cluster_size=2 {XLA_FOR_CPU}"),
        (f"{XLA_FOR_CPU}=false", f"{XLA_FOR_CPU}=false"),
    ],
)
def test_the_cpu_is_let_in_unless_the_user_says_otherwise(monkeypatch, given, expected):
    monkeypatch.setenv("TF_XLA_FLAGS", given or "")
    if given is None:
        monkeypatch.delenv("TF_XLA_FLAGS")
    let_xla_compile_for_cpu()
    assert os.environ["TF_XLA_FLAGS"] == expected
