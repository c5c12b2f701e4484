"""The built wheel: everything is in it, and upstream's package name works away from the checkout."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {"tests", "benchmarks", "examples", "scripts", "docs", "build"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what the wheel installs."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in ROOT.iterdir():
        if path.name in OUTSIDE or path.name.startswith("."):
            continue
        if path.is_dir() and (path / "__init__.py").exists():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.is_file():
            shutil.copy(path, source)
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def run(installed, *arguments):
    command, environment = [sys.executable, *arguments], {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        command, cwd=installed.parent, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_every_module_is_in_it(installed):
    scripts = {path.name for path in ROOT.glob("*.py")}
    packages = [path for path in ROOT.iterdir() if (path / "__init__.py").exists() and path.name not in OUTSIDE]
    files = [path for package in packages for path in package.rglob("*") if path.suffix not in ("", ".pyc")]
    expected = {str(path.relative_to(ROOT)) for path in files}
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {name for name in found if ".dist-info" not in name} == scripts | expected
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["py-modules"]
    assert {f"{name}.py" for name in declared} == scripts


def test_upstreams_package_name_works_away_from_the_checkout(installed):
    code = (
        "import sys, bert\nfrom bert import run_classifier, optimization, tokenization\n"
        "assert 'tensorflow' not in sys.modules\n"
        "from bert.run_classifier import InputExample, DataProcessor\n"
        "import run_classifier as same; assert same is run_classifier\n"
        "print(bert.__file__, run_classifier.__file__, tokenization.__file__)\n"
    )
    result = run(installed, "-c", code)
    assert result.returncode == 0, result.stderr
    assert all(path.startswith(str(installed)) for path in result.stdout.split())


def test_its_scripts_run_as_modules(installed):
    result = run(installed, "-m", "bert.run_squad", "--helpshort")
    assert result.returncode == 0, result.stderr
    assert "--predict_file" in result.stdout
