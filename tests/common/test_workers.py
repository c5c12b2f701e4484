"""Worker processes: results in order, whatever is handed to them, and an end where they cannot start."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest

from common.workers import ordered_map

ROOT = Path(__file__).resolve().parents[2]
LARGE = "a" * 1_000_000
"""More than a pipe holds."""

PROGRAM = f"""
import functools, sys
sys.path.insert(0, {str(ROOT)!r})
from common.workers import ordered_map
with ordered_map(functools.partial(max, "a" * 1_000_000), 2) as longest:
    print(list(longest(["b", "c"])))
"""


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_are_in_order_and_work_may_be_large(num_workers):
    with ordered_map(functools.partial(max, LARGE), num_workers) as largest:
        assert list(largest(["b", "", "c", "B"])) == ["b", LARGE, "c", LARGE]


def test_a_program_that_cannot_be_imported_ends_with_advice(tmp_path):
    path = tmp_path / "unguarded.py"
    path.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    # Python's own tracker of semaphores may have the last word.
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("common.errors.DataError: "))
    assert line.startswith("common.errors.DataError: --num_workers=2: a worker process died")
    assert 'has to start workers under `if __name__ == "__main__":`' in line
