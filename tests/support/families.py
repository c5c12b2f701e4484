"""Tiny models of every family as folders that a command takes."""

import shutil
from pathlib import Path
from typing import Any

from tests.support import tiny

DATA = Path(__file__).resolve().parents[1] / "data" / "families"


def model_folder(family: Any, folder: Path, head: str = "ForSequenceClassification") -> Path:
    """A folder as its owner leaves it: weights, configuration, and the files of its tokenizer."""
    shutil.copytree(DATA / family.model_type / f"{family.title}{head}", folder)
    if family.tokenizer == "byte_bpe":
        for name in ("vocab.json", "merges.txt"):
            shutil.copy(DATA / family.model_type / "tokenizer" / name, folder / name)
    elif family.tokenizer == "sentencepiece":
        tiny.write_sentencepiece(folder / "spiece.model")
    else:
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS), encoding="utf-8")
    return folder
