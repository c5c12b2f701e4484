"""Accents apart from case: from flags and files to later commands, exports and converted folders."""

import json
import shutil

import pytest

import convert_checkpoint
import extract_features
import run_classifier
from common.run_directory import RunDirectory
from serving.predictor import Predictor
from tests.support import tiny

TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=12", "--train_batch_size=8"]
WORDS = {"good": "göod", "bad": "bäd"}
"""Words that tell the labels apart, as the table has them."""


@pytest.fixture
def model(tiny_model, tmp_path):
    """A model whose vocabulary has words with accents in the places of unused tokens."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tokens = (folder / "vocab.txt").read_text(encoding="utf-8")
    for index, word in enumerate(WORDS.values()):
        tokens = tokens.replace(f"[unused{index}]", word)
    (folder / "vocab.txt").write_text(tokens, encoding="utf-8")
    return folder


def table(folder):
    tiny.write_table(folder, train=16, dev=8, test=4)
    for path in folder.glob("*.tsv"):
        text = path.read_text(encoding="utf-8")
        for plain, accented in WORDS.items():
            text = text.replace(plain, accented.upper())
        path.write_text(text, encoding="utf-8")
    return folder


def test_what_a_flag_and_a_run_say_goes_together(model, tmp_path, run_script):
    data, run = table(tmp_path / "data"), tmp_path / "run"
    common = [*TABLE, f"--data_dir={data}", f"--init_checkpoint={model}", f"--output_dir={run}"]
    code, _, err = run_script(run_classifier.main, *common, "--do_train", "--num_train_epochs=0.5", "--nostrip_accents")
    assert code == 0, err
    described = json.loads((run / "run.json").read_text())
    assert described["flags"]["strip_accents"] is described["identity"]["strip_accents"] is False
    code, _, err = run_script(run_classifier.main, *common, "--do_eval", "--strip_accents")
    assert code == 2
    assert f"--strip_accents=true contradicts --output_dir={run}, which was trained with --strip_accents=false" in err
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={run}", f"--output_dir={tmp_path / 'hf'}", "--format=huggingface"
    )
    assert code == 0, err
    assert json.loads((tmp_path / "hf" / "tokenizer_config.json").read_text())["strip_accents"] is False
    # Another run that starts from either, and the vectors of either, read text alike.
    for source in (run, tmp_path / "hf"):
        (tmp_path / "texts.txt").write_text("GÖOD\n", encoding="utf-8")
        code, _, err = run_script(
            extract_features.main, f"--init_checkpoint={source}", f"--input_file={tmp_path / 'texts.txt'}",
            f"--output_file={tmp_path / 'vectors.jsonl'}", "--layers=-1", "--max_seq_length=8",
        )  # fmt: skip
        assert code == 0, err
        (line,) = (tmp_path / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
        assert [one["token"] for one in json.loads(line)["features"]] == ["[CLS]", "göod", "[SEP]"]


@pytest.mark.slow
def test_an_export_reads_text_as_the_run(model, tmp_path, run_script):
    data, run = table(tmp_path / "data"), tmp_path / "run"
    common = [*TABLE, f"--data_dir={data}", f"--init_checkpoint={model}", f"--output_dir={run}"]
    actions = ["--do_train", "--do_predict", "--do_export", "--num_train_epochs=2", "--learning_rate=1e-2"]
    code, _, err = run_script(run_classifier.main, *common, *actions, "--nostrip_accents")
    assert code == 0, err
    code, _, err = run_script(run_classifier.main, *common, "--do_predict", "--do_eval")
    assert code == 0, err
    assert "--strip_accents=false" in err  # from run.json
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any(word in row["text_a"].lower() for row in rows for word in WORDS.values())
    for export in (RunDirectory(run).latest_export(), next((run / "export_ids").iterdir())):
        settings = json.loads((export / "assets" / "tokenizer.json").read_text())
        assert (settings["do_lower_case"], settings["strip_accents"]) == (True, False)
        with Predictor(export) as predictor:
            answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
        for row, answer in zip(rows, answers, strict=True):
            assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
