"""What a person can get wrong ends in one clear line, exit code 2, and an output directory as it was before."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import run_classifier
from common.files import file_digest
from tests.support import tiny

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "run_classifier.py")
LOG_LINE = re.compile(r"\d\d:\d\d:\d\d ")
TABLE = ["--task_name=table", "--text_a=text", "--label=label"]
SIZES = ["--max_seq_length=24", "--train_batch_size=8", "--num_train_epochs=1"]


def contents(folder):
    """Every file below `folder` with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def model(tiny_model, tmp_path):
    """A copy of the tiny model that a test may damage."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (folder / "checkpoint").unlink()  # it names the original
    return folder


@pytest.fixture
def refused(run_script, table_dir, tiny_model, tmp_path):
    """Runs a training on the tiny table, changed by flags; gives the one line that it ends in."""

    def run(*changes, output_dir=tmp_path / "run", also=()):
        existed, before = output_dir.exists(), contents(output_dir)
        code, out, err = run_script(
            run_classifier.main, *TABLE, *SIZES, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}",
            "--do_train", "--do_eval", f"--output_dir={output_dir}", *changes,
        )  # fmt: skip
        lines = err.splitlines()
        assert code == 2, err
        assert out == ""
        assert lines[-1].startswith("error: ")
        assert [line for line in lines[:-1] if not LOG_LINE.match(line)] == []
        after = contents(output_dir)
        # A record set that is whole may stay, and the next run takes it up. Nothing else changes.
        assert {name: data for name, data in after.items() if name not in also} == before
        assert set(also) <= after.keys()
        assert output_dir.exists() == existed or also
        return lines[-1]

    return run


def test_unknown_task_gets_the_closest_names_and_the_three_ways(refused):
    line = refused("--task_name=mprc")
    assert "no task 'mprc'; closest 'mrpc'" in line
    assert "--processor_module=path/to/file.py" in line
    assert "--task_name=package.module:Class" in line
    assert "an entry point in the group bert.processors" in line


def rewritten(name, text):
    def change(folder):
        (folder / name).write_text(text, encoding="utf-8")

    return change


def with_row(name, row):
    def change(folder):
        with (folder / name).open("a", encoding="utf-8") as stream:
            stream.write(row)

    return change


def removed(name):
    return lambda folder: (folder / name).unlink()


TRAIN_SET = ("train.tf_record", "train.tf_record.manifest.json")


@pytest.mark.parametrize(
    ("change", "flags", "message", "also"),
    [
        (removed("train.tsv"), [], "/data (there: dev.tsv, test.tsv); give --train_file=PATH, or without training rows "
         "the labels: --labels=a,b,c", ()),
        (removed("train.tsv"), ["--labels=neg,pos"], "no train.* in ", ()),
        (None, ["--train_file=nowhere.tsv"], "nowhere.tsv: no such file", ()),
        (None, ["--data_dir=nowhere"], "--data_dir=nowhere: no such folder", ()),
        (None, ["--task_name=mrpc", "--data_dir=nowhere"], "--data_dir=nowhere: no such directory", ()),
        (rewritten("train.tsv", ""), [], "train.tsv: is empty", ()),
        (rewritten("train.tsv", "text\tlabel\n"), [], "train.tsv: has a header and no rows", ()),
        (rewritten("train.tsv", "text\tlabel\n"), ["--labels=neg,pos"], "train.tsv: has a header and no rows", ()),
        (with_row("train.tsv", "alone\n"), [], "train.tsv:66: found 1 columns, expected 2", ()),
        (with_row("train.tsv", "alone\n"), ["--labels=neg,pos"], "train.tsv:66: found 1 columns, expected 2", ()),
        (with_row("dev.tsv", "alone\n"), [], "dev.tsv:22: found 1 columns, expected 2", TRAIN_SET),
        (with_row("dev.tsv", "a day\tpost\n"), [], "dev.tsv:22: column 'label': found label 'post', closest 'pos'",
         TRAIN_SET),
        (with_row("train.tsv", "a day\tmixed\n"), ["--labels=neg,pos"], "train.tsv:66: column 'label': found", ()),
        (with_row("train.tsv", "a day\t\n"), [], "train.tsv:66: column 'label': found nothing, expected a label", ()),
        (None, ["--labels=neg,pos,neg"], "--labels: 'neg' is listed twice", ()),
        (None, ["--label=labels"], "no column 'labels' for --label; closest 'label'", ()),
        (None, ["--label="], "--label is missing; training needs the column", ()),
        (None, ["--text_a=txt"], "no column 'txt' for --text_a; closest 'text'", ()),
        (None, ["--train_batch_size=65"], "64 training rows, --train_batch_size=65", TRAIN_SET),
        (removed("test.tsv"), ["--do_predict"], "no test.* in ",
         (*TRAIN_SET, "eval.tf_record", "eval.tf_record.manifest.json")),
    ],
)  # fmt: skip
def test_unusable_data(refused, table_dir, change, flags, message, also):
    if change:
        change(table_dir)
    assert message in refused(*flags, also=also)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_seq_length=33"], "trained with 32 positions; give at most that"),
        (["--max_seq_length=2"], "--max_seq_length=2 leaves no room for text beside [CLS] and [SEP]"),
        (["--class_weights=1,x"], "--class_weights=1,x: not a list of numbers"),
        (["--class_weights=1,2,3"], "--class_weights has 3 weights for 2 labels (neg, pos)"),
        (["--class_weights=net=2"], "--class_weights: 'net' is not a label; labels are neg, pos"),
        (["--class_weights=1,-2"], "expected finite weights of at least 0, and not all 0"),
        (["--class_weights=nan,1"], "expected finite weights of at least 0, and not all 0"),
        (["--class_weights=neg=0,pos=0"], "expected finite weights of at least 0, and not all 0"),
        (["--label_smoothing=1"], "--label_smoothing=1.0: expected a share of at least 0 and below 1, 0.1 say"),
        (["--label_smoothing=nan"], "--label_smoothing=nan: expected a share"),
        (["--focal_gamma=0.5"], "--focal_gamma=0.5: expected 0 (off) or at least 1; 2 is usual"),
        (["--focal_gamma=-1"], "--focal_gamma=-1.0: expected 0 (off)"),
        (["--no_such_flag=1"], "no_such_flag"),
        (["--do_trian"], "Did you mean: do_train"),
        (["--train_batch_size=many"], "--train_batch_size=many"),
        (
            ["--num_train_epochs=0"],
            "--num_train_epochs=0 trains nothing; give a larger number",
        ),
        (["--train_batch_size=0"], "--train_batch_size=0"),
        (["--problem_type=triple"], "--problem_type=triple"),
        (["mrpc"], "unexpected argument 'mrpc'"),
        (["--nodo_train", "--nodo_eval"], "nothing to do: give at least one of --do_train, --do_eval"),
        (["--output_dir="], "--output_dir is missing"),
        (["--predict_file=new.tsv"], "--predict_file needs --do_predict"),
        (["--init_checkpoint="], "--bert_config_file is missing"),
        (["--init_checkpoint=nowhere/model"], "nowhere/model: no checkpoint there; looked for nowhere/model.index"),
        (["--vocab_file=nowhere.txt"], "--vocab_file=nowhere.txt: no such file"),
        (["--bert_config_file=nowhere.json"], "--bert_config_file=nowhere.json: no such file"),
    ],
)
def test_unusable_flags(refused, flags, message):
    assert message in refused(*flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--do_eval", "--init_checkpoint="], "has no trained checkpoint; run with --do_train first"),
        (["--do_export"], "--do_export: {run} has no trained checkpoint; run with --do_train first"),
        (["--do_predict", "--predict_file=-"], "or give an --init_checkpoint that has a trained head for these labels"),
        (
            ["--do_predict", "--predict_file=-", "--init_checkpoint="],
            "--predict_file=-: --output_dir={run} holds no export and no",
        ),
        (["--do_eval", "--do_predict", "--predict_file=-"], "has no trained checkpoint; run with --do_train first"),
    ],
)  # fmt: skip
def test_nothing_trained(refused, tiny_model, tmp_path, flags, message):
    files = [f"--vocab_file={tiny_model / 'vocab.txt'}", f"--bert_config_file={tiny_model / 'bert_config.json'}"]
    assert message.format(run=tmp_path / "run") in refused("--nodo_train", "--nodo_eval", *files, *flags)


def configured(**changes):
    def change(model):
        (model / "bert_config.json").write_text(json.dumps({**tiny.CONFIG, **changes}))

    return change


def with_tokens(count, **changes):
    def change(model):
        with (model / "vocab.txt").open("a") as stream:
            stream.write("".join(f"extra{index}\n" for index in range(count)))
        configured(**changes)(model)

    return change


def cut(name, keep):
    def change(model):
        path = model / name
        path.write_bytes(path.read_bytes()[:keep])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_tokens(3), "vocab.txt has 43 tokens, but"),
        (configured(vocab_size=5000), "its vocabulary has 40 entries (bert/embeddings/word_embeddings), but"),
        (with_tokens(3, vocab_size=43), "its vocabulary has 40 entries (bert/embeddings/word_embeddings), but"),
        (configured(hidden_size=32), "has shape"),
        (configured(num_hidden_layers=3), "holds 1 encoder layers, but the model configuration has 3 (num_"),
        (configured(num_hidden_layers=2), "holds 1 encoder layers, but the model configuration has 2 (num_"),
        (configured(max_position_embeddings=64), "bert/embeddings/position_embeddings has shape (64, 16) in the model"),
        (configured(position_embedding_type="relative_key"), "position_embedding_type is 'relative_key', but"),
        (rewritten("bert_config.json", "{"), "bert_config.json"),
        (rewritten("vocab.txt", "[PAD]\n[CLS]\n[SEP]\n"), "[UNK] not among its 3 tokens"),
        (cut("bert_model.ckpt.data-00000-of-00001", 2000), "the .data file is missing, truncated or damaged"),
        (removed("bert_model.ckpt.data-00000-of-00001"), "the .data file is missing, truncated or damaged"),
        (cut("bert_model.ckpt.index", 100), "the .index file is missing, truncated or damaged"),
        (rewritten("tokenizer_config.json", '{"do_lower_case": false}'), "says that the model is cased; "
         "set --do_lower_case=false"),
    ],
)  # fmt: skip
def test_model_files_that_disagree_or_are_damaged(refused, model, change, message):
    change(model)
    assert message in refused(f"--init_checkpoint={model}")


def test_a_vocab_size_above_the_vocabulary_is_a_warning(model, table_dir, run_script):
    vocab_file = model / "vocab.txt"
    vocab_file.write_text("".join(vocab_file.read_text().splitlines(keepends=True)[:38]))
    code, _, err = run_script(
        run_classifier.main, "--task_name=table", "--text_a=text", "--label=label", f"--data_dir={table_dir}",
        "--max_seq_length=24", f"--init_checkpoint={model}", "--only_check_args",
    )  # fmt: skip
    assert code == 0
    assert "vocab.txt has 38 tokens, but" in err
    assert "says vocab_size 40: the last 2 rows are never used; some models pad their table for speed" in err


def test_truncated_safetensors(refused, shared, tmp_path):
    model = shutil.copytree(shared / "data" / "checkpoints" / "hf-tiny-bert-safetensors", tmp_path / "hf")
    weights = model / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:-1000])
    assert f"{weights}: truncated: found {len(content) - 1000} bytes" in refused(
        f"--init_checkpoint={model}", "--nodo_lower_case"
    )


@pytest.mark.parametrize(
    ("vocabulary", "flag", "message"),
    [
        ("bert-base-cased", [], "are cased; set --do_lower_case=false"),
        ("bert-base-uncased", ["--do_lower_case=false"], "are lower-cased; set --do_lower_case=true"),
    ],
)
def test_casing_against_the_vocabulary(refused, vocab_dir, vocabulary, flag, message):
    assert message in refused(f"--vocab_file={vocab_dir / vocabulary / 'vocab.txt'}", *flag)


@pytest.mark.parametrize(
    ("name", "flag", "message"),
    [
        ("cased_L-2_H-16_A-2", "--do_lower_case", "names a model trained on cased text; set --do_lower_case=false"),
        ("uncased_L-2_H-16_A-2", "--nodo_lower_case", "trained on lower-cased text; set --do_lower_case=true"),
    ],
)
def test_casing_against_the_name_of_the_checkpoint(refused, model, name, flag, message):
    named = model.rename(model.with_name(name))
    assert message in refused(f"--init_checkpoint={named / 'bert_model.ckpt'}", flag)


def test_output_dir_that_cannot_be_one(refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    assert "is a file; expected a directory" in refused(output_dir=file)
    assert f"--output_dir={file / 'run'} cannot be written" in refused(output_dir=file / "run")
    assert file.read_text() == "mine"


def test_read_only_output_dir(refused, tmp_path, monkeypatch):
    folder = tmp_path / "locked"
    folder.mkdir()
    # Permissions do not hold back the superuser, whom tests may run as.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    assert f"--output_dir={folder} cannot be written (Permission denied)" in refused(output_dir=folder)


def test_help_and_flag_errors_come_before_tensorflow(tmp_path):
    code = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(ROOT)!r})
        import run_classifier
        try:
            run_classifier.main(sys.argv)
        finally:
            slow = {{"tensorflow", "pandas", "sklearn", "matplotlib", "scipy"}} & sys.modules.keys()
            print("IMPORTED", *slow)
        """
    )
    for argument, exit_code in (("--help", 0), ("--train_batch_size=many", 2), ("--unknown", 2), ("--do_train", 2)):
        started = time.monotonic()
        command = [sys.executable, "-c", code, argument]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        assert time.monotonic() - started < 10  # 2 seconds on a machine with nothing else to do
        assert done.returncode == exit_code, done.stderr
        assert done.stdout.splitlines()[-1] == "IMPORTED"
        assert done.stderr.count("\n") == (0 if argument == "--help" else 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model):
    """A run of eight steps, with its data; tests work on copies."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.write_table(folder / "data")
    run_classifier.main(
        ["script", *TABLE, *SIZES, f"--data_dir={folder / 'data'}", f"--init_checkpoint={tiny_model}", "--do_train",
         f"--output_dir={folder / 'run'}"]
    )  # fmt: skip
    return folder


@pytest.fixture
def run_dir(trained, tmp_path):
    """A copy of the finished run that a test may damage."""
    return Path(shutil.copytree(trained / "run", tmp_path / "run"))


def test_run_of_another_task(refused, run_dir, table_dir):
    line = refused("--task_name=sst-2", output_dir=run_dir)
    assert "--task_name=sst-2 contradicts --output_dir=" in line
    assert "which was trained with --task_name=table" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut("model.ckpt-8.data-00000-of-00001", 3000), "the .data file is missing, truncated or damaged"),
        (cut("model.ckpt-8.index", 50), "the .index file is missing, truncated or damaged"),
        (rewritten("run.json", "{"), "run.json: is not JSON ("),
        (rewritten("run.json", "[1]"), "run.json: holds a JSON array, expected an object"),
        (rewritten("run.json", "[" * 100_000), "run.json: is nested too deeply"),
        (rewritten("run.json", '{"identity": null}'), "run.json: has no object under identity"),
        (rewritten("run.json", '{"flags": 7}'), "run.json: has no object under flags"),
        (rewritten("run.json", '{"held_out": 7}'), "run.json: has no object under held_out"),
        (rewritten("run.json", '{"commands": 7}'), "run.json: has no list of objects under commands"),
        (
            rewritten("run.json", '{"commands": [{"seconds": "x"}]}'),
            "run.json: has something else than expected under commands[0].seconds",
        ),
    ],
)
def test_damaged_run_directory(refused, run_dir, change, message):
    change(run_dir)
    line = refused("--num_train_epochs=2", output_dir=run_dir)
    assert message in line
    assert "run.json" in line or "and there is no other trained checkpoint; copy its files back" in line


def damaged_records(path):
    """Turns a bit of a record over and makes the manifest agree, as if the disk had done it after the check."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    manifest = path.with_name(path.name + ".manifest.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "sha256": file_digest(path)}))


def test_damage_that_shows_while_reading_is_one_line_and_the_next_run_rebuilds(run_script, run_dir, trained):
    path = run_dir / "train.tf_record"
    whole = path.read_bytes()
    damaged_records(path)
    flags = ["--do_train", f"--data_dir={trained / 'data'}", f"--output_dir={run_dir}", *SIZES, "--num_train_epochs=2"]
    code, _, err = run_script(run_classifier.main, *flags)
    assert code == 2
    assert f"{path}: corrupt record (" in err.splitlines()[-1]
    assert "it was removed; run again to rebuild it" in err.splitlines()[-1]
    assert not path.exists()
    code, _, err = run_script(run_classifier.main, *flags)
    assert code == 0, err
    assert "training 8 to 16 of 16 steps" in err
    assert path.read_bytes() == whole


def test_records_that_do_not_match_their_manifest_are_rebuilt(run_script, run_dir, trained):
    path = run_dir / "train.tf_record"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    code, _, err = run_script(
        run_classifier.main, "--do_train", f"--data_dir={trained / 'data'}", f"--output_dir={run_dir}", *SIZES
    )
    assert code == 0
    assert f"rebuilding {path}: its manifest does not fit the file, which ends within a record" in err
    assert path.read_bytes() == whole


def test_standard_output_is_utf_8_in_every_locale(tmp_path, tiny_model, table_dir):
    for name in ("train", "dev", "test"):
        path = table_dir / f"{name}.tsv"
        path.write_text(path.read_text(encoding="utf-8").replace("\tpos", "\tschön 好"), encoding="utf-8")
    command = [
        sys.executable, SCRIPT, *TABLE, "--validate_only", f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}",
        "--max_seq_length=24",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "schön 好" in done.stdout.decode("utf-8")


def test_half_a_character_can_be_printed(tmp_path, tiny_model):
    """As in the name of a column; where a text belongs it is refused."""
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label\\ud83d": "b"}\n')
    done = subprocess.run(
        [sys.executable, SCRIPT, *TABLE, "--max_seq_length=24", f"--data_dir={tmp_path}", "--validate_only",
         f"--init_checkpoint={tiny_model}"],
        capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 2
    assert "no column 'label' for --label; closest" in done.stderr.splitlines()[-1]
    assert "label\\ud83d" in done.stderr.splitlines()[-1]


def test_loss_that_is_no_number(run_script, table_dir, tiny_model, tmp_path):
    code, _, err = run_script(
        run_classifier.main, *TABLE, *SIZES, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}", "--do_train",
        f"--output_dir={tmp_path / 'run'}", "--learning_rate=1e38",
    )  # fmt: skip
    lines = err.splitlines()
    assert code == 2
    assert [line for line in lines[:-1] if not LOG_LINE.match(line)] == []
    found = re.match(
        r"error: training: the loss became NaN at step (\d+) \(learning rate \d\.\de\+37, gradient norm nan, rows "
        r"(train-\d+, ){7}train-\d+; it was \S+ a step before\); expected a finite number; lower --learning_rate or "
        r"look for broken rows with --validate_only; --on_nan=skip leaves such updates out$", lines[-1]
    )  # fmt: skip
    assert found, lines[-1]
    assert int(found[1]) > 1


PLUG_IN = """
import os, signal
from processors import DataProcessor, InputExample, register

@register("mortal")
class MortalProcessor(DataProcessor):
    def get_labels(self):
        return ["neg", "pos"]

    def get_train_examples(self, data_dir):
        for index in range(1200):
            if index == 1100 and "DIE" in os.environ:
                os.kill(os.getpid(), signal.SIGKILL)
            yield InputExample(f"train-{index}", "the film was good", None, ("neg", "pos")[index % 2])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_killed_while_writing_records(run_script, tiny_model, tmp_path):
    (tmp_path / "mortal.py").write_text(PLUG_IN)
    (tmp_path / "data").mkdir()
    run_dir = tmp_path / "run"
    flags = [
        f"--processor_module={tmp_path / 'mortal.py'}", "--task_name=mortal", f"--data_dir={tmp_path / 'data'}",
        f"--init_checkpoint={tiny_model}", "--do_train", f"--output_dir={run_dir}", *SIZES, "--train_batch_size=600",
    ]  # fmt: skip
    killed = subprocess.run(
        [sys.executable, SCRIPT, *flags], env={**os.environ, "DIE": "1"}, capture_output=True, timeout=120, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name.split("-")[0] for path in run_dir.iterdir()] == ["train.tf_record.tmp"]
    code, _, err = run_script(run_classifier.main, *flags)
    assert code == 0, err
    assert "wrote 1200 records" in err
    assert not list(run_dir.glob("*.tmp-*"))
    assert json.loads((run_dir / "train.tf_record.manifest.json").read_text())["num_records"] == 1200
