"""What a second command in the same output directory takes over, and what it is refused for."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import run_classifier
import run_ner
from command_line import run_pretraining, run_squad, scopes
from command_line.flags.declaration import FlagSet, Scope
from command_line.flags.parsing import parse
from command_line.reference import SCRIPTS
from common.errors import FlagError, RunDirectoryError
from common.run_directory import RunDirectory
from tests.support import tiny

CLASSIFIER = SCRIPTS["run_classifier"].flags


def run_directory(path: Path, is_trained: bool = True, **flags: object) -> RunDirectory:
    """An output directory that recorded some flags."""
    path.mkdir(exist_ok=True)
    identity = {"architecture": {"num_hidden_layers": 2}}
    (path / "run.json").write_text(json.dumps({"identity": identity, "flags": flags}), encoding="utf-8")
    if is_trained:
        (path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1"\n')
        for part in ("index", "data-00000-of-00001"):
            (path / f"model.ckpt-1.{part}").write_text("some")
    return RunDirectory(path)


def settled(directory: RunDirectory, *argv: str, declared: FlagSet = CLASSIFIER) -> SimpleNamespace:
    return scopes.settle(parse(["script", *argv], declared), declared, directory)


OTHER = {str: "other", int: 77, float: 0.75}


def another(flag):
    """A value that is not the default."""
    if isinstance(flag.type, tuple):
        return next(value for value in flag.type if value != flag.default)
    return (not flag.default) if flag.type is bool else OTHER[flag.type]


FIXED = [(name, flag) for name, script in SCRIPTS.items() for flag in script.flags if flag.scope is Scope.FIXED]


@pytest.mark.parametrize(("script", "flag"), FIXED, ids=[f"{name}-{flag.name}" for name, flag in FIXED])
def test_each_fixed_flag_is_taken_over_and_a_contradiction_prints_both_values(script, flag, tmp_path, caplog):
    declared = SCRIPTS[script].flags
    if not any(one.name == "do_eval" for one in declared):
        pytest.skip("the script has no output directory of a run")
    recorded = "helper.py" if flag.names_code is bool else another(flag)
    value = "embeddings" if flag.name == "freeze" else recorded
    directory = run_directory(tmp_path, **{flag.name: value})
    if flag.names_code is not bool:
        with caplog.at_level("INFO"):
            assert getattr(settled(directory, "--do_eval", declared=declared), flag.name) == value
        assert f"--{flag.name}=" in caplog.text
    if flag.type is bool:
        given, now = (f"--no{flag.name}" if value else f"--{flag.name}"), str(not value).lower()
    else:
        now = {int: "78", float: "0.5"}.get(flag.type, "pooler" if flag.name == "freeze" else "else")
        now = next(one for one in flag.type if one != value) if isinstance(flag.type, tuple) else now
        given = f"--{flag.name}={now}"
    with pytest.raises(RunDirectoryError) as refused:
        settled(directory, "--do_eval", given, declared=declared)
    assert f"--{flag.name}={now} contradicts --output_dir={tmp_path}" in str(refused.value)
    shown = str(value).lower() if isinstance(value, bool) else value
    assert f"which was trained with --{flag.name}={shown};" in str(refused.value)


def test_a_remembered_flag_may_change(tmp_path):
    directory = run_directory(tmp_path, max_seq_length=64, learning_rate=1e-4)
    assert settled(directory, "--do_eval").max_seq_length == 64
    given = settled(directory, "--do_eval", "--max_seq_length=32")
    assert (given.max_seq_length, given.learning_rate) == (32, 1e-4)


def test_a_free_flag_stands_for_one_command(tmp_path):
    assert settled(run_directory(tmp_path, predict_batch_size=64), "--do_predict").predict_batch_size == 8


def test_rows_to_predict_may_have_other_columns(tmp_path):
    directory = run_directory(tmp_path, text_a="text", delimiter=None)
    assert settled(directory, "--do_predict", "--text_a=body").text_a == "body"
    with pytest.raises(RunDirectoryError, match="this flag decides which rows it trained and evaluated on"):
        settled(directory, "--do_eval", "--text_a=body")


def test_nothing_is_contradicted_before_the_first_checkpoint(tmp_path):
    directory = run_directory(tmp_path, is_trained=False, dev_fraction=0.3)
    assert settled(directory, "--do_train", "--dev_fraction=0.2").dev_fraction == 0.2
    assert settled(directory, "--do_train").dev_fraction == 0.3


def test_the_same_file_under_another_name_is_no_contradiction(tmp_path):
    for name in ("a.tsv", "b.tsv"):
        (tmp_path / name).write_text("text\tlabel\n")
    (tmp_path / "c.tsv").write_text("text\tlabels\n")
    directory = run_directory(tmp_path / "run", train_file=str(tmp_path / "a.tsv"))
    settled(directory, "--do_train", f"--train_file={tmp_path}/x/../a.tsv")
    settled(directory, "--do_train", f"--train_file={tmp_path}/b.tsv")
    with pytest.raises(RunDirectoryError, match="contradicts"):
        settled(directory, "--do_train", f"--train_file={tmp_path}/c.tsv")


@pytest.mark.parametrize("value", ["helper.py", "package.module"])
def test_code_is_run_only_if_the_command_names_it(tmp_path, value):
    directory = run_directory(tmp_path, processor_module=value, task_name="mine")
    with pytest.raises(FlagError) as refused:
        settled(directory, "--do_eval")
    assert str(refused.value) == (
        f"--output_dir={tmp_path} was made with --processor_module={value}; code runs only if the command names it: "
        "give --processor_module again"
    )
    assert settled(directory, "--do_eval", f"--processor_module={value}").task_name == "mine"


def test_a_dotted_task_name_is_code(tmp_path):
    directory = run_directory(tmp_path, task_name="helper:X")
    with pytest.raises(FlagError, match="was made with --task_name=helper:X; code runs only if the command names it"):
        settled(directory, "--do_eval")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"max_seq_length": "64"}, "flags.max_seq_length is '64', expected int"),
        ({"max_seq_length": True}, "flags.max_seq_length is True, expected int"),
        ({"do_lower_case": 1}, "flags.do_lower_case is 1, expected bool"),
        ({"truncation": "middle"}, "flags.truncation is 'middle', expected head or tail or head_tail"),
        ({"text_a": ["x"]}, "flags.text_a is ['x'], expected str"),
    ],
)
def test_a_recorded_value_that_cannot_be_used(tmp_path, flags, message):
    with pytest.raises(RunDirectoryError) as refused:
        settled(run_directory(tmp_path, **flags), "--do_eval")
    assert message in str(refused.value)


def test_only_training_changes_the_record_of_a_trained_run(tmp_path):
    directory = run_directory(tmp_path, max_seq_length=64)
    for action, kept in (("--do_predict", 64), ("--do_train", 32)):
        flags = settled(directory, action, "--max_seq_length=32")
        record = scopes.to_record(flags, CLASSIFIER, directory)
        assert record["max_seq_length"] == kept
    assert record["learning_rate"] == 5e-5
    assert "predict_batch_size" not in record


def test_pretraining_and_squad_take_over_what_decides_their_numbers(tmp_path):
    directory = run_directory(tmp_path, optimizer="lamb", n_best_size=7, max_answer_length=9, answer_text="offsets")
    assert settled(directory, "--do_train", declared=run_pretraining.SCRIPT.flags).optimizer == "lamb"
    squad = settled(directory, "--do_predict", declared=run_squad.SCRIPT.flags)
    assert (squad.n_best_size, squad.max_answer_length, squad.answer_text) == (7, 9, "offsets")


@pytest.fixture(scope="module")
def held_out_run(tmp_path_factory, tiny_model):
    """A run whose dev rows are held out from its training file."""
    folder = tmp_path_factory.mktemp("held_out")
    tiny.write_table(folder / "data")
    for name in ("dev.tsv", "test.tsv"):
        (folder / "data" / name).unlink()
    run_classifier.main([
        "script", "--task_name=table", "--text_a=text", "--label=label", f"--data_dir={folder / 'data'}",
        f"--init_checkpoint={tiny_model}", "--max_seq_length=24", "--train_batch_size=8", "--num_train_epochs=1",
        "--dev_fraction=0.3", "--seed=7", "--do_train", "--do_eval", f"--output_dir={folder / 'run'}",
    ])  # fmt: skip
    return folder


def test_a_later_evaluation_reads_the_same_rows(held_out_run, run_script):
    run = held_out_run / "run"
    before = (run / "eval_results.txt").read_text()
    rows = (run / "eval.tf_record").read_bytes()
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}")
    assert code == 0, err
    assert "--dev_fraction=0.3" in err
    assert (run / "eval_results.txt").read_text() == before
    assert (run / "eval.tf_record").read_bytes() == rows
    for given in ("--dev_fraction=0.1", "--seed=8", "--on_bad_row=skip", "--dev_file=x.tsv"):
        code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}", given)
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"error: {given} contradicts --output_dir={run}")


def test_a_run_of_another_script_is_named(held_out_run, run_script):
    run = held_out_run / "run"
    for given in (["--do_eval", "--dev_file=tags.conll"], ["--do_predict", "--predict_file=-"]):
        code, _, err = run_script(run_ner.main, *given, f"--output_dir={run}")
        assert code == 2
        assert err == (
            f"error: --output_dir={run} is a run of run_classifier.py, and this is run_ner.py; go on with that script, "
            "or choose another --output_dir\n"
        )


def test_other_rows_are_evaluated_in_another_directory(held_out_run, run_script, tmp_path):
    run, other = held_out_run / "run", tmp_path / "other.tsv"
    tiny.write_table(tmp_path / "data")
    (tmp_path / "data" / "dev.tsv").rename(other)
    given = ["--task_name=table", "--text_a=text", "--label=label", f"--dev_file={other}", "--max_seq_length=24"]
    given += [f"--labels={run / 'labels.txt'}", f"--init_checkpoint={run}", f"--output_dir={tmp_path / 'run'}"]
    code, _, err = run_script(run_classifier.main, "--do_eval", *given)
    assert code == 0, err
    assert "restored 25/25" in err


def test_rows_are_not_held_out_anew_from_another_training_file(held_out_run, run_script):
    path = held_out_run / "data" / "train.tsv"
    before = path.read_text()
    path.write_text(before + "one more text\tpos\n")
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={held_out_run / 'run'}")
    path.write_text(before)
    assert code == 2
    assert f"error: {path}: has changed since --output_dir={held_out_run / 'run'} was trained on it" in err


def test_a_dev_file_that_comes_later_is_not_evaluated_in_place_of_rows_held_out(held_out_run, run_script):
    run, dev = held_out_run / "run", held_out_run / "data" / "dev.tsv"
    dev.write_text("text\tlabel\na fine day\tpos\na dull day\tneg\n")
    for action in ("--do_eval", "--do_train"):
        code, _, err = run_script(run_classifier.main, action, f"--output_dir={run}", "--num_train_epochs=2")
        assert (code, err.splitlines()[-1]) == (
            2,
            f"error: {dev}: was not there when --output_dir={run} was trained, whose dev rows were held out from "
            f"train.tsv; move it away, or evaluate it in another --output_dir with --init_checkpoint={run}",
        )
    dev.unlink()


def test_rows_that_were_trained_on_do_not_stand_in_for_a_dev_file_that_is_gone(run_script, tiny_model, tmp_path):
    data, run = tiny.write_table(tmp_path / "data"), tmp_path / "run"
    given = ["--task_name=table", "--text_a=text", "--label=label", f"--data_dir={data}", "--num_train_epochs=0.5",
             f"--init_checkpoint={tiny_model}", "--max_seq_length=24", f"--output_dir={run}"]  # fmt: skip
    code, _, err = run_script(run_classifier.main, *given, "--do_train")
    assert code == 0, err
    (data / "dev.tsv").rename(tmp_path / "kept.tsv")
    for action in (["--do_eval"], ["--do_train", "--num_train_epochs=1"]):
        code, _, err = run_script(run_classifier.main, *action, f"--output_dir={run}")
        assert (code, err.splitlines()[-1]) == (
            2,
            f"error: {data / 'train.tsv'}: the dev file that --output_dir={run} was trained beside is not there, and "
            "rows held out from this file now are rows that were trained on; put the dev file back, or evaluate "
            f"another in another --output_dir with --init_checkpoint={run}",
        )
        assert not (run / "eval.tf_record").exists()
    (tmp_path / "kept.tsv").rename(data / "dev.tsv")
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}")
    assert code == 0, err


def test_a_dev_file_that_comes_before_training_is_the_one_of_the_run(run_script, tiny_model, tmp_path):
    data, run = tiny.write_table(tmp_path / "data"), tmp_path / "run"
    (data / "dev.tsv").rename(tmp_path / "kept.tsv")
    given = ["--task_name=table", "--text_a=text", "--label=label", f"--data_dir={data}", "--num_train_epochs=0.5",
             f"--init_checkpoint={tiny_model}", "--max_seq_length=24", f"--output_dir={run}"]  # fmt: skip
    code, _, err = run_script(run_classifier.main, *given, "--do_eval")
    assert code == 0, err
    assert "held_out" in json.loads((run / "run.json").read_text())
    (tmp_path / "kept.tsv").rename(data / "dev.tsv")
    for action in ("--do_train", "--do_eval"):
        code, _, err = run_script(run_classifier.main, *given, action)
        assert code == 0, err
        assert "held_out" not in json.loads((run / "run.json").read_text())


def test_flags_and_files_can_be_checked_alone(held_out_run, run_script, tiny_model, tmp_path):
    given = ["--only_check_args", "--do_train", "--task_name=table", "--text_a=text", "--label=label",
             f"--data_dir={held_out_run / 'data'}", f"--init_checkpoint={tiny_model}",
             "--max_seq_length=24"]  # fmt: skip
    code, out, err = run_script(run_classifier.main, *given, f"--output_dir={tmp_path / 'run'}")
    assert (code, out) == (0, "the flags, the model files and the description of the data agree\n"), err
    assert not (tmp_path / "run").exists()
    code, _, err = run_script(run_classifier.main, *given, "--text_b=none", f"--output_dir={tmp_path / 'run'}")
    assert code == 2


def test_the_traceback_of_an_error_can_be_asked_for(run_script, tmp_path):
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={tmp_path}", "--traceback")
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("error: ")
