"""Multiple choice end to end, through the script's own main."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

import run_multiple_choice
from common.errors import DataError
from serving.lines import answer_lines
from serving.predictor import Predictor
from tests.support import tiny_choices

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "families"
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
        *tiny_choices.FLAGS, "--do_train", "--do_eval", "--do_predict", "--do_export",
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


@pytest.mark.parametrize("exports", ["export", pytest.param("export_ids", marks=pytest.mark.slow)])
def test_the_export_answers_as_the_prediction_does(trained, exports, tmp_path):
    _, folder = trained
    expected = lines_of(folder / "predictions.jsonl")
    asked = [
        {"context": one["context"], "question": one["question"], "choices": [c["text"] for c in one["choices"]]}
        for one in expected
    ]
    with Predictor(next((folder / exports).iterdir())) as predictor:
        answers = predictor.answer(asked, batch_size=7)
        for one, other in zip(expected, answers, strict=True):
            assert [choice["text"] for choice in one["choices"]] == [choice["text"] for choice in other["choices"]]
            assert probabilities(one) == pytest.approx(probabilities(other), abs=1e-5)
            assert other["answer"] == other["choices"][other["index"]]["text"]
        if exports == "export":
            check_bad_rows(predictor)
            check_lines(predictor, asked, answers, tmp_path)


def check_bad_rows(predictor):
    good = {"context": "the film", "question": "was", "choices": ["good", "bad"]}
    faults = {
        "choices is missing; give a list": {"choices": None},
        "choices is a str, expected a list of texts": {"choices": "good"},
        "choices has 1 text, expected at least two": {"choices": ["good", " "]},
        "choices has a int, expected texts": {"choices": ["good", 1]},
        "choices has half a character": {"choices": ["good", "\ud83d"]},
        "context is blank": {"context": " "},
        "unknown key 'text_a'": {"text_a": "a"},
    }
    for told, change in faults.items():
        with pytest.raises(DataError, match=f"row 1: {told}"):
            predictor.answer([good, good | change])


def check_lines(predictor, asked, answers, folder):
    """Cells behind the question are choices; JSON has a list; a line with one choice says what was expected."""
    source = folder / "lines"
    lines = ["\t".join([row["context"], row["question"], *row["choices"]]) for row in asked[:2]]
    lines += [json.dumps(asked[2] | {"id": 7}), "a film\twas\tgood"]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sink = io.StringIO()
    with source.open("rb") as stream, pytest.raises(DataError, match="1 of 4 lines could not be answered"):
        answer_lines(predictor, stream, sink, 8)
    (*found, error) = [json.loads(line) for line in sink.getvalue().splitlines()]
    for one, other in zip(found, answers[:3], strict=True):
        assert probabilities(one) == pytest.approx(probabilities(other), abs=1e-5)
    assert found[2]["id"] == 7
    assert error["error"] == (
        "choices has 1 text, expected at least two; expected context<TAB>question<TAB>choices<TAB>..., or a JSON "
        "object with context and question and choices"
    )


@pytest.mark.parametrize("name", tiny_choices.LAYOUTS)
def test_data_sets_by_name_are_described(name, tiny_model, tmp_path, run_script):
    data = tiny_choices.LAYOUTS[name](tmp_path / "data")
    code, out, err = run_script(
        run_multiple_choice.main, "--validate_only", f"--task_name={name}", f"--data_dir={data}",
        f"--init_checkpoint={tiny_model}", "--max_seq_length=32",
    )  # fmt: skip
    assert code == 0, err
    for split in ("train", "dev", "test"):
        assert f"{split}: " in out
    assert out.count("  choices of a question: ") == 3
    assert out.count("  place of the right one: 0 (") == 2
    assert "  place of the right one: not read" in out


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [
        ("choices-en", ["--context=context", "--choices=a,b,c", "--label=label", "--label_as=letter"], "240 questions"),
        ("choices-zh", ["--context=passage", "--choices=alternatives", "--choice_separator=|", "--label=answer",
                        "--label_as=text"], "160 questions, 480 choices"),
    ],
)  # fmt: skip
def test_the_example_sets_can_be_read(tiny_model, run_script, name, flags, expected):
    question = "--question=question" if name == "choices-en" else "--question=query"
    code, out, err = run_script(
        run_multiple_choice.main, "--validate_only", f"--data_dir={ROOT / 'examples' / name}", *flags, question,
        f"--init_checkpoint={tiny_model}", "--max_seq_length=32",
    )  # fmt: skip
    assert code == 0, err
    assert expected in out


def test_every_row_that_cannot_be_used_is_listed_or_skipped(tiny_model, tmp_path, run_script):
    rows = [
        ["the film", "was", "good", "bad", "", "", "A"], ["the film", "was", "good", "bad", "", "", "D"],
        ["the film", "was", "good", "", "", "", "A"], ["the film", "was", "good", "bad", "good", "", "A"],
        ["the film", "was", "good", "bad", "", "", ""], ["", " ", "good", "bad", "", "", "A"],
        ["the film", "was", "good", "bad", "fine", "poor", "A"],
    ]  # fmt: skip
    path = tiny_choices.write_rows(tmp_path / "train.csv", rows)
    flags = [f"--train_file={path}", *tiny_choices.FLAGS, f"--init_checkpoint={tiny_model}", "--max_seq_length=16"]
    code, out, err = run_script(run_multiple_choice.main, "--validate_only", "--max_choices=3", *flags)
    assert code == 2
    told = [
        f"{path}:3: label 'D' is none of the 2 choices", f"{path}:4: has 1 choice, expected at least two",
        f"{path}:5: the answer 'good' equals choices 0 and 2", f"{path}:6: has no label, expected a letter from A",
        f"{path}:7: has neither a context nor a question", f"{path}:8: has 4 choices, expected at most 3",
    ]  # fmt: skip
    assert "6 problems:" in out
    for fault in told:
        assert fault in out
    assert f"6 rows cannot be used, the first: {told[0]}" in err
    assert "1 questions, 2 choices" in out
    code, _, err = run_script(run_multiple_choice.main, "--do_train", f"--output_dir={tmp_path / 'run'}", *flags)
    assert code == 2
    assert told[0] in err
    assert not list((tmp_path / "run").glob("*"))
    code, out, err = run_script(run_multiple_choice.main, "--validate_only", "--on_bad_row=skip", *flags)
    assert code == 0
    assert "2 questions, 6 choices" in out
    assert "skipped 5 of 7 rows of train.csv: 1 unknown label (first: row 3)" in err


def test_a_question_in_place_of_the_header_is_named(tiny_model, tmp_path, run_script):
    header, *rows = tiny_choices.HEADER, *tiny_choices.questions(0, 4)
    flags = ["--context=0", "--question=1", "--choices=2,3,4,5", "--label=6", "--label_as=letter", "--validate_only"]
    model = [f"--init_checkpoint={tiny_model}", "--max_seq_length=16"]
    path = tiny_choices.write_rows(tmp_path / "train.csv", rows[1:], header=rows[0])
    code, _, err = run_script(run_multiple_choice.main, f"--train_file={path}", *flags, *model)
    assert code == 2
    told = f"{path}:1: read as a header, but it is a question whose right choice is '{rows[0][6]}'; give --header=false"
    assert told in err
    code, out, _ = run_script(run_multiple_choice.main, f"--train_file={path}", *flags, *model, "--header=false")
    assert code == 0
    assert "4 questions" in out
    tiny_choices.write_rows(path, rows, header=header)
    assert run_script(run_multiple_choice.main, f"--train_file={path}", *flags, *model)[0] == 0


FAULTS = {
    "--choices is missing; give the columns": ["--choices="],
    "--question is missing; give the column": ["--context=", "--question="],
    "--label is missing; training and evaluation need": ["--label="],
    "--label_as is missing; say what a label is": ["--label_as="],
    "parts the choices of one cell, but --choices names several": ["--choice_separator=|"],
    "no column 'e' for --choices": ["--choices=a,b,e"],
    "column 'b' is to hold two texts of a question (--choices names it twice)": ["--choices=a,b,b"],
    "--truncation=windows: value should be one of <head|tail|head_tail>": ["--truncation=windows"],
    "the choices are in one cell, which is no list": ["--choices=a"],
    "leaves no room for text beside 3 special tokens; expected at least 4": ["--max_seq_length=3"],
    "has a meaning with --cut=context alone": ["--cut=longest", "--max_choice_length=5"],
    "describes a table, but --task_name=race knows its files": ["--task_name=race"],
    "no such folder; give the folder of the data files": ["--data_dir=/no/such"],
    "--dev_file is missing; give it, or a folder with dev.*": ["--do_eval"],
    "--predict_file needs --do_predict": ["--predict_file=x.csv"],
    "/no/such.csv: no such file to read the train split from": ["--train_file=/no/such.csv"],
    "expected the place of a choice from 0 (--label_as=index)": ["--label_as=index"],
    "--max_choices is missing; where shapes are static": ["--choices=a", "--choice_separator=|", "--pad_to_max_length"],
}


@pytest.mark.parametrize(("told", "flags"), FAULTS.items(), ids=lambda value: str(value)[:40])
def test_what_cannot_be_meant_is_one_line(told, flags, tiny_model, tmp_path, run_script):
    tiny_choices.write_rows(tmp_path / "data" / "train.csv", tiny_choices.questions(0, 4))
    given = {flag.partition("=")[0]: flag for flag in [
        f"--data_dir={tmp_path / 'data'}", *tiny_choices.FLAGS, f"--init_checkpoint={tiny_model}", "--do_train",
        f"--output_dir={tmp_path / 'run'}", "--max_seq_length=16", *flags,
    ]}  # fmt: skip
    arguments = [flag for flag in given.values() if not flag.endswith("=")]
    code, _, err = run_script(run_multiple_choice.main, *arguments)
    assert code == 2
    assert told in err
    assert [line.startswith("error: ") for line in err.splitlines()].count(True) == 1
    assert not list((tmp_path / "run").glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny_choices.LAYOUTS)
def test_data_sets_by_name_train_and_predict(name, tiny_model, tmp_path):
    data = tiny_choices.LAYOUTS[name](tmp_path / "data")
    run(
        f"--task_name={name}", f"--data_dir={data}", f"--init_checkpoint={tiny_model}",
        f"--output_dir={tmp_path / 'run'}", *TRAINING, "--max_seq_length=32", "--do_train", "--do_eval", "--do_predict",
    )  # fmt: skip
    scores = load(tmp_path / "run" / "eval_results.json")
    assert scores["eval_accuracy"] > scores["eval_chance"]
    answers = lines_of(tmp_path / "run" / "predictions.jsonl")
    assert all(answer["answer"] == answer["choices"][answer["index"]]["text"] for answer in answers)
    assert load(tmp_path / "run" / "run.json")["identity"]["join"] == {
        "race": "fill", "dream": "separate", "c3": "separate"
    }.get(name, "blank")  # fmt: skip


@pytest.mark.slow
def test_static_shapes_answer_alike(trained, tmp_path):
    _, folder = trained
    before = lines_of(folder / "predictions.jsonl")
    copy = shutil.copytree(folder, tmp_path / "run")
    run("--do_predict", "--do_eval", f"--output_dir={copy}", "--pad_to_max_length", "--predict_batch_size=7")
    for one, other in zip(before, lines_of(copy / "predictions.jsonl"), strict=True):
        assert probabilities(one) == pytest.approx(probabilities(other), abs=1e-5)
    scores, expected = (load(path / "eval_results.json") for path in (copy, folder))
    assert scores["eval_accuracy"] == pytest.approx(expected["eval_accuracy"], abs=1e-6)
    assert scores["eval_loss"] == pytest.approx(expected["eval_loss"], abs=1e-5)
    # Choices that the tiny model scores alike change places with the last bit.
    assert scores["eval_mrr"] == pytest.approx(expected["eval_mrr"], abs=0.02)


@pytest.mark.slow
def test_training_on_static_shapes_learns_and_refuses_more_choices(tiny_model, tmp_path, run_script):
    data = tiny_choices.write_splits(tmp_path / "data")
    flags = [
        f"--data_dir={data}",
        f"--init_checkpoint={tiny_model}",
        *tiny_choices.FLAGS,
        "--pad_to_max_length",
        "--do_train",
    ]
    code, _, err = run_script(
        run_multiple_choice.main, *flags, *TRAINING, "--max_choices=3", f"--output_dir={tmp_path / 'refused'}"
    )
    assert code == 2
    assert "has 4 choices, expected at most 3 (--max_choices)" in err
    run(*flags, *TRAINING, "--gradient_accumulation_steps=2", f"--output_dir={tmp_path / 'run'}", "--do_eval")
    assert load(tmp_path / "run" / "eval_results.json")["eval_accuracy"] > 0.7


def test_a_folder_of_hugging_face_predicts_at_once(tmp_path, run_script):
    """Its head is that of the folder: probabilities are those of its own logits."""
    source = shutil.copytree(DATA / "bert" / "BertForMultipleChoice", tmp_path / "model")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tiny_choices.tiny.GOOD, *tiny_choices.tiny.BAD]
    tokens += [*tiny_choices.tiny.FILLERS, *(f"[unused{i}]" for i in range(30))]
    (source / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens[:30]), encoding="utf-8")
    path = tiny_choices.write_rows(tmp_path / "test.csv", tiny_choices.questions(2, 5))
    code, _, err = run_script(
        run_multiple_choice.main, "--do_predict", f"--predict_file={path}", f"--init_checkpoint={source}",
        *tiny_choices.FLAGS, "--max_seq_length=16", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 0, err
    assert "new:" not in err
    answers = lines_of(tmp_path / "run" / "predictions.jsonl")
    assert len({answer["probability"] for answer in answers}) > 1
