"""Heads and tasks from a user's own file, through the real scripts: what works, and what a mistake in one says."""

import json
import shutil

import numpy as np
import pytest

import convert_checkpoint
import run_classifier
import run_task
from common import user_code
from tests.command_line.test_run_classifier import ROOT, TABLE, TRAINING, results
from tests.support import tiny

HEAD = ROOT / "examples" / "custom_head.py"


@pytest.fixture(autouse=True)
def forgotten_files():
    with user_code.forgotten():
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_table(tmp_path_factory.mktemp("users") / "data", train=32, dev=8, test=4)


@pytest.fixture(scope="module")
def averaged(data, tiny_model, tmp_path_factory):
    """A run with the head of the examples, copied to a folder of the user's."""
    folder = tmp_path_factory.mktemp("averaged")
    shutil.copy(HEAD, folder / "heads.py")
    run_classifier.main(
        [
            "run_classifier.py", *TABLE, *TRAINING, f"--data_dir={data}", f"--init_checkpoint={tiny_model}",
            f"--head={folder / 'heads.py'}", f"--output_dir={folder / 'run'}", "--do_train", "--do_eval",
            "--do_predict", "--do_export", "--num_train_epochs=8",
        ]
    )  # fmt: skip
    return folder


def test_a_head_of_the_users_trains_predicts_and_exports(averaged):
    from serving.predictor import Predictor

    run = averaged / "run"
    scores = results(run)
    assert scores["eval_accuracy"] > scores["eval_majority_baseline"]
    identity = json.loads((run / "run.json").read_text())["identity"]
    assert identity["head"] == "MeanPoolingHead"
    answers = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    with Predictor(next((run / "export").iterdir())) as predictor:
        found = predictor.answer([{"text_a": answer["text_a"]} for answer in answers])
    for answer, exported in zip(answers, found, strict=True):
        assert exported["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)


def test_later_commands_name_the_head_again_and_no_other(run_script, averaged):
    run, other = f"--output_dir={averaged / 'run'}", averaged / "other.py"
    code, _, err = run_script(run_classifier.main, "--do_eval", run)
    assert (code, err.count("\n")) == (2, 1)
    assert f"was made with --head={averaged / 'heads.py'}; code runs only if the command names it: give --head" in err
    other.write_text(HEAD.read_text() + "\n\nclass Second(MeanPoolingHead):\n    pass\n")
    code, _, err = run_script(run_classifier.main, "--do_eval", run, f"--head={other}:Second")
    assert code == 2
    assert "contradicts --output_dir" in err


@pytest.mark.slow
def test_only_its_own_class_reads_what_a_head_has_learned(run_script, averaged, data, tmp_path):
    """Its variables have the names of a classifier's, which would answer something else."""
    run, common = averaged / "run", f"--init_checkpoint={averaged / 'run'}"
    code, _, err = run_script(
        convert_checkpoint.main, common, "--format=huggingface", f"--output_dir={tmp_path / 'converted'}"
    )
    assert (code, err.count("\n")) == (2, 1)
    assert "trained with a head of your own (MeanPoolingHead), which no class of Hugging Face computes" in err
    assert not (tmp_path / "converted").exists()
    code, out, _ = run_script(
        convert_checkpoint.main, common, "--format=tensorflow", f"--output_dir={tmp_path / 'converted'}"
    )
    assert code == 0
    assert "warning: trained with a head of your own (MeanPoolingHead)" in out
    code, _, err = run_script(
        run_classifier.main, *TABLE, *TRAINING, f"--data_dir={data}", common, "--do_eval",
        f"--output_dir={tmp_path / 'new'}",
    )  # fmt: skip
    assert code == 0, err
    assert f"{run} was trained with --head=MeanPoolingHead, and goes on with the head of its task" in err


@pytest.mark.slow
def test_an_edited_head_is_told(run_script, averaged):
    path = averaged / "heads.py"
    before = path.read_text()
    for added, is_told in (("", False), ("\n# edited\n", True)):
        user_code._MODULES.clear()
        path.write_text(before + added)
        code, _, err = run_script(
            run_classifier.main, "--do_eval", f"--output_dir={averaged / 'run'}", f"--head={path}"
        )
        assert (code, "the code of task table has changed" in err) == (0, is_told), err
    path.write_text(before)


WRONG = {
    "no_class": ("x = 1\n", "defines no subclass of modeling.ClassificationHead (--problem_type=single_label); define"),
    "two": (
        "from modeling import ClassificationHead as Head\nclass A(Head): pass\nclass B(Head): pass\n",
        "defines A, B; name one of them, as in --head=",
    ),
    "other_kind": (
        "from modeling.heads.classification import RegressionHead\nclass A(RegressionHead): pass\n",
        "defines no subclass of modeling.ClassificationHead",
    ),
    "broken": ("import nothing_of_that_name\n", "broken.py:1: ModuleNotFoundError: No module named"),
    "fails": (
        "from modeling import ClassificationHead\nclass A(ClassificationHead):\n"
        "    def logits(self, encoder, features, is_training):\n        return encoder.no_such_vectors\n",
        "fails.py:4: AttributeError: 'BertModel' object has no attribute 'no_such_vectors'; correct the code",
    ),
    "wide": (
        "from modeling import ClassificationHead\nfrom modeling.heads.classification import pooled_logits\n"
        "class Wide(ClassificationHead):\n    def logits(self, encoder, features, is_training):\n"
        "        return pooled_logits(encoder.get_pooled_output(), self.num_labels + 1, is_training, 0.1)\n",
        "--head: Wide.logits gives the shape [batch, 3], expected [batch, 2], a score for each output; correct",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_in_a_head_is_one_line(run_script, data, tiny_model, tmp_path, name):
    source, message = WRONG[name]
    path = tmp_path / f"{name}.py"
    path.write_text(source)
    code, _, err = run_script(
        run_classifier.main, *TABLE, *TRAINING, f"--data_dir={data}", f"--init_checkpoint={tiny_model}",
        f"--head={path}", "--do_train", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (code, len(lines)) == (2, 1), err
    assert message in lines[0]
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("nowhere.py", "nowhere.py: no such file"),
        ("modeling.heads.span:SpanHead", "found class SpanHead, expected a subclass of modeling.ClassificationHead"),
        ("modeling.heads.span:Missing", "module modeling.heads.span has no 'Missing'"),
        ("averaging", "--head=averaging: not found; expected path/to/file.py:Class, package.module:Class, or an entry"),
    ],
)
def test_a_head_that_is_not_there_is_one_line(run_script, data, tiny_model, tmp_path, head, message):
    code, _, err = run_script(
        run_classifier.main, *TABLE, *TRAINING, f"--data_dir={data}", f"--init_checkpoint={tiny_model}",
        f"--head={head}", "--do_train", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 2
    assert message in err
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.fixture(scope="module")
def rated(tiny_model, tmp_path_factory):
    """A run of the task of the examples, from a folder of the user's, on rows that the tiny vocabulary can tell."""
    folder = tmp_path_factory.mktemp("rated")
    for name in ("custom_task.py", "custom_task_head.py"):
        shutil.copy(ROOT / "examples" / name, folder / name)
    for split, count, offset in (("train", 64, 0), ("dev", 16, 64), ("test", 6, 80)):
        rows = [(text, 5 - 4 * (label == "neg"), 2 + 2 * (label == "neg")) for text, label in tiny.rows(count, offset)]
        lines = [f"{text}\t{food}\t{service}\n" for text, food, service in rows]
        (folder / f"{split}.tsv").write_text("text\tfood\tservice\n" + "".join(lines))
    run_task.main(
        [
            "run_task.py", str(folder / "custom_task.py"), f"--data_dir={folder}", f"--init_checkpoint={tiny_model}",
            f"--output_dir={folder / 'run'}", "--max_seq_length=24", "--train_batch_size=8", "--learning_rate=3e-3",
            "--num_train_epochs=12", "--do_train", "--do_eval", "--do_predict", "--do_export",
        ]
    )  # fmt: skip
    return folder


def test_a_task_of_the_users_runs_from_flags_to_export(rated):
    from serving.predictor import Predictor

    run = rated / "run"
    assert results(run)["eval_pearson"] > 0.9
    answers = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert len(answers) == 6
    with Predictor(next((run / "export").iterdir())) as predictor:
        found = predictor.answer([{"text_a": answer["text"]} for answer in answers])
    expected = [[answer["food"], answer["service"]] for answer in answers]
    np.testing.assert_allclose([row["ratings"] for row in found], expected, atol=1e-4)


@pytest.mark.slow
def test_its_flags_have_scopes_and_its_edited_file_makes_records_anew(run_script, rated):
    path, common = rated / "custom_task.py", [f"--data_dir={rated}", f"--output_dir={rated / 'run'}"]
    code, _, err = run_script(run_task.main, str(path), *common, "--do_eval", "--targets=service,food")
    assert code == 2
    assert "--targets=service,food contradicts" in err
    before = path.read_text()
    path.write_text(before.replace('InputExample(f"{split}-{number}"', 'InputExample(f"{split}.{number}"'))
    try:
        with user_code.forgotten():
            user_code._MODULES.clear()
            code, _, err = run_script(run_task.main, str(path), *common, "--do_predict")
    finally:
        path.write_text(before)
    assert code == 0, err
    assert "the code of task ratings has changed since the last command" in err
    assert "wrote 6 records" in err
    assert '"id": "test.2"' in (rated / "run" / "predictions.jsonl").read_text()


def test_help_and_mistakes_of_run_task(run_script, rated, tmp_path):
    code, out, _ = run_script(run_task.main, str(rated / "custom_task.py"), "--help")
    assert code == 0
    assert "--targets" in out
    assert "several numbers for each" in out
    code, out, _ = run_script(run_task.main, "--help")
    assert code == 0
    assert "run_task.py examples/custom_task.py" in out
    (tmp_path / "empty.py").write_text("")
    for arguments, message in (
        (["--do_train"], "error: no task is named; give path/to/file.py"),
        ([str(tmp_path / "empty.py")], "empty.py: defines no subclass of command_line.frame.TaskScript; define one"),
        ([str(tmp_path / "none.py")], "none.py: no such file"),
        (["nothing"], "error: run_task.py: nothing: not found; expected path/to/file.py:Class"),
        ([str(rated / "custom_task.py"), "--do_eval", f"--output_dir={tmp_path}"], "is missing: neither --output_dir"),
    ):
        code, _, err = run_script(run_task.main, *arguments)
        assert (code, len(err.splitlines())) == (2, 1), err
        assert message in err
