"""Students of a teacher: what the teacher says is kept beside the records, whoever says it, and learned."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import run_classifier
import run_ner
import run_squad
from estimator import row_values
from estimator.soft_targets import LABELLED
from modeling.checkpoints.restore import checkpoint_variables, read_tensor
from tests.command_line import test_run_squad
from tests.command_line.test_run_classifier import TABLE, TRAINING, results
from tests.command_line.test_run_ner import TRAINING as NER
from tests.support import tiny, tiny_sentences


def arguments(folder: Path, name: str, *given: str) -> list[str]:
    return [*TABLE, *TRAINING, f"--data_dir={folder / 'data'}", f"--output_dir={folder / name}", *given]


def kept(run: Path) -> tuple[np.ndarray, dict]:
    """The teacher's scores beside the records of a run, and their description."""
    described = json.loads((run / "train.teacher.json").read_text())
    values = row_values.RowValues("scores", run / "train.teacher", described)
    return values.read(np.arange(described["rows"]))["scores"], described


def predicted(run: Path) -> np.ndarray:
    lines = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return np.array([list(json.loads(line)["probabilities"].values()) for line in lines])


def softmax(scores: np.ndarray) -> np.ndarray:
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def taught(tmp_path_factory, two_layers, tiny_model):
    """A teacher of two layers that has answered its training file, and a student of it."""
    folder = tmp_path_factory.mktemp("taught")
    tiny.write_table(folder / "data")
    actions = ["--do_train", "--do_predict", "--num_train_epochs=5", f"--predict_file={folder / 'data' / 'train.tsv'}"]
    run_classifier.main(["x", *arguments(folder, "teacher", f"--init_checkpoint={two_layers}", *actions)])
    student = [f"--init_checkpoint={tiny_model}", f"--teacher={folder / 'teacher'}", "--distill_share=0.9"]
    actions = ["--do_train", "--do_eval", "--num_train_epochs=5", "--distill_temperature=2"]
    run_classifier.main(["x", *arguments(folder, "student", *student, *actions)])
    return folder


def test_the_scores_are_those_that_the_teacher_answers_with(taught):
    scores, described = kept(taught / "student")
    assert scores.shape == (64, 2)
    assert described[LABELLED] == 64
    np.testing.assert_allclose(softmax(scores), predicted(taught / "teacher"), atol=1e-5)


def test_a_student_learns_what_the_teacher_knows(taught):
    scores = results(taught / "student")
    assert scores["eval_accuracy"] >= 0.9 > scores["eval_majority_baseline"]


def test_a_later_command_knows_the_teacher_and_reuses_what_it_said(taught, run_script, tmp_path):
    shutil.copytree(taught / "student", tmp_path / "student")
    given = [*TABLE, *TRAINING, f"--data_dir={taught / 'data'}", f"--output_dir={tmp_path / 'student'}"]
    code, _, err = run_script(run_classifier.main, *given, "--do_train", "--num_train_epochs=5")
    assert code == 0
    assert f"reusing the teacher's scores in {tmp_path / 'student' / 'train.teacher'}" in err
    path = tmp_path / "student" / "train.teacher"
    before = path.read_bytes()
    path.write_bytes(before[:-8])  # as a full disk leaves it
    code, _, err = run_script(run_classifier.main, *given, "--do_train", "--num_train_epochs=5")
    assert (code, f"computing {path} again" in err, path.read_bytes() == before) == (0, True, True)
    code, _, err = run_script(run_classifier.main, *given, "--do_train", "--distill_share=0.5")
    assert (code, "--distill_share=0.5 contradicts" in err) == (2, True)


def test_predictions_and_unlabelled_rows_teach_as_the_run_does(taught, run_script, tmp_path):
    """Ids are found by the number of a row where its text is the same; rows without labels are learned, too."""
    unlabelled = tmp_path / "more.tsv"
    unlabelled.write_text("text\n" + "".join(f"{text}\n" for text, _ in tiny.rows(12, 200)), encoding="utf-8")
    answers = taught / "teacher" / "predictions.jsonl"
    more = tmp_path / "more.jsonl"
    lines = [
        {"id": f"test-{number}", "text_a": text, "text_b": None, "probabilities": {"neg": 0.25, "pos": 0.75}}
        for number, (text, _) in enumerate(tiny.rows(12, 200), start=1)
    ]
    more.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    output = tmp_path / "student"
    given = [
        *TABLE, *TRAINING, f"--data_dir={taught / 'data'}", f"--output_dir={output}", "--num_train_epochs=1",
        f"--teacher_predictions={answers},{more}", f"--unlabelled_file={unlabelled}", "--student_layers=1",
        f"--init_checkpoint={taught / 'teacher'}", "--do_train", "--learning_rate=0",
    ]  # fmt: skip
    code, _, err = run_script(run_classifier.main, *given)
    assert code == 0
    assert "76 answers were found by the number of their row" in err
    assert "training 0 to 9 of 9 steps on 76 rows" in err
    scores, described = kept(output)
    assert described[LABELLED] == 64
    np.testing.assert_allclose(softmax(scores)[:64], predicted(taught / "teacher"), atol=1e-5)
    np.testing.assert_allclose(softmax(scores)[64:], [[0.25, 0.75]] * 12, atol=1e-5)
    # Nothing was learned at a rate of 0: the student is the second layer of the teacher, with its head.
    assert json.loads((output / "bert_config.json").read_text())["num_hidden_layers"] == 1
    name = "bert/encoder/layer_{}/output/dense/kernel"
    teacher, student = (str(folder) for folder in (taught / "teacher", output))
    np.testing.assert_array_equal(read_tensor(student, name.format(0)), read_tensor(teacher, name.format(1)))
    np.testing.assert_array_equal(read_tensor(student, "output_weights"), read_tensor(teacher, "output_weights"))


ERRORS = {
    "--distill_share=0.3": "--distill_share needs a teacher; add --teacher or --teacher_predictions, or leave it out",
    "--unlabelled_file=DATA/test.tsv": "--unlabelled_file needs a teacher",
    "--teacher=DATA": "DATA: has no run.json; expected the --output_dir of a run that was trained, or a folder with",
    "--teacher=TEACHER --teacher_predictions=x": "name two teachers; remove one of them",
    "--teacher=TEACHER --distill_temperature=0": "--distill_temperature=0: expected a number above 0",
    "--teacher=TEACHER --pad_to_max_length": "--teacher and --pad_to_max_length do not go together",
    "--teacher=TEACHER --labels=neg,pos,so": "was trained for the labels neg, pos, the student is for the labels neg, "
    "pos, so; give a teacher of the same labels",
    "--teacher=TEACHER --problem_type=multi_label": "its problem type is single_label, that of the student multi_label",
    "--teacher_predictions=DATA/none.jsonl": "none.jsonl: cannot be read",
    "--teacher_predictions=DATA/train.tsv": "train.tsv:1: is not JSON (Expecting value: "
    "line 1 column 1 (char 0)); expected a line of predictions.jsonl",
    "--teacher_predictions=PREDICTIONS --train_file=dev.tsv --dev_file=dev.tsv": "no answer for example train-1 "
    "(20 of 20 have none); predict the same files with the teacher",
    "--distill_attention=1": "--distill_attention needs a teacher",
    "--teacher_predictions=PREDICTIONS --distill_hidden=1": "--distill_hidden=1 computes the teacher beside",
    "--teacher=TEACHER --distill_hidden=1 --gradient_accumulation_steps=2": "--distill_hidden=1 and "
    "--gradient_accumulation_steps do not go together",
    "--teacher=TEACHER --compare_teacher": "--compare_teacher needs --do_eval; add it",
    "--teacher_predictions=PREDICTIONS --compare_teacher --do_eval": "--compare_teacher measures the size and time",
    "--teacher=TEACHER --output_dir=ram://student/run": "--teacher writes to local folders only",
    "--student_layers=0": "--student_layers=0 has no checkpoint to take layers from",
    "--student_layers=2 --init_checkpoint=TEACHER": "--student_layers=2: there is no layer 2: the model has 2 layers",
    "--student_layers=1,1 --init_checkpoint=TEACHER": "layer 1 is named twice; name each layer once",
    "--student_layers=1 --init_checkpoint=TEACHER --lora_rank=2": "--student_layers and --lora_rank do not go together",
}


@pytest.mark.parametrize("given", ERRORS)
def test_what_cannot_be_taught_is_one_line(given, taught, run_script, tmp_path, tiny_model):
    places = {
        "DATA": taught / "data",
        "TEACHER": taught / "teacher",
        "PREDICTIONS": taught / "teacher" / "predictions.jsonl",
    }
    expected = ERRORS[given]
    for word, path in places.items():
        given, expected = given.replace(word, str(path)), expected.replace(word, str(path))
    if "init_checkpoint" not in given and "student_layers" not in given:
        given += f" --init_checkpoint={tiny_model}"
    command = [*TABLE, *TRAINING, f"--data_dir={taught / 'data'}", f"--output_dir={tmp_path / 'run'}", "--do_train"]
    code, _, err = run_script(run_classifier.main, *command, *given.split())
    assert (code, expected in err) == (2, True), err
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.slow
def test_an_export_teaches_as_its_run_does(taught, run_script, tmp_path, tiny_model):
    code, _, _ = run_script(run_classifier.main, *arguments(taught, "teacher", "--do_export"))
    assert code == 0
    (export,) = (taught / "teacher" / "export").iterdir()
    given = [
        *TABLE, *TRAINING, f"--data_dir={taught / 'data'}", f"--output_dir={tmp_path / 'student'}", "--do_train",
        f"--init_checkpoint={tiny_model}", f"--teacher={export}", "--num_train_epochs=0.2",
    ]  # fmt: skip
    assert run_script(run_classifier.main, *given)[0] == 0
    np.testing.assert_allclose(softmax(kept(tmp_path / "student")[0]), predicted(taught / "teacher"), atol=1e-4)


@pytest.mark.slow
def test_teacher_and_student_are_compared(taught, run_script, tmp_path):
    shutil.copytree(taught / "student", tmp_path / "student")
    given = [*TABLE, f"--data_dir={taught / 'data'}", f"--output_dir={tmp_path / 'student'}", "--compare_teacher"]
    code, _, err = run_script(run_classifier.main, *given, "--do_eval")
    assert code == 0
    found = json.loads((tmp_path / "student" / "comparison.json").read_text())
    assert found["student"]["score"] == pytest.approx(results(tmp_path / "student")["eval_accuracy"])
    assert found["student"]["interval"][0] <= found["student"]["score"] <= found["student"]["interval"][1]
    layer = 4 * (16 * 16 + 16) + 2 * 16 * 32 + 32 + 16 + 4 * 16
    assert found["teacher"]["parameters"] - found["student"]["parameters"] == layer
    assert found["teacher"]["milliseconds_a_row"] > 0 < found["student"]["milliseconds_a_row"]
    assert 0.8 <= found["agreement"] <= 1.0
    assert "agreement on 20 dev rows" in err
    assert run_script(run_classifier.main, *given)[0] == 2


@pytest.mark.slow
def test_the_inside_of_a_teacher_is_learned(taught, run_script, tmp_path):
    given = [
        *TABLE, *TRAINING, f"--data_dir={taught / 'data'}", f"--output_dir={tmp_path / 'student'}", "--do_train",
        f"--teacher={taught / 'teacher'}", "--student_layers=1", "--distill_hidden=1", "--distill_attention=0.1",
        "--num_train_epochs=3",
    ]  # fmt: skip
    assert run_script(run_classifier.main, *given)[0] == 0
    held = checkpoint_variables(str(tmp_path / "student"))
    assert not [name for name in held if name.startswith(("teacher", "distillation"))]
    assert run_script(run_classifier.main, *given, "--do_eval", "--do_export", "--export_signatures=ids")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_other_kinds_of_labels_are_taught(kind, run_script, tmp_path, tiny_model):
    """A student that begins as its teacher and learns of it alone stays what it is."""
    folder = tmp_path / "data"
    folder.mkdir()
    labels = {"multi_label": ("pos,first", "first"), "regression": ("0.9", "-1.5")}[kind]
    for split, count in (("train", 32), ("dev", 8), ("test", 8)):
        rows = [f"{text}\t{labels[label == 'neg']}\n" for text, label in tiny.rows(count)]
        (folder / f"{split}.tsv").write_text("text\tlabel\n" + "".join(rows), encoding="utf-8")
    shared = [*TABLE, *TRAINING, f"--data_dir={folder}", f"--problem_type={kind}"]
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    given = [*shared, f"--init_checkpoint={tiny_model}", f"--output_dir={teacher}", "--num_train_epochs=8"]
    predict = ["--do_predict", f"--predict_file={folder / 'train.tsv'}"]
    assert run_script(run_classifier.main, *given, "--do_train", *predict)[0] == 0
    given = [*shared, "--student_layers=0", f"--teacher={teacher}", "--distill_share=1", "--num_train_epochs=2"]
    given += ["--learning_rate=1e-6"]  # dropout before the head would lead the student away
    command = [*given, f"--output_dir={student}", "--do_train", "--do_eval", "--compare_teacher"]
    assert run_script(run_classifier.main, *command)[0] == 0
    found = json.loads((student / "comparison.json").read_text())
    assert found["agreement"] > 0.999
    read = [f"--teacher_predictions={teacher / 'predictions.jsonl'}", f"--init_checkpoint={tiny_model}", *shared]
    short = ["--do_train", "--num_train_epochs=0.3", f"--output_dir={tmp_path / 'read'}"]
    assert run_script(run_classifier.main, *read, *short)[0] == 0
    np.testing.assert_allclose(kept(tmp_path / "read")[0], kept(student)[0], atol=2e-2)
    told = [*command, "--distill_temperature=2", f"--output_dir={tmp_path / 'told'}"]
    code, _, err = run_script(run_classifier.main, *told)
    assert (code == 2) == (kind == "regression")
    assert ("--distill_temperature has no meaning for a number" in err) == (kind == "regression")


@pytest.mark.slow
def test_words_are_taught_by_their_tags(run_script, tmp_path, tiny_model):
    data = tiny_sentences.write_splits(tmp_path / "data")
    shared = [f"--data_dir={data}", *NER]
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    run_ner.main(["x", *shared, f"--init_checkpoint={tiny_model}", f"--output_dir={teacher}", "--do_train"])
    given = ["--student_layers=0", f"--teacher={teacher}", "--distill_share=1", "--do_train", "--do_eval"]
    given += ["--compare_teacher", f"--unlabelled_file={data / 'test.conll'}"]
    run_ner.main(["x", *shared, *given, f"--output_dir={student}", "--gradient_accumulation_steps=2"])
    run_ner.main(["x", *shared, f"--output_dir={teacher}", "--do_eval"])
    scores = [json.loads((folder / "eval_results.json").read_text())["eval_accuracy"] for folder in (teacher, student)]
    assert scores[1] == pytest.approx(scores[0], abs=0.02)
    compared = json.loads((student / "comparison.json").read_text())
    assert compared["student"]["score"] == pytest.approx(
        json.loads((student / "eval_results.json").read_text())["eval_f1"]
    )
    code, _, err = run_script(run_ner.main, *shared, *given, f"--output_dir={tmp_path / 'crf'}", "--use_crf")
    assert (code, "--use_crf: a teacher's scores are learned word by word" in err) == (2, True)


@pytest.mark.slow
def test_answers_are_taught_by_their_ends(run_script, tmp_path):
    model = test_run_squad.write_model(tmp_path, "en")
    train, dev = (test_run_squad.example_file("en", split) for split in ("train", "dev"))
    shared = [*test_run_squad.LENGTHS, *test_run_squad.TRAINING, f"--train_file={train}", f"--predict_file={dev}"]
    teacher, student = tmp_path / "teacher", tmp_path / "student"
    answered = ["--version_2_with_negative", "--do_train", "--do_eval"]
    run_squad.main(["x", *model, *shared, *answered, f"--output_dir={teacher}"])
    given = [
        "--student_layers=0",
        f"--teacher={teacher}",
        "--distill_share=1",
        "--num_train_epochs=1",
        f"--unlabelled_file={dev}",
    ]
    run_squad.main(["x", *shared, *answered, *given, f"--output_dir={student}", "--compare_teacher"])
    scores = [json.loads((folder / "eval_results.json").read_text())["eval_f1"] for folder in (teacher, student)]
    assert scores[1] == pytest.approx(scores[0], abs=15)
    compared = json.loads((student / "comparison.json").read_text())
    assert 100 * compared["student"]["score"] == pytest.approx(scores[1])
    other = tmp_path / "other"
    other.mkdir()
    vocabulary = test_run_squad.write_model(other, "zh")
    code, _, err = run_script(
        run_squad.main, *vocabulary, *shared, *answered, f"--teacher={teacher}", f"--output_dir={tmp_path / 'x'}"
    )
    assert (code, "has another tokenizer or vocabulary than the student" in err) == (2, True)
