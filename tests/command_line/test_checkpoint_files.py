"""What a run does with its checkpoints where names, files or the file `checkpoint` are not as they should be."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import run_classifier
from common.checkpoints import latest_checkpoint
from common.exclusive import locked
from serving.predictor import Predictor
from tests.support import tiny

TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8"]
LEARNING = ["--learning_rate=1e-2", "--num_train_epochs=2", "--save_checkpoints_steps=8", "--log_every_n_steps=4"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_table(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data, tiny_model, tmp_path_factory):
    """A run with checkpoints of steps 0, 8 and 16, evaluated; tests work on copies."""
    run = tmp_path_factory.mktemp("trained") / "run"
    run_classifier.main(["script", *flags(data, tiny_model, run), "--do_train", "--do_eval"])
    return run


def flags(data, model, run):
    return [*TABLE, *LEARNING, f"--data_dir={data}", f"--init_checkpoint={model}", f"--output_dir={run}"]


def results(run):
    return json.loads((run / "eval_results.json").read_text())


def tensors(folder):
    reader = tf.train.load_checkpoint(latest_checkpoint(folder).prefix)
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.slow
def test_a_name_that_is_a_pattern_changes_nothing(run_script, data, tiny_model, trained, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "model[2]")
    run = tmp_path / "run[1]*"
    code, _, err = run_script(run_classifier.main, *flags(data, model, run), "--do_train", "--do_eval")
    assert code == 0, err
    assert results(run) == results(trained)
    further = ["--do_train", "--num_train_epochs=3", "--do_predict", "--do_export"]
    code, _, err = run_script(run_classifier.main, *flags(data, model, run), *further)
    assert code == 0, err
    assert "training 16 to 24 of 24 steps" in err
    assert sorted(path.name for path in run.glob("*.index")) == [f"model.ckpt-{step}.index" for step in (0, 16, 24, 8)]
    (export,) = (run / "export").iterdir()
    with Predictor(export) as predictor:
        (answer,) = predictor.answer([{"text_a": tiny.rows(1, 84)[0][0]}])
    first = json.loads((run / "predictions.jsonl").read_text().splitlines()[0])
    assert answer["probabilities"] == pytest.approx(first["probabilities"], abs=1e-6)
    # The same in a folder of a plain name.
    plain = Path(shutil.copytree(trained, tmp_path / "plain"))
    assert run_script(run_classifier.main, *flags(data, model, plain), *further[:2])[0] == 0
    for name, value in tensors(plain).items():
        np.testing.assert_array_equal(value, tf.train.load_checkpoint(str(plain)).get_tensor(name))


@pytest.fixture
def run_dir(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "run"))


def refused(run_script, data, model, run, *actions):
    """The one line that a command ends in, which changes nothing."""
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    code, _, err = run_script(run_classifier.main, *flags(data, model, run), *actions)
    assert code == 2, err
    assert "Traceback" not in err
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    return err.splitlines()[-1]


def test_a_damaged_checkpoint_gives_way_to_the_one_before(run_script, data, tiny_model, run_dir):
    weights = run_dir / "model.ckpt-16.data-00000-of-00001"
    weights.write_bytes(weights.read_bytes()[:5000])
    code, _, err = run_script(run_classifier.main, *flags(data, tiny_model, run_dir), "--do_eval")
    assert code == 0, err
    assert f"{run_dir}: {run_dir / 'model.ckpt-16'}: the .data file is missing, truncated or damaged" in err
    assert "; model.ckpt-8 is used" in err
    assert results(run_dir)["global_step"] == 8
    code, _, err = run_script(run_classifier.main, *flags(data, tiny_model, run_dir), "--do_train", "--do_eval")
    assert code == 0, err
    assert "training 8 to 16 of 16 steps" in err
    assert results(run_dir)["global_step"] == 16


def test_the_file_checkpoint_is_gone(run_script, data, tiny_model, trained, run_dir):
    (run_dir / "checkpoint").unlink()
    code, _, err = run_script(run_classifier.main, *flags(data, tiny_model, run_dir), "--do_train", "--do_eval")
    assert code == 0, err
    assert f"{run_dir}: its file checkpoint is missing; model.ckpt-16 is used" in err
    assert "16 of 16 steps are done" in err
    assert results(run_dir) == results(trained)


def test_no_trained_checkpoint_is_whole(run_script, data, tiny_model, run_dir):
    for step in (8, 16):
        (run_dir / f"model.ckpt-{step}.index").unlink()
    for action in ("--do_eval", "--do_train", "--do_predict", "--do_export"):
        line = refused(run_script, data, tiny_model, run_dir, action)
        assert line.startswith(f"error: {run_dir}: model.ckpt-16 has no .index file, and there is no other trained")


def test_a_checkpoint_file_of_another_run(run_script, data, tiny_model, trained, run_dir):
    (run_dir / "checkpoint").write_text(f'model_checkpoint_path: "{trained / "model.ckpt-16"}"\n')
    for path in run_dir.glob("model.ckpt-16*"):
        path.unlink()
    for action in ("--do_eval", "--do_train"):
        line = refused(run_script, data, tiny_model, run_dir, action)
        assert f"names {trained / 'model.ckpt-16'}, which is in another folder" in line


def test_a_second_command_in_the_same_directory_is_refused(run_script, data, tiny_model, run_dir):
    with locked(run_dir):
        line = refused(run_script, data, tiny_model, run_dir, "--do_eval")
    assert line == (
        f"error: --output_dir={run_dir}: another process writes to it; wait until it has ended, or choose another"
    )
