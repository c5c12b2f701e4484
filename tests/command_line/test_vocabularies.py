"""Accents, Chinese characters and further tokens: from flags to later commands, exports and conversions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import convert_checkpoint
import create_pretraining_data
import extract_features
import run_classifier
import run_pretraining
from common.run_directory import RunDirectory
from modeling.checkpoints.restore import read_tensor
from modeling.checkpoints.variable_names import WORD_EMBEDDINGS
from serving.predictor import Predictor
from tests.support import tiny
from tokenization import SentencePieceTokenizer
from tokenization.kinds import CASING

DATA = Path(__file__).resolve().parents[1] / "data" / "families"
TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=12", "--train_batch_size=8"]
WORDS = {"good": "göod", "bad": "bäd"}
"""Words that tell the labels apart, as the table has them."""
LETTERS = ["--nostrip_accents", "--notokenize_chinese_chars"]


@pytest.fixture
def model(tiny_model, tmp_path):
    """A model whose vocabulary has words with accents and Chinese ones in the places of unused tokens."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    tokens = (folder / "vocab.txt").read_text(encoding="utf-8")
    for index, word in enumerate([*WORDS.values(), "中文", "##字"]):
        tokens = tokens.replace(f"[unused{index}]", word)
    (folder / "vocab.txt").write_text(tokens, encoding="utf-8")
    return folder


def table(folder):
    tiny.write_table(folder, train=16, dev=8, test=4)
    for path in folder.glob("*.tsv"):
        text = path.read_text(encoding="utf-8")
        for plain, accented in WORDS.items():
            text = text.replace(plain, f"{accented.upper()} 中文字")
        path.write_text(text, encoding="utf-8")
    return folder


def test_what_a_flag_and_a_run_say_goes_together(model, tmp_path, run_script):
    data, run = table(tmp_path / "data"), tmp_path / "run"
    common = [*TABLE, f"--data_dir={data}", f"--init_checkpoint={model}", f"--output_dir={run}"]
    code, _, err = run_script(run_classifier.main, *common, "--do_train", "--num_train_epochs=0.5", *LETTERS)
    assert code == 0, err
    described = json.loads((run / "run.json").read_text())
    for name in ("strip_accents", "tokenize_chinese_chars"):
        assert described["flags"][name] is described["identity"][name] is False
        code, _, err = run_script(run_classifier.main, *common, "--do_eval", f"--{name}")
        assert code == 2
        assert f"--{name}=true contradicts --output_dir={run}, which was trained with --{name}=false" in err
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={run}", f"--output_dir={tmp_path / 'hf'}", "--format=huggingface"
    )
    assert code == 0, err
    stated = json.loads((tmp_path / "hf" / "tokenizer_config.json").read_text())
    assert stated["strip_accents"] is stated["tokenize_chinese_chars"] is False
    # Another run that starts from either, and the vectors of either, read text alike.
    for source in (run, tmp_path / "hf"):
        (tmp_path / "texts.txt").write_text("GÖOD 中文字 中文\n", encoding="utf-8")
        code, _, err = run_script(
            extract_features.main, f"--init_checkpoint={source}", f"--input_file={tmp_path / 'texts.txt'}",
            f"--output_file={tmp_path / 'vectors.jsonl'}", "--layers=-1", "--max_seq_length=8",
        )  # fmt: skip
        assert code == 0, err
        (line,) = (tmp_path / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
        assert [one["token"] for one in json.loads(line)["features"]] == [
            "[CLS]",
            "göod",
            "中文",
            "##字",
            "中文",
            "[SEP]",
        ]


@pytest.mark.slow
def test_an_export_reads_text_as_the_run(model, tmp_path, run_script):
    data, run = table(tmp_path / "data"), tmp_path / "run"
    common = [*TABLE, f"--data_dir={data}", f"--init_checkpoint={model}", f"--output_dir={run}"]
    actions = ["--do_train", "--do_predict", "--do_export", "--num_train_epochs=2", "--learning_rate=1e-2"]
    code, _, err = run_script(run_classifier.main, *common, *actions, *LETTERS)
    assert code == 0, err
    code, _, err = run_script(run_classifier.main, *common, "--do_predict", "--do_eval")
    assert code == 0, err
    assert "--strip_accents=false --tokenize_chinese_chars=false" in err  # from run.json
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any(word in row["text_a"].lower() for row in rows for word in WORDS.values())
    for export in (RunDirectory(run).latest_export(), next((run / "export_ids").iterdir())):
        settings = json.loads((export / "assets" / "tokenizer.json").read_text())
        assert [settings[name] for name in CASING] == [True, False, False]
        with Predictor(export) as predictor:
            answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
        for row, answer in zip(rows, answers, strict=True):
            assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)


def albert(folder, *names):
    """A tiny ALBERT with these files of a tokenizer."""
    source = DATA / "albert"
    shutil.copytree(source / "AlbertForSequenceClassification", folder)
    for name in names:
        shutil.copy(source / "tokenizer" / name, folder / name)
    return folder


def test_an_albert_of_tokenizer_json_alone(tmp_path, run_script):
    (tmp_path / "texts.txt").write_text("the Film was good\nfine food ||| it was\n")
    written = {}
    for name in ("spiece.model", "tokenizer.json"):
        code, _, err = run_script(
            extract_features.main, f"--init_checkpoint={albert(tmp_path / name[:5], name)}", "--max_seq_length=12",
            f"--input_file={tmp_path / 'texts.txt'}", f"--output_file={tmp_path / name}.jsonl", "--layers=-1",
        )  # fmt: skip
        assert code == 0, err
        written[name] = (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8")
    assert written["tokenizer.json"] == written["spiece.model"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wordpiece", "json"])
def test_an_albert_with_another_vocabulary_is_trained_and_converted(kind, tmp_path, run_script):
    model = albert(tmp_path / "model", *(["tokenizer.json"] if kind == "json" else []))
    if kind == "wordpiece":
        (model / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS), encoding="utf-8")
    data, run = tiny.write_table(tmp_path / "data", train=16, dev=8, test=4), tmp_path / "run"
    common = [*TABLE, f"--data_dir={data}", f"--output_dir={run}"]
    code, _, err = run_script(
        run_classifier.main, *common, f"--init_checkpoint={model}", "--num_train_epochs=1", "--do_train",
        "--do_predict", "--do_export",
    )  # fmt: skip
    assert code == 0, err
    assert (run / ("vocab.txt" if kind == "wordpiece" else "tokenizer.json")).is_file()
    code, _, err = run_script(run_classifier.main, *common, "--do_eval")
    assert code == 0, err
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={run}", f"--output_dir={tmp_path / 'hf'}", "--format=huggingface"
    )
    assert code == 0, err
    settings = json.loads((tmp_path / "hf" / "tokenizer_config.json").read_text())
    special = ("BertTokenizer", "[UNK]") if kind == "wordpiece" else ("AlbertTokenizer", "<unk>")
    assert (settings["tokenizer_class"], settings["unk_token"]) == special
    code, _, err = run_script(
        run_classifier.main, *common[:-1], f"--init_checkpoint={tmp_path / 'hf'}", f"--output_dir={tmp_path / 'b'}",
        "--do_predict",
    )  # fmt: skip
    assert code == 0, err
    again = [json.loads(line) for line in (tmp_path / "b" / "predictions.jsonl").read_text().splitlines()]
    for row, answer in zip(rows, again, strict=True):
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)


NEW = ["fabulous", "dreadful", "##ish"]


@pytest.fixture
def extra(tiny_model, tmp_path):
    """Words for all unused tokens but for the three of NEW, which need rows."""
    unused = (tiny_model / "vocab.txt").read_text().count("[unused")
    path = tmp_path / "extra.txt"
    path.write_text("".join(f"{word}\n" for word in [*(f"word{i}" for i in range(unused)), *NEW]))
    return path


def medical(folder):
    tiny.write_table(folder, train=16, dev=8, test=4)
    for path in folder.glob("*.tsv"):
        path.write_text(path.read_text().replace("good", "fabulous").replace("bad", "dreadful"))
    return folder


def test_further_tokens_come_with_the_run(tiny_model, extra, tmp_path, run_script):
    data, run = medical(tmp_path / "data"), tmp_path / "run"
    common = [*TABLE, f"--data_dir={data}", f"--init_checkpoint={tiny_model}", f"--output_dir={run}"]
    tokens = (tiny_model / "vocab.txt").read_text().splitlines()
    code, _, err = run_script(
        run_classifier.main, *common, f"--extra_tokens={extra}", "--do_train", "--num_train_epochs=0.5",
        "--learning_rate=0.0",
    )  # fmt: skip
    assert code == 0, err
    unused = len(tokens) - len(tiny.TOKENS)
    assert f"--extra_tokens={extra}: {unused} in the places of unused tokens, 3 behind the last" in err
    assert "3 rows for further tokens start as the mean of those there" in err
    assert (run / "vocab.txt").read_text().splitlines() == [*tiny.TOKENS, *extra.read_text().splitlines()]
    assert json.loads((run / "bert_config.json").read_text())["vocab_size"] == len(tokens) + 3
    before, after = (read_tensor(str(one), WORD_EMBEDDINGS) for one in (tiny_model, run))
    np.testing.assert_array_equal(after[:-3], before)
    np.testing.assert_allclose(after[-3:], np.repeat(before.mean(axis=0, keepdims=True), 3, axis=0), atol=1e-7)
    # Later commands need not be told, and may be.
    for given in ([], [f"--extra_tokens={extra}"]):
        code, _, err = run_script(run_classifier.main, *common, *given, "--do_predict")
        assert code == 0, err
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={run}", f"--output_dir={tmp_path / 'hf'}", "--format=huggingface"
    )
    assert code == 0, err
    assert (tmp_path / "hf" / "vocab.txt").read_text().splitlines()[-3:] == NEW
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["vocab_size"] == len(tokens) + 3
    # Other tokens are another model.
    (tmp_path / "more.txt").write_text("another\n")
    code, _, err = run_script(run_classifier.main, *common, f"--extra_tokens={tmp_path / 'more.txt'}", "--do_eval")
    assert code == 2
    assert f"--output_dir={run} belongs to another run (vocabulary: " in err


@pytest.mark.slow
def test_a_command_that_was_stopped_is_given_again(tiny_model, extra, tmp_path, run_script):
    """It has left the vocabulary and its configuration, and no weights."""
    data, run = medical(tmp_path / "data"), tmp_path / "run"
    common = [*TABLE, f"--data_dir={data}", f"--init_checkpoint={tiny_model}", f"--output_dir={run}"]
    run.mkdir()
    (run / "vocab.txt").write_text("".join(f"{one}\n" for one in [*tiny.TOKENS, *extra.read_text().splitlines()]))
    config = json.loads((tiny_model / "bert_config.json").read_text())
    (run / "bert_config.json").write_text(json.dumps(config | {"vocab_size": config["vocab_size"] + 3}))
    given = [f"--extra_tokens={extra}", "--do_train", "--num_train_epochs=0.5"]
    code, _, err = run_script(run_classifier.main, *common, *given)
    assert code == 0, err
    assert "3 rows for further tokens start as the mean of those there" in err


def test_what_cannot_have_further_tokens(tiny_model, extra, tmp_path, run_script):
    data = medical(tmp_path / "data")
    common = [*TABLE, f"--data_dir={data}", f"--output_dir={tmp_path / 'run'}", "--do_train"]
    code, _, err = run_script(
        run_classifier.main, *common, f"--init_checkpoint={tiny_model}", f"--extra_tokens={extra}", "--lora_rank=2"
    )
    assert code == 2
    assert f"--extra_tokens={extra}: 3 of them need new rows of the embedding table, which --lora_rank leaves" in err
    assert not (tmp_path / "run").exists()


def check_run_with_further_tokens(tmp_path, run_script, model, extra, place, export):
    """Trains with further tokens; its export, later commands and a converted folder read text alike. The command."""
    run = tmp_path / "run"
    data = medical(tmp_path / "data")
    common = [*TABLE, f"--data_dir={data}", f"--init_checkpoint={model}", f"--output_dir={run}"]
    code, _, err = run_script(
        run_classifier.main, *common, f"--extra_tokens={extra}", "--do_train", "--do_predict", "--do_export",
        "--num_train_epochs=2", "--learning_rate=1e-2",
    )  # fmt: skip
    assert code == 0, err
    assert f"--extra_tokens={extra}: {place}" in err
    assert "2 rows for further tokens start as the mean of those there" in err
    before, after = (read_tensor(str(one), WORD_EMBEDDINGS) for one in (model, run))
    assert after.shape[0] == before.shape[0] + 2
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    with Predictor(next((run / export).iterdir())) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
    code, _, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={run}", f"--output_dir={tmp_path / 'hf'}", "--format=huggingface"
    )
    assert code == 0, err
    # Later commands, and runs that start from the folder, read text alike.
    for given in (common, [*common[:-2], f"--init_checkpoint={tmp_path / 'hf'}", f"--output_dir={tmp_path / 'other'}"]):
        code, _, err = run_script(run_classifier.main, *given, "--do_predict")
        assert code == 0, err
        folder = Path(given[-1].removeprefix("--output_dir="))
        again = [json.loads(line) for line in (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
        for row, other, answer in zip(rows, again, answers, strict=True):
            assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
            assert other["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    return common


@pytest.mark.slow
def test_further_tokens_of_a_sentencepiece_vocabulary_come_with_the_run(tmp_path, run_script):
    model, extra = albert(tmp_path / "albert", "spiece.model"), tmp_path / "extra.txt"
    size = json.loads((model / "config.json").read_text())["vocab_size"]
    spare = size - len(SentencePieceTokenizer(model / "spiece.model").tokens)
    words = "".join(f"\u2581word{i}\n" for i in range(spare))
    extra.write_text(f"{words}\u2581aspirin\ncodeine\n", encoding="utf-8")
    # The export cuts text in the graph, and is checked against the tokenizer when it is made.
    place = f"{spare + 2} behind the last"
    common = check_run_with_further_tokens(tmp_path, run_script, model, extra, place, "export")
    extra.write_text(f"{words}\u2581aspirin\nmorphine\n", encoding="utf-8")
    code, _, err = run_script(run_classifier.main, *common, f"--extra_tokens={extra}", "--do_eval")
    assert code == 2
    assert f"--output_dir={tmp_path / 'run'} belongs to another run (vocabulary: " in err


@pytest.mark.slow
def test_further_tokens_of_a_byte_level_vocabulary_come_with_the_run(tmp_path, run_script):
    model = shutil.copytree(DATA / "roberta" / "RobertaForMaskedLM", tmp_path / "model")
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(DATA / "roberta" / "tokenizer" / name, model / name)
    spare = json.loads((model / "config.json").read_text())["vocab_size"] - len(
        json.loads((model / "vocab.json").read_text())
    )
    run, extra = tmp_path / "run", tmp_path / "extra.txt"
    words = "".join(f"word{i}\n" for i in range(spare))
    extra.write_text(f"{words}fabulous\ndreadful\ne\n")
    place = f"{spare + 2} behind the last, 1 were there before"
    common = check_run_with_further_tokens(tmp_path, run_script, model, extra, place, "export_ids")
    # A token that the vocabulary has already is another way to cut text, too.
    extra.write_text(f"{words}fabulous\ndreadful\nt\n")
    code, _, err = run_script(run_classifier.main, *common, f"--extra_tokens={extra}", "--do_eval")
    assert code == 2
    assert f"--output_dir={run} belongs to another run (added_tokens: " in err


@pytest.mark.slow
def test_exports_and_pretraining_have_further_tokens(tiny_model, extra, tmp_path, run_script):
    (tmp_path / "corpus.txt").write_text(
        "the film was fabulous\nthe day was dreadful\n\nit was good\nfood was bad\n" * 3
    )
    code, _, err = run_script(
        create_pretraining_data.main, f"--input_file={tmp_path / 'corpus.txt'}", "--max_seq_length=16",
        f"--output_file={tmp_path / 'records'}", f"--vocab_file={tiny_model / 'vocab.txt'}", f"--extra_tokens={extra}",
        "--max_predictions_per_seq=3", "--dupe_factor=2",
    )  # fmt: skip
    assert code == 0, err
    code, _, err = run_script(
        run_pretraining.main, f"--input_file={tmp_path / 'records'}", f"--output_dir={tmp_path / 'pretrained'}",
        f"--init_checkpoint={tiny_model}", f"--extra_tokens={extra}", "--max_seq_length=16", "--train_batch_size=4",
        "--max_predictions_per_seq=3", "--num_train_steps=2", "--num_warmup_steps=1", "--do_train",
    )  # fmt: skip
    assert code == 0, err
    data, run = medical(tmp_path / "data"), tmp_path / "run"
    code, _, err = run_script(
        run_classifier.main, *TABLE, f"--data_dir={data}", f"--init_checkpoint={tmp_path / 'pretrained'}",
        f"--output_dir={run}", "--do_train", "--do_predict", "--do_export", "--num_train_epochs=2",
        "--learning_rate=1e-2",
    )  # fmt: skip
    assert code == 0, err
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert any(word in row["text_a"] for row in rows for word in NEW)
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
