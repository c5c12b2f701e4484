"""Digits to be written backwards: small enough that a tiny model learns it, and every answer is known."""

import json
import random
from pathlib import Path

CONFIG = {
    "vocab_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
    "initializer_range": 0.05,
}
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"0123456789", "."]


def write_model(folder: Path, **changes: int) -> Path:
    """Writes vocab.txt and bert_config.json.

    Args:
      folder: of the files.
      changes: other sizes than those of `CONFIG`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS), encoding="utf-8")
    (folder / "bert_config.json").write_text(json.dumps(CONFIG | changes), encoding="utf-8")
    return folder


def rows(count: int, lengths: list[int], seed: int) -> list[tuple[str, str]]:
    """Digits, and the same from the last to the first; lengths take turns."""
    generator = random.Random(seed)
    made = []
    for index in range(count):
        digits = [str(generator.randrange(10)) for _ in range(lengths[index % len(lengths)])]
        made.append((" ".join(digits), " ".join(reversed(digits))))
    return made


def write_table(folder: Path, counts: dict[str, int], lengths: dict[str, list[int]]) -> Path:
    """Writes a table `SPLIT.tsv` for each split, with the header `digits`, `reversed`."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(counts.items()):
        lines = [f"{source}\t{target}\n" for source, target in rows(count, lengths[split], seed)]
        (folder / f"{split}.tsv").write_text("digits\treversed\n" + "".join(lines), encoding="utf-8")
    return folder


def tokenizer() -> object:
    """The tokenizer of `TOKENS`."""
    from tokenization import BulkTokenizer
    from tokenization.base import SpecialTokens

    return BulkTokenizer.of_tokens(TOKENS, True, SpecialTokens())
