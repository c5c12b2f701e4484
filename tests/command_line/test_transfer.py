"""What is read of the encoder and what of it is trained, through the scripts: training, later commands, exports."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

import convert_checkpoint
import run_classifier
from modeling.config import BertConfig
from modeling.reading import parse_reading
from serving.predictor import Predictor
from tests.command_line.test_run_classifier import TABLE, TRAINING
from tests.support import tiny

MIXED = ["--layer_mix=softmax", "--pooling=mean", "--head_layers=2", "--head_width=12", "--num_layers_used=1"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, tiny_model):
    """A run that reads a mix through a deeper head."""
    folder = tmp_path_factory.mktemp("mixed")
    tiny.write_table(folder / "data")
    run_classifier.main(
        [
            "run_classifier.py", *TABLE, *TRAINING, *MIXED, f"--data_dir={folder / 'data'}", "--num_train_epochs=4",
            f"--init_checkpoint={tiny_model}", f"--output_dir={folder / 'run'}", "--do_train", "--do_predict",
            "--do_export", "--export_signatures=ids",
        ]
    )  # fmt: skip
    return folder


def test_a_mix_is_trained_reported_and_exported(mixed):
    run = mixed / "run"
    weights = json.loads((run / "layer_mix.json").read_text())
    assert list(weights) == ["embeddings", "layer 0", "gamma"]
    assert weights["embeddings"] + weights["layer 0"] == pytest.approx(weights["gamma"])
    assert weights["gamma"] != 1.0
    assert (run / "layer_mix.png").read_bytes().startswith(b"\x89PNG")
    held = dict(tf.train.list_variables(str(run)))
    assert held["head/pooled/layer_0/kernel"] == [16, 12]
    assert held["output_weights"] == [2, 12]
    assert not any("layer_1" in name for name in held if name.startswith("bert/"))
    assert BertConfig.from_json_file(run / "bert_config.json").num_hidden_layers == 1
    (export,) = (run / "export_ids").iterdir()
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    with Predictor(export) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_allclose(
            list(answer["probabilities"].values()), list(row["probabilities"].values()), atol=1e-5
        )


def test_a_later_command_keeps_the_reading(mixed, run_script):
    given = [*TABLE, f"--data_dir={mixed / 'data'}", f"--output_dir={mixed / 'run'}", "--do_eval"]
    code, _, err = run_script(run_classifier.main, *given, "--pooling=max")
    assert (code, "--pooling=max contradicts" in err) == (2, True)
    code, _, err = run_script(run_classifier.main, *given, "--head_width=13", "--only_check_args")
    assert (code, "--head_width=13 contradicts" in err) == (2, True)


def test_no_class_of_hugging_face_reads_a_mix(mixed, run_script, tmp_path):
    arguments = [f"--init_checkpoint={mixed / 'run'}", f"--output_dir={tmp_path / 'hf'}", "--format=huggingface"]
    code, _, err = run_script(convert_checkpoint.main, *arguments)
    assert code == 2
    assert "--pooling=mean --layer_mix=softmax --head_layers=2, which no class of Hugging Face computes" in err
    (export,) = (mixed / "run" / "export_ids").iterdir()
    code, _, err = run_script(convert_checkpoint.main, f"--init_checkpoint={export}", *arguments[1:])
    assert code == 2
    assert "--layer_mix=softmax --mix_layers=embeddings,0 --head_layers=2, which no class of Hugging Face comput" in err
    assert not (tmp_path / "hf").exists()


def test_an_export_says_what_its_head_reads(mixed, run_script, tmp_path):
    (export,) = (mixed / "run" / "export_ids").iterdir()
    given = [*TABLE, f"--data_dir={mixed / 'data'}", f"--output_dir={tmp_path / 'run'}", f"--init_checkpoint={export}"]
    given += ["--do_predict", "--layer_mix=softmax", "--head_layers=2", "--head_width=12", "--max_seq_length=24"]
    code, _, err = run_script(run_classifier.main, *given)
    assert (code, "was trained with --pooling=mean --layer_mix=softmax" in err) == (2, True)
    code, _, err = run_script(run_classifier.main, *given, "--pooling=mean")
    assert code == 0, err
    one, two = ((folder / "run" / "test_results.tsv").read_text() for folder in (mixed, tmp_path))
    assert [[float(p) for p in line.split()] for line in one.splitlines()] == [
        pytest.approx([float(p) for p in line.split()], abs=1e-5) for line in two.splitlines()
    ]


ERRORS = {
    "--layer_mix=softmax --mix_layers=0-2": "--mix_layers=0-2: there is no layer 2: the model has 2 layers",
    "--mix_layers=0": "--mix_layers needs --layer_mix",
    "--layer_mix=free --mix_layers=0,0": "--mix_layers=0,0: 0 is named twice",
    "--layer_mix=free --concat_layers=0": "--concat_layers and --layer_mix read the layers in two ways",
    "--concat_layers=0-1": "--concat_layers=0-1: 2 layers side by side are wider than the pooler's input",
    "--concat_layers=7 --pooling=cls": "--concat_layers=7: there is no layer 7",
    "--num_layers_used=3": "has 2 layers; give at most that",
    "--head_layers=0": "head_layers",
}


@pytest.mark.parametrize("given", ERRORS)
def test_a_reading_that_cannot_be_is_one_line(given, run_script, two_layers, table_dir, tmp_path):
    run = tmp_path / "run"
    arguments = [*TABLE, f"--data_dir={table_dir}", f"--init_checkpoint={two_layers}", f"--output_dir={run}"]
    code, _, err = run_script(run_classifier.main, *arguments, *TRAINING, "--do_train", *given.split())
    assert code == 2
    assert err.startswith("error: ")
    assert ERRORS[given] in err
    assert not run.exists()


def test_layers_are_named_in_their_order():
    flags = dict.fromkeys(("concat_layers", "layer_mix", "mix_layers"))
    flags |= {"pooling": "pooled", "mix_learning_rate": 0.01, "head_layers": 1, "head_width": 256}
    config = BertConfig.from_dict(tiny.CONFIG | {"num_hidden_layers": 2})

    def read(**given):
        return parse_reading(SimpleNamespace(**{**flags, **given}), config)

    assert read().is_default
    assert read(layer_mix="free").mixed == ("embeddings", 0, 1)
    assert read(layer_mix="free", mix_layers="1, embeddings").mixed == (1, "embeddings")
    assert read(concat_layers="1,0", pooling="max").concat_layers == (1, 0)
    assert str(read(pooling="max", head_layers=3)) == "--pooling=max --head_layers=3"
    assert read(pooling="max", head_layers=3).flags() == {"pooling": "max", "head_layers": 3}
    assert read(layer_mix="free", mix_layers="1").flags() == {"layer_mix": "free", "mix_layers": "1"}
    assert read().flags() == {}
