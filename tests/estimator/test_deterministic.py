"""`--deterministic`: a run that was stopped and started again ends with the bits of one that never was."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

import run_classifier
from common.checkpoints import latest_checkpoint
from tests.support import tiny

FLAGS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8", "--do_train",
    "--learning_rate=1e-3", "--deterministic", "--save_checkpoints_steps=3", "--keep_checkpoint_max=0",
    "--num_train_epochs=1.25",
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tiny_model, tmp_path_factory):
    """The tiny model with dropout."""
    folder = tmp_path_factory.mktemp("dropping") / "model"
    shutil.copytree(tiny_model, folder)
    settings = {**tiny.CONFIG, "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
    (folder / "bert_config.json").write_text(json.dumps(settings))
    return folder


def tensors(run, step):
    reader = tf.train.load_checkpoint(str(run / f"model.ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.parametrize(
    "options",
    [[], pytest.param(["--gradient_accumulation_steps=2", "--recompute"], marks=pytest.mark.slow)],
    ids=["plain", "parts"],
)
def test_resumed_is_as_never_stopped(run_script, model, table_dir, tmp_path, options):
    flags = [*FLAGS, *options, f"--data_dir={table_dir}", f"--init_checkpoint={model}"]
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    assert run_script(run_classifier.main, *flags, f"--output_dir={whole}")[0] == 0
    assert latest_checkpoint(whole).name == "model.ckpt-10"
    shutil.copytree(whole, resumed)
    for step in (6, 9, 10):  # as if the process had been killed before step 6 was saved
        for path in resumed.glob(f"model.ckpt-{step}.*"):
            path.unlink()
    (resumed / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-3"\n')
    code, _, err = run_script(run_classifier.main, *flags, f"--output_dir={resumed}")
    assert code == 0, err
    assert "training 3 to 10 of 10 steps" in err
    for step in (6, 10):
        expected = tensors(whole, step)
        for name, value in tensors(resumed, step).items():
            np.testing.assert_array_equal(value, expected[name], err_msg=f"{step}: {name}")
    assert any(np.any(value != tensors(whole, 9)[name]) for name, value in tensors(whole, 10).items())
