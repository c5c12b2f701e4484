"""Multiple choice end to end, through the script's own main."""

import csv
import json
import shutil

import pytest

import run_multiple_choice
from tests.support import tiny_choices

TRAINING = [
    "--max_seq_length=24", "--train_batch_size=8", "--learning_rate=5e-3", "--num_train_epochs=12",
    "--log_every_n_steps=50",
]  # fmt: skip


def run(*arguments):
    run_multiple_choice.main(["run_multiple_choice.py", *arguments])


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def probabilities(answer):
    return [choice["probability"] for choice in answer["choices"]]


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    """One run that does everything: its data, its output directory."""
    folder = tmp_path_factory.mktemp("choices")
    data = tiny_choices.write_splits(folder / "data")
    run(
        f"--data_dir={data}", f"--init_checkpoint={tiny_model}", f"--output_dir={folder / 'run'}", *TRAINING,
        *tiny_choices.FLAGS, "--do_train", "--do_eval", "--do_predict",
    )  # fmt: skip
    return data, folder / "run"


def test_one_run_leaves_scores_and_answers(trained):
    _, folder = trained
    scores = load(folder / "eval_results.json")
    assert scores["eval_accuracy"] > 0.9
    assert scores["eval_accuracy"] <= scores["eval_mrr"] <= 1.0
    assert 1 / 4 < scores["eval_chance"] < 1 / 2
    rows = tiny_choices.questions(2, tiny_choices.COUNTS["test"])
    answers = lines_of(folder / "predictions.jsonl")
    assert [answer["context"] for answer in answers] == [row[0] for row in rows]
    right = [answer["index"] == "ABCD".index(row[6]) for answer, row in zip(answers, rows, strict=True)]
    assert sum(right) / len(right) > 0.8


def test_every_choice_stands_beside_its_probability_and_blank_places_have_none(trained):
    _, folder = trained
    rows = tiny_choices.questions(2, tiny_choices.COUNTS["test"])
    answers = lines_of(folder / "predictions.jsonl")
    assert any("" in row[2:5] and row[5] for row in rows)  # a blank place before others
    for row, answer in zip(rows, answers, strict=True):
        there = [cell for cell in row[2:6] if cell]
        assert [one["text"] for one in answer["choices"] if one["text"]] == there
        assert all((one["probability"] > 0) == bool(one["text"]) for one in answer["choices"])
        assert sum(one["probability"] for one in answer["choices"]) == pytest.approx(1, abs=1e-5)
        assert answer["answer"] == row[2 + answer["index"]]
        assert answer["probability"] == max(one["probability"] for one in answer["choices"])
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == sum(bool(cell) for row in rows for cell in row[2:6])
    assert sum(int(line["is_answer"]) for line in table) == len(rows)


def test_the_directory_alone_predicts_another_table(trained, tmp_path):
    """Rows without labels, and a batch size of one: the same answers."""
    _, folder = trained
    before = lines_of(folder / "predictions.jsonl")
    copy = shutil.copytree(folder, tmp_path / "run")
    rows = [row[:6] for row in tiny_choices.questions(2, tiny_choices.COUNTS["test"])]
    path = tiny_choices.write_rows(tmp_path / "other.csv", rows, tiny_choices.HEADER[:6])
    run(f"--predict_file={path}", "--do_predict", f"--output_dir={copy}", "--predict_batch_size=1")
    after = lines_of(copy / "predictions.jsonl")
    for one, other in zip(before, after, strict=True):
        assert [choice["text"] for choice in one["choices"]] == [choice["text"] for choice in other["choices"]]
        assert probabilities(one) == pytest.approx(probabilities(other), abs=1e-5)
