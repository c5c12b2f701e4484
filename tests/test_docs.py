"""The documents say what is: commands name flags and files that exist, links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from command_line.flags.parsing import parse
from command_line.reference import SCRIPTS, page
from command_line.run_task import find

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    "README.md",
    "BUILD.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
]


def commands() -> list[str]:
    found = []
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            joined = block.replace("\\\n", " ")
            found += [line[line.index("python ") :] for line in joined.splitlines() if "python run_" in line]
            found += [line for line in joined.splitlines() if line.startswith("python create_")]
            found += [line for line in joined.splitlines() if line.startswith(("python extract_", "python convert_"))]
    return found


def test_there_are_commands_to_check():
    assert len(commands()) >= 7


@pytest.mark.parametrize("command", commands())
def test_command_parses_and_its_files_exist(command):
    script, *arguments = shlex.split(command)[1:]
    declared = find(str(ROOT / arguments.pop(0))).flags if script == "run_task.py" else SCRIPTS[Path(script).stem].flags
    parsed = parse([script, *arguments], declared)
    for argument in arguments:
        path = argument.partition("=")[2]
        if path.startswith("examples/"):
            assert (ROOT / path).exists(), argument
    assert parsed.given


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).exists(), target


def test_the_project_names_no_machine_and_no_registry():
    pattern = re.compile(r"index-url|extra-index|find-links|https?://[\w.]*(pypi|pythonhosted)", re.IGNORECASE)
    for path in ROOT.glob("requirements*.txt"):
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_the_page_of_flags_is_up_to_date():
    written = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
    assert written == page(), "run python -m command_line.reference > docs/flags.md"
