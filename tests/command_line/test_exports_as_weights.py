"""An export as first weights, and as what is converted: its labels, problem type and casing are taken along."""

import json
import shutil
from pathlib import Path

import pytest

import convert_checkpoint
import run_classifier
from modeling.checkpoints.label_order import labels_beside
from tests.command_line.test_run_classifier import TABLE
from tests.support import serving


def answers(run_script, folder: Path, *given: str) -> list[dict]:
    """Probabilities by label that a new run gives without training, and its log in the folder."""
    (folder / "test.tsv").write_text("text\nthe film was good\nthe very dull day\n")
    code, _, err = run_script(
        run_classifier.main, *TABLE, "--max_seq_length=24", f"--data_dir={folder}", "--do_predict",
        f"--output_dir={folder / 'run'}", *given,
    )  # fmt: skip
    assert code == 0, err
    (folder / "log").write_text(err)
    lines = (folder / "run" / "predictions.jsonl").read_text().splitlines()
    return [json.loads(line)["probabilities"] for line in lines]


@pytest.fixture
def cased(tiny_model, tmp_path):
    """An export of a multi-label classifier of cased text."""
    export = serving.export_classifier(tiny_model, tmp_path / "cased", "multi_label")
    path = export / "assets" / "tokenizer.json"
    settings = json.loads(path.read_text()) | {"do_lower_case": False, "strip_accents": True}
    path.write_text(json.dumps(settings))
    return export


def test_labels_of_an_export_are_matched_by_name(classifier_export, tmp_path, run_script):
    source = [f"--init_checkpoint={classifier_export}"]
    assert labels_beside(str(classifier_export / "variables" / "variables")) == ["neg", "pos"]
    found = []
    for number, labels in enumerate(["neg,pos", "pos,neg"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        found.append(answers(run_script, folder, *source, f"--labels={labels}"))
    assert (
        "has the labels in another order (neg, pos); they are matched by name" in (tmp_path / "1" / "log").read_text()
    )
    for one, two in zip(*found, strict=True):
        assert two == pytest.approx(one, abs=1e-6)
        assert one["neg"] != pytest.approx(one["pos"], abs=1e-3)


def test_text_is_read_as_an_export_read_it(cased, tmp_path, run_script):
    answers(run_script, tmp_path, f"--init_checkpoint={cased}", "--labels=neg,pos")
    identity = json.loads((tmp_path / "run" / "run.json").read_text())["identity"]
    assert (identity["do_lower_case"], identity["strip_accents"]) == (False, True)


@pytest.mark.parametrize("target", ["huggingface", "tensorflow"])
def test_a_converted_export_says_what_the_export_says(target, cased, tmp_path, run_script):
    given = [f"--init_checkpoint={cased}", f"--output_dir={tmp_path / 'made'}", f"--format={target}"]
    code, _, err = run_script(convert_checkpoint.main, *given)
    assert code == 0, err
    tokenizer = json.loads((tmp_path / "made" / "tokenizer_config.json").read_text())
    assert (tokenizer["do_lower_case"], tokenizer["strip_accents"]) == (False, True)
    if target == "tensorflow":
        assert (tmp_path / "made" / "labels.txt").read_text().split() == ["neg", "pos"]
        return
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    assert config["id2label"] == {"0": "neg", "1": "pos"}
    assert config["problem_type"] == "multi_label_classification"


def test_settings_of_an_export_that_cannot_be_read_are_named(cased, tmp_path, run_script):
    path = cased / "assets" / "tokenizer.json"
    path.write_text("{")
    given = [f"--init_checkpoint={cased}", f"--output_dir={tmp_path / 'made'}", "--format=huggingface"]
    code, _, err = run_script(convert_checkpoint.main, *given)
    assert (code, f"error: {path}: cannot be read (" in err, "export again" in err) == (2, True, True)
    shutil.rmtree(cased / "assets")  # weights alone say nothing
    code, _, err = run_script(convert_checkpoint.main, *given)
    assert (code, "--bert_config_file is missing" in err) == (2, True)
