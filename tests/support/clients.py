"""Programs of other projects as clients: scripts in `tests/serving/clients`, run by the Python that has them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "serving" / "clients"


def run_client(script: str, *arguments: str, content: Any = None) -> Any:
    """What a client prints as JSON.

    Args:
      script: name of a file in `tests/serving/clients`.
      arguments: of its command line.
      content: JSON on its standard input.
    """
    python = Path(os.environ.get("BERT_CLIENTS", ROOT / ".venv-clients")) / "bin" / "python"
    if not python.exists():
        pytest.skip(f"clients of other projects are not at {python}; run scripts/setup clients")
    found = subprocess.run(
        [str(python), str(SCRIPTS / script), *arguments], input=json.dumps(content), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)
