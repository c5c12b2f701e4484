"""The files of splits that flags name: every script looks for them in the same places."""

import pytest

import run_classifier
import run_multiple_choice
import run_ner
import run_seq2seq
from tests.support import tiny, tiny_choices, tiny_sentences, tiny_sequences


def write_tables(folder):
    tiny.write_table(folder, train=16, dev=4, test=4)


def write_digits(folder):
    tiny_sequences.write_table(folder, {"train": 8, "dev": 4, "test": 4}, {"train": [2], "dev": [2], "test": [2]})


SCRIPTS = {
    "classifier": (
        run_classifier, write_tables, "new.tsv", "text\na good film\n",
        ["--task_name=table", "--text_a=text", "--label=label"],
    ),
    "ner": (run_ner, tiny_sentences.write_splits, "new.conll", "film\tO\n\n", []),
    "choices": (
        run_multiple_choice, tiny_choices.write_splits, "new.csv", "ctx,q,a,b,c,d\nfilm,was,good,bad,,\n",
        tiny_choices.FLAGS,
    ),
    "seq2seq": (
        run_seq2seq, write_digits, "new.tsv", "digits\n1 2\n",
        ["--source=digits", "--target=reversed", "--max_target_length=8"],
    ),
}  # fmt: skip
"""Script, what writes its splits, name and text of another file, flags."""


@pytest.fixture(params=SCRIPTS)
def validated(request, tiny_model, tmp_path, monkeypatch, run_script):
    """Validates a file in the data folder, the working directory, or both; gives the outcome and both paths."""
    script, write, name, text, flags = SCRIPTS[request.param]
    data, here = tmp_path / "data", tmp_path / "here"
    for folder in (data, here):
        folder.mkdir()
    write(data)
    monkeypatch.chdir(here)

    def run(places, flag="--predict_file"):
        for folder in (data, here):
            (folder / name).unlink(missing_ok=True)
        for folder in places:
            (tmp_path / folder / name).write_text(text, encoding="utf-8")
        outcome = run_script(
            script.main, "--validate_only", "--do_predict", f"--data_dir={data}", f"{flag}={name}",
            f"--init_checkpoint={tiny_model}", "--max_seq_length=16", *flags,
        )  # fmt: skip
        return outcome, data / name, here / name

    return run


def test_a_relative_name_is_of_either_place_but_not_of_both(validated):
    for place in ("data", "here"):
        (code, out, err), *paths = validated([place])
        path = paths[place == "here"]
        assert code == 0, err
        assert f"{path.name}: the file of the test split is {path}" in err
        assert err.count("the file of the test split is") == 1
        assert out
    (code, _, err), inside, outside = validated(["data", "here"])
    assert code == 2
    told = (
        f"error: {inside.name}: may be {inside} or {outside} as the file of the test split, which are different files; "
        "give the full path of the one that is meant"
    )
    assert told in err.splitlines()


def test_the_training_file_is_looked_for_alike(validated):
    (code, _, err), inside, outside = validated(["data", "here"], "--train_file")
    assert code == 2
    assert f"{inside.name}: may be {inside} or {outside} as the file of the train split" in err


def test_a_file_of_neither_place_is_named(validated):
    (_, out, err), inside, _ = validated([])
    assert f"{inside}: no such file" in out + err
