"""One writer at a time, by a lock that ends with its process; leftovers of killed processes go."""

import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import RunDirectoryError
from common.run_directory import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from common.exclusive import locked
with locked(Path(sys.argv[2])):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    run = RunDirectory(tmp_path / "run[1]")
    run.path.mkdir()
    command = [sys.executable, "-c", HOLDER, str(ROOT), str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(RunDirectoryError) as refused, run.owned():
            pytest.fail("two processes write")
        holder.kill()
    assert str(refused.value) == (
        f"--output_dir={run.path}: another process writes to it; wait until it has ended, or choose another"
    )
    with run.owned():
        assert list(run.path.iterdir()) == []


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path):
    run = RunDirectory(tmp_path / "a" / "b" / "run")
    with pytest.raises(ValueError, match="stop"), run.owned():
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []

    def fill_and_stop():
        with run.owned():
            (tmp_path / "a" / "kept").write_text("")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fill_and_stop()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "kept"]


LEFT = [
    "train.tf_record.tmp-host-a-123", "vocab.txt.tmp-7", "checkpoint.tmp0a1b2c", "model.ckpt-5.index.tempstate123",
    "best/labels.txt.tmp-9", "best/model.ckpt-3.data-00000-of-00001", "export/temp-170000", "model.ckpt-9_temp",
    "model.ckpt-9.data-00000-of-00001",
]  # fmt: skip
KEPT = [
    "train.tf_record", "notes.tmp", "vocab.txt", "checkpoint", "model.ckpt-5.index", "best/vocab.txt", "temperature",
    "model.ckpt-5.data-00000-of-00001", "export/170000", "elsewhere/vocab.txt.tmp-7", "template-1",
]  # fmt: skip


def test_leftovers_go_and_everything_else_stays(tmp_path):
    for name in (*LEFT, *KEPT):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if path.name.startswith("temp-") or name in ("model.ckpt-9_temp", "export/170000"):
            path.mkdir()
            (path / "part").write_text("")
        else:
            path.write_text('model_checkpoint_path: "model.ckpt-5"\n' if name == "checkpoint" else "")
    with RunDirectory(tmp_path).owned():
        for name in LEFT:
            assert not (tmp_path / name).exists(), name
        for name in KEPT:
            assert (tmp_path / name).exists(), name


@pytest.mark.parametrize("state", [None, "", 'model_checkpoint_path: "model.ckpt-9"\n'])
def test_the_data_of_a_latest_checkpoint_stays_whatever_became_of_its_index(tmp_path, state):
    data = tmp_path / "model.ckpt-9.data-00000-of-00001"
    data.write_text("")
    if state is not None:
        (tmp_path / "checkpoint").write_text(state)
    with RunDirectory(tmp_path).owned():
        assert data.exists()
