"""A disk without room ends a run in one line, wherever it shows."""

import concurrent.futures
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import run_classifier
from command_line import app
from command_line.flags.declaration import FlagSet
from common.errors import DataError
from common.files import atomic_writer, write_atomically

FULL = Path("/dev/full")
ROOT = Path(__file__).resolve().parents[2]
TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8"]

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="/dev/full stands for a disk without room")


@pytest.mark.slow
def test_reports_of_a_run(tiny_model, table_dir, tmp_path, run_script):
    run = tmp_path / "run"
    run.mkdir()
    (run / "metrics.jsonl").symlink_to(FULL)
    code, _, err = run_script(
        run_classifier.main, *TABLE, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}", "--do_train",
        "--max_train_examples=16", "--num_train_epochs=1", f"--output_dir={run}",
    )  # fmt: skip
    assert code == 2
    assert err.splitlines()[-1] == (
        f"error: {run / 'metrics.jsonl'}: cannot be written (No space left on device); "
        "free disk space or check permissions"
    )
    assert "Traceback" not in err


def test_answers_while_they_are_written(tmp_path, monkeypatch):
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args, **kwargs: opened(FULL, *args, **kwargs))
    with pytest.raises(DataError) as full, atomic_writer(tmp_path / "one") as one:
        one.write("more than a buffer holds\n" * 10_000)
    assert str(full.value) == (
        f"{tmp_path / 'one'}: cannot be written (No space left on device); free disk space or check permissions"
    )
    with pytest.raises(DataError, match="three: cannot be written"):
        write_atomically(tmp_path / "three", "so little that it shows on closing")
    assert list(tmp_path.iterdir()) == []


def starts(error):
    """Starts a script whose run raises an error, in no code of the user's, which that of a test would be."""
    outcome = concurrent.futures.Future()
    outcome.set_exception(error)
    app.start(app.Script(FlagSet(()), outcome.result), "Help.", ["script"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("name", ["here.tsv", None])
def test_what_nobody_has_named(number, name, capsys):
    with pytest.raises(SystemExit) as left:
        starts(OSError(number, os.strerror(number), name))
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        f"error: {name or 'a file, or standard output'}: cannot be written ({os.strerror(number)}); "
        "free disk space, then run the same command again\n"
    )


def test_any_other_error_of_the_system_keeps_its_traceback():
    with pytest.raises(FileNotFoundError):
        starts(FileNotFoundError(errno.ENOENT, "No such file or directory", "ours"))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (FULL, "error: a file, or standard output: cannot be written (No space left on device); free disk space, "
               "then run the same command again\n"),
        (None, "error: standard output: its reader has closed it before everything was written; let it read to the "
               "end\n"),
    ],
    ids=["full", "closed"],
)  # fmt: skip
def test_standard_output(target, message):
    code = (
        "from command_line.app import Script, start\n"
        "from command_line.flags.declaration import FlagSet\n"
        "def run(flags): [print('an answer', flush=True) for _ in range(9)]\n"
        "start(Script(FlagSet(()), run), 'Help.', ['script'])\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    out = writer if target is None else os.open(target, os.O_WRONLY)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writer)
    assert done.returncode == 2
    assert done.stderr == message
