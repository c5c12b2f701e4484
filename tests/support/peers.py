"""Environments of other libraries: a Python that has one of them, to prove files against their owners' own code."""

import functools
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@functools.cache
def python_with(module: str) -> str:
    """A Python that imports a library; the test is skipped where there is none.

    Looked for in `$BERT_PEER_PYTHON` (paths with colons between them), `.venv-peer` and `.venv-peer4`.
    """
    named = [path for path in os.environ.get("BERT_PEER_PYTHON", "").split(":") if path]
    for python in [*named, *(str(ROOT / name / "bin" / "python") for name in (".venv-peer", ".venv-peer4"))]:
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        if Path(python).exists() and subprocess.run([python, "-c", code], check=False).returncode == 0:
            return python
    pytest.skip(f"no Python with {module}; install it into .venv-peer or .venv-peer4, or name one in BERT_PEER_PYTHON")


def run(module: str, code: str, *arguments: object) -> str:
    """Standard output of code that runs with a library."""
    ran = subprocess.run(
        [python_with(module), "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout
