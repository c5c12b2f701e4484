"""--do_predict --runner: an Apache Beam pipeline gives the answers of one process."""

import json

import pytest

import run_classifier
import run_squad
from estimator import bulk
from tests.command_line.test_run_squad import LENGTHS, example_file, write_model
from tests.support import tiny


def predictions(folder, name):
    text = (folder / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)


def near(value):
    if isinstance(value, dict):
        return {key: near(one) for key, one in value.items()}
    if isinstance(value, list):
        return [near(one) for one in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value


@pytest.mark.slow
def test_a_pipeline_gives_the_same_answers(tiny_model, tmp_path, run_script, monkeypatch):
    pytest.importorskip("apache_beam", reason="pip install apache-beam runs it")
    monkeypatch.setattr(bulk, "PART_RECORDS", 4)
    tiny.write_table(tmp_path / "data")
    run = tmp_path / "run"
    flags = [
        "--task_name=table", "--text_a=text", "--label=label", f"--data_dir={tmp_path / 'data'}", f"--output_dir={run}",
        f"--init_checkpoint={tiny_model}", "--max_seq_length=24", "--predict_batch_size=3",
    ]  # fmt: skip
    training = ("--do_train", "--num_train_epochs=1", "--learning_rate=1e-2")
    code, _, err = run_script(run_classifier.main, *flags, *training, "--do_predict")
    assert code == 0, err
    expected = predictions(run, "predictions.jsonl")
    (run / "predictions.jsonl").unlink()
    code, _, err = run_script(run_classifier.main, *flags, "--do_predict", "--runner=FnApiRunner")
    assert code == 0, err
    assert "10 records in 3 parts on FnApiRunner" in err
    assert predictions(run, "predictions.jsonl") == near(expected)
    assert not list(run.glob("predict.*.tmp-*"))
    (run / "predictions.jsonl").unlink()
    code, _, err = run_script(
        run_classifier.main, *flags, "--do_predict", "--runner=tests.support.idle_runner.IdleRunner"
    )
    assert code == 2
    assert "has ended as DONE, but the file is not here; all workers must see --output_dir under the same path" in err
    assert not (run / "predictions.jsonl").exists()
    assert not list(run.glob("predict.*.tmp-*"))


@pytest.mark.slow
def test_questions_of_several_windows(tmp_path, run_script):
    pytest.importorskip("apache_beam", reason="pip install apache-beam runs it")
    files = [f"--{flag}_file={example_file('en', split)}" for flag, split in (("train", "train"), ("predict", "dev"))]
    run = tmp_path / "run"
    flags = [*write_model(tmp_path, "en"), *LENGTHS, *files, f"--output_dir={run}", "--version_2_with_negative"]
    code, _, err = run_script(run_squad.main, *flags, "--do_train", "--num_train_epochs=1", "--do_predict")
    assert code == 0, err
    expected = predictions(run, "predictions.json")
    (run / "predictions.json").unlink()
    code, _, err = run_script(run_squad.main, *flags, "--do_predict", "--runner=FnApiRunner")
    assert code == 0, err
    assert predictions(run, "predictions.json") == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--do_eval", "--runner=DirectRunner"], "--runner=DirectRunner predicts files; add --do_predict, or leave it"),
        (["--do_predict", "--runner=X", "--predict_file=-"], "--runner=X predicts files; add --do_predict"),
        (["--do_predict", "--beam_options=--a=1"], "--beam_options are for Apache Beam; name a --runner"),
    ],
)
def test_flags_that_do_not_go_together(run_script, tmp_path, flags, message):
    code, _, err = run_script(run_classifier.main, f"--output_dir={tmp_path / 'run'}", *flags)
    assert code == 2
    assert message in err
    assert not (tmp_path / "run").exists()
