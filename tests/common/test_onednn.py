"""Which processors get oneDNN's kernels, and that a run keeps what it began with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common import onednn
from tests.support import tiny

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def before_tensorflow(monkeypatch):
    """As if TensorFlow were not imported yet, and the variable not set."""
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.delenv(onednn.VARIABLE, raising=False)


def processor(monkeypatch, tmp_path, flags):
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"model name\t: some\nflags\t\t: {flags}\n")
    monkeypatch.setattr(onednn, "_CPU_FILE", path)


@pytest.mark.parametrize(
    ("flags", "asked", "set_to", "expected"),
    [
        ("fpu avx avx2 fma", "auto", None, "1"),
        ("fpu avx", "auto", None, None),
        (None, "auto", None, None),
        ("fpu avx2", "auto", "0", "0"),
        ("fpu avx2", "off", None, "0"),
        ("fpu avx", "on", "0", "1"),
    ],
)
@pytest.mark.usefixtures("before_tensorflow")
def test_the_processor_decides_unless_told(monkeypatch, tmp_path, flags, asked, set_to, expected):
    processor(monkeypatch, tmp_path, flags)
    if set_to is not None:
        monkeypatch.setenv(onednn.VARIABLE, set_to)
    onednn.choose(asked)
    assert os.environ.get(onednn.VARIABLE) == expected
    monkeypatch.delenv(onednn.VARIABLE, raising=False)


def test_nothing_is_set_once_tensorflow_is_there(monkeypatch):
    import tensorflow  # noqa: F401

    monkeypatch.delenv(onednn.VARIABLE, raising=False)
    onednn.choose("on")
    assert onednn.VARIABLE not in os.environ
    assert onednn.state() in ("on", "off")


@pytest.mark.slow
def test_a_run_keeps_what_it_began_with(tiny_model, tmp_path):
    data = tiny.write_table(tmp_path / "data", train=16)
    command = [
        sys.executable, "run_classifier.py", "--task_name=table", "--text_a=text", "--label=label",
        f"--data_dir={data}", f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'run'}", "--do_train",
        "--max_seq_length=16", "--train_batch_size=8",
    ]  # fmt: skip
    for epochs, given, expected in ((1, ["--onednn=off"], "off"), (2, [], "off"), (3, ["--onednn=on"], "on")):
        ended = subprocess.run(
            [*command, f"--num_train_epochs={epochs}", *given], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert (" with oneDNN on " in ended.stderr) == (expected == "on")
        assert json.loads((tmp_path / "run" / "run.json").read_text())["flags"]["onednn"] == expected
