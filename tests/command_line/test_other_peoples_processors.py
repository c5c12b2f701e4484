"""Whole runs with classes of other people: shuffled, edited, with files that change."""

import csv
import json
import shutil

import pytest

import run_classifier
from processors import DataProcessor, registry
from tests.support import tiny

CLASS = """
import os, random
from processors import DataProcessor, InputExample, register

@register("theirs")
class TheirProcessor(DataProcessor):
    def make(self, data_dir, split):
        rows = self._read_tsv(os.path.join(data_dir, split + ".tsv"))[1:]
        made = [InputExample(f"{split}-{n}", row[0], "", row[1]) for n, row in enumerate(rows)]
        CHANGE
        return made

    def get_train_examples(self, data_dir): return self.make(data_dir, "train")
    def get_dev_examples(self, data_dir): return self.make(data_dir, "dev")
    def get_test_examples(self, data_dir): return self.make(data_dir, "test")
    def get_labels(self): return LABELS
"""


@pytest.fixture
def theirs(tmp_path, tiny_model, run_script):
    """Runs run_classifier.py with a class that a test may edit between two commands."""
    tiny.write_table(tmp_path / "data")

    def run(*actions, change="pass", labels='["neg", "pos"]'):
        path = tmp_path / "theirs.py"
        path.write_text(CLASS.replace("CHANGE", change).replace("LABELS", labels))
        with registry.isolated():
            return run_script(
                run_classifier.main, f"--processor_module={path}", "--task_name=theirs",
                f"--data_dir={tmp_path / 'data'}", f"--init_checkpoint={tiny_model}", "--max_seq_length=24",
                "--train_batch_size=8", "--num_train_epochs=1", f"--output_dir={tmp_path / 'run'}", *actions,
            )  # fmt: skip

    return run


def answers(folder):
    return [json.loads(line) for line in (folder / "run" / "predictions.jsonl").read_text().splitlines()]


def ids_and_texts(folder):
    with (folder / "data" / "test.tsv").open() as stream:
        rows = list(csv.reader(stream, delimiter="\t"))[1:]
    return {f"test-{number}": text for number, (text, _) in enumerate(rows)}


def test_the_encoding_of_files_that_a_class_reads_is_given_in_the_class(theirs, tmp_path):
    code, _, err = theirs("--do_train", "--encoding=gbk")
    assert code == 2
    assert err.splitlines()[-1] == (
        "error: --encoding=gbk: task theirs reads its files itself; give the encoding there, as in "
        "self._read_tsv(path, encoding='gbk')"
    )
    (tmp_path / "a.tsv").write_bytes("红\t1\n".encode("gbk"))
    assert DataProcessor._read_tsv(str(tmp_path / "a.tsv"), encoding="gbk") == [["红", "1"]]


@pytest.mark.parametrize("flag", ["--dev_file=other.tsv", "--labels=pos,neg", "--on_bad_row=skip"])
def test_flags_about_rows_that_a_class_would_not_read_are_refused(theirs, flag):
    code, _, err = theirs("--do_train", flag)
    assert code == 2
    assert f"error: {flag}: the processor theirs decides its rows and their labels; leave it out" in err


def test_a_class_that_shuffles_gets_its_answers_beside_their_texts(theirs, tmp_path):
    assert theirs("--do_train", "--do_predict")[0] == 0
    by_text = {answer["text_a"]: answer["probabilities"]["pos"] for answer in answers(tmp_path)}
    code, _, err = theirs("--do_predict", change="random.shuffle(made)")
    assert code == 0, err
    shuffled = answers(tmp_path)
    assert {answer["id"]: answer["text_a"] for answer in shuffled} == ids_and_texts(tmp_path)
    for answer in shuffled:
        assert answer["probabilities"]["pos"] == pytest.approx(by_text[answer["text_a"]], abs=1e-6)


def test_an_edited_class_makes_its_records_anew(theirs, tmp_path):
    code, _, err = theirs("--do_train", "--do_eval", "--do_predict")
    assert code == 0, err
    accuracy = json.loads((tmp_path / "run" / "eval_results.json").read_text())["eval_accuracy"]
    swap = "for e in made: e.label = {'neg': 'pos', 'pos': 'neg'}[e.label]; e.text_a += ' day'"
    code, _, err = theirs("--do_eval", "--do_predict", change=swap)
    assert code == 0, err
    assert err.count("its data, vocabulary or settings have changed") == 2
    assert "the code of task theirs has changed since the last command in" in err
    assert json.loads((tmp_path / "run" / "eval_results.json").read_text())["eval_accuracy"] == 1 - accuracy
    assert all(answer["text_a"].endswith(" day") for answer in answers(tmp_path))


@pytest.mark.slow
def test_labels_that_are_integers_through_all_actions(theirs, tmp_path):
    ints = {"change": "for e in made: e.label = int(e.label == 'pos')", "labels": "[0, 1]"}
    for actions in (["--validate_only"], ["--do_train", "--do_eval"], ["--do_predict", "--do_export"], ["--do_train"]):
        code, _, err = theirs(*actions, **ints)
        assert code == 0, err
    assert {answer["label"] for answer in answers(tmp_path)} <= {"0", "1"}


@pytest.mark.slow
def test_files_in_folders_below(theirs, tmp_path, tiny_model, run_script):
    data = tmp_path / "imdb"
    for split in ("train", "test"):
        for label, words in (("neg", tiny.BAD), ("pos", tiny.GOOD)):
            (data / split / label).mkdir(parents=True)
            for number, word in enumerate(words):
                (data / split / label / f"{number}.txt").write_text(f"the film was {word}")
    module = tmp_path / "imdb.py"
    module.write_text(
        "import glob, os, pathlib\nfrom processors import DataProcessor, InputExample, register\n"
        "@register('imdb')\nclass Imdb(DataProcessor):\n"
        "    def read(self, data_dir, split):\n"
        "        read = lambda path: pathlib.Path(path).read_text()\n"
        "        return [InputExample(split + '-' + path, read(path), None, label) for label in ('neg', 'pos')\n"
        "                for path in sorted(glob.glob(os.path.join(data_dir, split, label, '*.txt')))]\n"
        "    def get_train_examples(self, data_dir): return self.read(data_dir, 'train')\n"
        "    def get_dev_examples(self, data_dir): return self.read(data_dir, 'test')\n"
        "    def get_test_examples(self, data_dir): return self.read(data_dir, 'test')\n"
        "    def get_labels(self): return ['neg', 'pos']\n"
    )
    common = [f"--processor_module={module}", "--task_name=imdb", f"--data_dir={data}", "--max_seq_length=16",
              "--train_batch_size=4", "--num_train_epochs=1", f"--output_dir={data / 'run'}"]  # fmt: skip
    with registry.isolated():
        code, _, err = run_script(
            run_classifier.main, *common, f"--init_checkpoint={tiny_model}", "--do_train", "--do_predict"
        )
        assert code == 0, err
        (data / "test" / "pos" / "0.txt").write_text("the food was lovely")
        (data / "test" / "pos" / "9.txt").write_text("a very fine day")
        code, _, err = run_script(run_classifier.main, *common, "--do_predict")
        assert code == 0, err
        code, _, again = run_script(run_classifier.main, *common, "--do_predict")
    assert "rebuilding" in err
    assert "reusing 11 records" in again
    texts = [json.loads(line)["text_a"] for line in (data / "run" / "predictions.jsonl").read_text().splitlines()]
    assert len(texts) == 11
    assert {"the food was lovely", "a very fine day"} < set(texts)
    shutil.rmtree(data)
