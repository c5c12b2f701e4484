"""What a family of encoders touches is what CONTRIBUTING.md says."""

import re
from pathlib import Path

from modeling.families import distilbert, registry

ROOT = Path(__file__).resolve().parents[3]


def test_a_family_is_one_file_its_entry_and_its_test_data():
    (section,) = re.findall(r"## A family of encoders\n(.*?)\n## ", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (steps, _) = section.split("\nDistilBERT is in these")
    name = distilbert.FAMILY.model_type
    listed = {path.replace("<name>", name) for path in re.findall(r"^\d+\. `([^`]+)`", steps, re.MULTILINE)}
    folders = [one for one in ROOT.iterdir() if one.is_dir() and one.name[0] not in "._"]
    sources = [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    own = Path(__file__).resolve()
    found = {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if path != own and name in path.read_text(encoding="utf-8").lower()
    }
    assert found == listed


def test_classes_of_tokenizers_and_configurations_follow_from_the_families():
    assert registry.tokenizer_classes("wordpiece")[0] == "BertTokenizer"
    assert registry.tokenizer_classes("byte_bpe") == ["RobertaTokenizer"]
    assert registry.CONFIG_FILES[:2] == ("bert_config.json", "config.json")
