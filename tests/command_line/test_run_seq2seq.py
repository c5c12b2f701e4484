"""Text to text end to end, through the script's own main."""

import json
import shutil

import pytest

import run_seq2seq
from modeling.checkpoints.restore import checkpoint_variables
from tests.support import tiny_sequences

SHORT = {"train": [1, 2], "dev": [1, 2], "test": [1, 2]}
KINDS = {
    "prefix": [],
    "transformer": ["--decoder=transformer", "--decoder_layers=1"],
}


def run(*arguments):
    run_seq2seq.main(["run_seq2seq.py", *arguments])


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A model without weights, and tables of one or two digits."""
    folder = tmp_path_factory.mktemp("digits")
    tiny_sequences.write_table(folder, {"train": 640, "dev": 40, "test": 20}, SHORT)
    return tiny_sequences.write_model(folder)


def flags_of(data):
    return (
        f"--data_dir={data}", "--source=digits", "--target=reversed", f"--vocab_file={data / 'vocab.txt'}",
        f"--bert_config_file={data / 'bert_config.json'}", "--max_seq_length=12", "--max_target_length=8",
    )  # fmt: skip


TRAINING = (
    "--train_batch_size=32", "--learning_rate=3e-3", "--num_train_epochs=10", "--log_every_n_steps=80",
    "--label_smoothing=0",
)  # fmt: skip


@pytest.fixture(scope="module", params=["prefix", pytest.param("transformer", marks=pytest.mark.slow)])
def trained(request, data, tmp_path_factory):
    """One run that trains, evaluates and predicts: its kind and its output directory."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    run(*flags_of(data), *TRAINING, *KINDS[request.param], f"--output_dir={folder}", "--do_train", "--do_eval",
        "--do_predict")  # fmt: skip
    return request.param, folder


def test_a_run_learns_and_leaves_scores_and_texts(trained, data):
    kind, folder = trained
    scores = load(folder / "eval_results.json")
    assert scores["eval_exact_match"] > 0.9
    assert 1.0 < scores["eval_perplexity"] < 2.5
    assert scores["eval_token_accuracy"] > 0.7
    answers = lines_of(folder / "predictions.jsonl")
    rows = [line.split("\t") for line in (data / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    assert [[answer["source"], answer["target"]] for answer in answers] == rows
    assert sum(answer["text"] == answer["target"] for answer in answers) > 17
    assert all(answer["log_probability"] < 0 for answer in answers)
    assert (folder / "predictions.txt").read_text(encoding="utf-8").splitlines() == [a["text"] for a in answers]
    identity = load(folder / "run.json")["identity"]
    assert (identity["decoder"], identity["decoder_layers"]) == (kind, int(kind == "transformer"))


def test_the_variables_are_those_of_bert(trained):
    kind, folder = trained
    names = {name for name in checkpoint_variables(str(folder)) if "adam" not in name}
    roots = {name.split("/")[0] for name in names} - {"global_step"}
    assert roots == {"bert", "cls"} | ({"decoder"} if kind == "transformer" else set())


def test_later_commands_know_decoder_and_columns(trained, tmp_path):
    _, folder = trained
    copy = shutil.copytree(folder, tmp_path / "run")
    before = lines_of(copy / "predictions.jsonl")
    sources = tmp_path / "new.jsonl"
    sources.write_text("".join(json.dumps({"digits": row["source"]}) + "\n" for row in before), encoding="utf-8")
    run(f"--predict_file={sources}", "--do_predict", f"--output_dir={copy}", "--predict_batch_size=3")
    after = lines_of(copy / "predictions.jsonl")
    assert [row["text"] for row in after] == [row["text"] for row in before]
    assert not any("target" in row for row in after)
