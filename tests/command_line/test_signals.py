"""Signals at real processes: one line, a checkpoint where training runs, and the same end after a second start."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import run_classifier
from command_line import INTERRUPTED
from common.checkpoints import latest_checkpoint
from tests.support import tiny

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "run_classifier.py")
TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8"]

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")


@pytest.mark.parametrize("module", ["command_line.execution", "tensorflow.python.framework.ops"])
def test_ctrl_c_while_modules_are_imported_is_one_line(tmp_path, tiny_model, module):
    # Python imports `sitecustomize` first; it sends the signal when the module is about to be imported.
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import os, signal, sys

        class Interrupt:
            def find_spec(self, name, path=None, target=None):
                if name == {module!r}:
                    os.kill(os.getpid(), signal.SIGINT)

        sys.meta_path.insert(0, Interrupt())
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
        """)
    )
    tiny.write_table(tmp_path / "data", train=16, dev=4, test=4)
    flags = [f"--data_dir={tmp_path / 'data'}", f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'run'}"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *TABLE, *flags, "--do_train"], env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode in (130, -signal.SIGINT)
    assert done.stderr.splitlines() == [INTERRUPTED]


def test_sigterm_saves_a_checkpoint_and_the_next_command_goes_on_from_it(run_script, tmp_path, tiny_model, table_dir):
    run = tmp_path / "run"
    flags = [
        *TABLE, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}", f"--output_dir={run}", "--do_train",
        "--log_every_n_steps=1",
    ]  # fmt: skip
    command = [sys.executable, SCRIPT, *flags, "--num_train_epochs=100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line.rstrip("\n"))
            if " step 5/" in line:
                process.terminate()
    assert process.returncode == 143
    assert any(line.endswith("with a checkpoint; a second signal stops at once") for line in lines[-4:])
    assert lines[-1] == INTERRUPTED
    latest = latest_checkpoint(run)
    assert latest.contradiction is None
    step = int(latest.name.rpartition("-")[2])
    assert step >= 5
    assert any(f" step {step}/" in line for line in lines[-4:])
    code, _, err = run_script(run_classifier.main, *flags, f"--num_train_epochs={(step + 2) / 8}")
    assert code == 0, err
    assert f"training {step} to {step + 2} of {step + 2} steps" in err
