"""Ways to compute that every family has: recomputation, micro-batches, fixed lengths, frozen parts, XLA, bf16."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import run_classifier
from modeling.checkpoints.restore import read_tensor
from modeling.families import registry
from tests.support import families, tiny

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=12", "--train_batch_size=4",
    "--num_train_epochs=1", "--learning_rate=1e-3", "--hidden_dropout=0", "--attention_dropout=0",
    "--seed=3", "--labels=neg,pos,other", "--do_train", "--do_eval",
]  # fmt: skip
"""As many labels as the head that comes with the weights has: a new one would start elsewhere in another graph."""


def loss(run):
    return json.loads((run / "eval_results.json").read_text())["eval_loss"]


@pytest.mark.slow
@pytest.mark.parametrize("family", registry.FAMILIES, ids=lambda family: family.model_type)
def test_a_family_is_trained_in_every_way(family, tmp_path, run_script):
    model = families.model_folder(family, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"classifier_dropout": 0.0, "classifier_dropout_prob": 0.0}))
    data = tiny.write_table(tmp_path / "data", train=8, dev=8, test=4)
    common = [*FLAGS, f"--data_dir={data}", f"--init_checkpoint={model}", "--freeze=embeddings"]
    ways = {
        "plain": [],
        "saving": ["--recompute", "--gradient_accumulation_steps=2", "--pad_to_max_length"],
    }
    for name, flags in ways.items():
        code, _, err = run_script(run_classifier.main, *common, *flags, f"--output_dir={tmp_path / name}")
        assert code == 0, err
    # A process of its own: TensorFlow reads the flags of its compiler once.
    further = ["--use_xla", "--precision=bf16", f"--output_dir={tmp_path / 'compiled'}"]
    done = subprocess.run(
        [sys.executable, "run_classifier.py", *common, *further], cwd=ROOT, env=dict(os.environ), capture_output=True,
        text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "bf16, XLA" in done.stderr
    assert loss(tmp_path / "saving") == pytest.approx(loss(tmp_path / "plain"), abs=1e-4)
    assert loss(tmp_path / "compiled") == pytest.approx(loss(tmp_path / "plain"), abs=0.05)
    for name in (*ways, "compiled"):
        frozen, trained = "bert/embeddings/position_embeddings", "bert/encoder/layer_0/intermediate/dense/kernel"
        before, after = (read_tensor(str(folder), frozen) for folder in (model, tmp_path / name))
        np.testing.assert_array_equal(before, after)
        assert np.abs(read_tensor(str(model), trained) - read_tensor(str(tmp_path / name), trained)).max() > 1e-5
