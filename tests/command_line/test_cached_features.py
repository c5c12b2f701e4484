"""A head on kept outputs of a frozen encoder: the same numbers as through the encoder, once computed."""

import json
import shutil

import numpy as np
import pytest

import run_classifier
import run_ner
from common.errors import DataError
from estimator import row_values
from modeling.checkpoints.restore import checkpoint_variables, read_tensors
from modeling.checkpoints.sources import save_tensors
from serving.predictor import Predictor
from tests.command_line.test_run_classifier import TABLE, TRAINING, results
from tests.support import tiny

FROZEN = ["--freeze=encoder,pooler", "--hidden_dropout=0", "--attention_dropout=0"]


def arguments(folder, tiny_model, name, *given):
    return [
        *TABLE, *TRAINING, f"--data_dir={folder / 'data'}", f"--init_checkpoint={tiny_model}", "--num_train_epochs=3",
        f"--output_dir={folder / name}", *FROZEN, *given,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def cached(tmp_path_factory, tiny_model):
    """A run on kept outputs."""
    folder = tmp_path_factory.mktemp("cached")
    tiny.write_table(folder / "data")
    actions = ["--do_train", "--do_eval", "--do_predict", "--pooling=mean_max", "--head_layers=2", "--head_width=8"]
    export = ["--do_export", "--export_signatures=ids", "--cache_features=float32"]
    run_classifier.main(["x", *arguments(folder, tiny_model, "kept", *actions, *export)])
    return folder


def test_a_checkpoint_holds_the_head(cached):
    held = {name for name in checkpoint_variables(str(cached / "kept")) if "adam" not in name}
    assert held == {
        "global_step", "output_weights", "output_bias", "head/pooled/layer_0/kernel", "head/pooled/layer_0/bias",
    }  # fmt: skip


def test_kept_outputs_are_those_of_the_encoder(cached):
    """The loss on kept outputs is that of the answers through the encoder."""
    (export,) = (cached / "kept" / "export_ids").iterdir()
    rows = [line.split("\t") for line in (cached / "data" / "dev.tsv").read_text().splitlines()[1:]]
    with Predictor(export) as predictor:
        answers = predictor.answer([{"text_a": text} for text, _ in rows])
    losses = [-np.log(answer["probabilities"][label]) for answer, (_, label) in zip(answers, rows, strict=True)]
    assert results(cached / "kept")["eval_loss"] == pytest.approx(np.mean(losses), abs=1e-5)


def test_predictions_and_exports_go_through_the_encoder(cached):
    run = cached / "kept"
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    (export,) = (run / "export_ids").iterdir()
    with Predictor(export) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        np.testing.assert_allclose(
            list(answer["probabilities"].values()), list(row["probabilities"].values()), atol=1e-5
        )


def test_outputs_are_reused_and_computed_again(cached, tiny_model, run_script, tmp_path):
    run = shutil.copytree(cached / "kept", tmp_path / "kept")
    given = arguments(cached, tiny_model, "kept", "--do_eval", "--num_train_epochs=3")
    given = [one for one in given if not one.startswith("--output_dir")] + [f"--output_dir={run}"]
    before = results(run)
    path = run / "eval.features"
    path.write_bytes(path.read_bytes()[:-8])  # as a full disk leaves it
    code, _, err = run_script(run_classifier.main, *given)
    assert code == 0
    assert f"computing {path} again" in err
    assert results(run) == pytest.approx(before, abs=1e-6)
    assert f"{path}: 20 vectors of 32 in float32" in err


def written(folder, vectors, lengths, dtype):
    class Records:
        path, num_records, files = folder / "train.tf_record", len(lengths), ()

    Records.path.write_bytes(b"records")

    def rows():
        for row in np.argsort(-np.array(lengths)):
            yield row, vectors[row, : lengths[row]]

    what = (
        "the encoder's outputs",
        ".features",
        "vectors",
        {"base": "1"},
        dtype,
        False,
        vectors.shape[2],
        len(lengths),
    )
    return row_values.built(Records, row_values.Wanted(*what), rows)


def test_rows_come_back_in_their_order(tmp_path):
    vectors = np.random.default_rng(0).normal(size=[5, 1, 3]).astype(np.float32)
    cache = written(tmp_path, vectors, [1] * 5, "float32")
    np.testing.assert_array_equal(cache.read(np.array([3, 0]))["vectors"], vectors[[3, 0], 0])
    halves = written(tmp_path, vectors, [1] * 5, "float16")
    np.testing.assert_allclose(halves.read(np.array([4]))["vectors"], vectors[[4], 0], atol=2e-3)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(row_values.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"the encoder's outputs need .* MiB \(5 vectors of 3 in float32\)"):
        written(tmp_path, np.zeros([5, 1, 3], np.float32), [1] * 5, "float32")
    assert not list(tmp_path.glob("*.features*"))


ERRORS = {
    "--freeze=encoder": "--cache_features=float16 needs a wholly frozen encoder; add --freeze=encoder,pooler",
    "--freeze=encoder,pooler --layer_mix=free": "--layer_mix is still learned",
    "--freeze=encoder,pooler --truncation=windows": "keeps the outputs of one sequence a row; remove it, or --trunc",
    "--freeze=encoder,pooler --lora_rank=2": "--cache_features=float16 and --lora_rank do not go together",
    "--freeze=encoder,pooler --gradient_accumulation_steps=2": "needs no --gradient_accumulation_steps",
}


@pytest.mark.parametrize("given", ERRORS)
def test_what_cannot_be_kept_is_one_line(given, run_script, tiny_model, table_dir, tmp_path):
    output = tmp_path / "run"
    command = [
        *TABLE,
        *TRAINING,
        f"--data_dir={table_dir}",
        f"--init_checkpoint={tiny_model}",
        f"--output_dir={output}",
    ]
    code, _, err = run_script(run_classifier.main, *command, "--do_train", "--cache_features=float16", *given.split())
    assert (code, ERRORS[given] in err) == (2, True)
    assert not output.exists()


@pytest.fixture
def without_pooler(tiny_model, tmp_path):
    """The tiny model without a pooler, as some encoders are published."""
    folder = tmp_path / "without"
    folder.mkdir()
    for name in ("vocab.txt", "bert_config.json"):
        shutil.copyfile(tiny_model / name, folder / name)
    names = [name for name in checkpoint_variables(str(tiny_model)) if "pooler" not in name]
    save_tensors(dict(read_tensors(str(tiny_model), names)), str(folder / "bert_model.ckpt"))
    return folder


def test_outputs_of_a_random_pooler_are_not_kept(without_pooler, table_dir, run_script, tmp_path):
    given = [
        *TABLE, *TRAINING, f"--data_dir={table_dir}", f"--init_checkpoint={without_pooler}", *FROZEN, "--do_train",
        "--num_train_epochs=1", f"--output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    code, _, err = run_script(run_classifier.main, *given, "--cache_features=float32")
    assert code == 2
    assert f"error: {without_pooler}: has no pooler (bert/pooler/dense/bias), which --pooling=pooled reads" in err
    assert not (tmp_path / "run").exists()
    code, _, err = run_script(run_classifier.main, *given)
    assert (code, "pooler keeps random weights: the checkpoint lacks bert/pooler/dense/kernel" in err) == (0, True)
    given[-1] = f"--output_dir={tmp_path / 'mean'}"
    code, _, err = run_script(run_classifier.main, *given, "--cache_features=float32", "--pooling=mean", "--do_predict")
    assert (code, "random weights" in err) == (0, False)


@pytest.mark.slow
def test_tags_are_learned_from_the_vectors_of_tokens(tmp_path, tiny_model):
    lines = [f"{word} {'B-X' if word in tiny.GOOD else 'O'}" for word in [*tiny.GOOD, *tiny.BAD, *tiny.FILLERS] * 3]
    sentences = ["\n".join(lines[start : start + 4 + start % 3]) for start in range(0, 56, 4)]
    for name in ("train", "dev"):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(sentences) + "\n")
    command = [
        "x", f"--data_dir={tmp_path}", f"--init_checkpoint={tiny_model}", "--max_seq_length=16", "--do_train",
        "--do_eval", "--train_batch_size=4", "--num_train_epochs=4", "--learning_rate=1e-2", *FROZEN,
        "--concat_layers=0-1", "--pooling=cls",
    ]  # fmt: skip
    run_ner.main([*command, f"--output_dir={tmp_path / 'kept'}", "--cache_features=float16"])
    run_ner.main([*command, f"--output_dir={tmp_path / 'through'}"])
    assert results(tmp_path / "kept")["loss"] == pytest.approx(results(tmp_path / "through")["loss"], abs=0.1)
