"""Which vocabulary and architecture a run uses: by flag, from its output directory, or from beside the checkpoint."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from errors import ConfigError, FlagError, VocabularyError
from modeling.config import BertConfig
from modeling.locate import FilesBeside, find_beside, locate_checkpoint
from tokenization import BulkTokenizer, check_vocabulary_casing, validate_case_matches_checkpoint

SPARE_ROWS = 1024
"""Rows an embedding table may have beyond the vocabulary: some models pad it for speed, none by more."""


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """The model's files, read and checked against each other."""

    config: BertConfig
    tokenizer: BulkTokenizer
    vocab_file: Path


def load(flags: SimpleNamespace, output_dir: Path, identity: Mapping[str, Any]) -> ModelFiles:
    """Reads vocabulary and architecture and checks that they agree with each other and with the flags.

    Args:
      flags: `vocab_file`, `bert_config_file`, `init_checkpoint`, `do_lower_case`, `max_seq_length`.
      output_dir: where an earlier run may have left both files.
      identity: what that run says of itself; its casing holds unless the flag is given.

    Raises:
      BertError: a file is missing or unreadable, or two of them disagree.
    """
    if flags.init_checkpoint and not (output_dir / "checkpoint").is_file():
        locate_checkpoint(flags.init_checkpoint)  # else a wrong path would be reported as a missing vocabulary
    beside = find_beside(flags.init_checkpoint) if flags.init_checkpoint else FilesBeside(None, None)
    vocab_file = _choose("vocab_file", flags.vocab_file, output_dir / "vocab.txt", beside.vocab_file)
    config_file = _choose(
        "bert_config_file", flags.bert_config_file, output_dir / "bert_config.json", beside.config_file
    )
    config = BertConfig.from_json_file(str(config_file))
    lower = (
        flags.do_lower_case if "do_lower_case" in flags.given else identity.get("do_lower_case", flags.do_lower_case)
    )
    validate_case_matches_checkpoint(lower, flags.init_checkpoint)
    tokenizer = BulkTokenizer(str(vocab_file), do_lower_case=lower)
    check_vocabulary_casing(lower, tokenizer.vocab, vocab_file)
    _check_sizes(config, config_file, tokenizer, vocab_file)
    if flags.max_seq_length > config.max_position_embeddings:
        raise FlagError(
            f"--max_seq_length={flags.max_seq_length}: the model in {config_file} was trained with "
            f"{config.max_position_embeddings} positions; give at most that"
        )
    return ModelFiles(config, tokenizer, vocab_file)


def _choose(flag: str, given: str | None, own: Path, beside: str | None) -> Path:
    if given:
        path = Path(given)
        if not path.is_file():
            error = VocabularyError if flag == "vocab_file" else ConfigError
            raise error(f"--{flag}={given}: no such file; check the path")
        return path
    if own.is_file():
        return own
    if beside is not None:
        return Path(beside)
    raise FlagError(
        f"--{flag} is missing: neither --output_dir nor the folder of --init_checkpoint holds one; give its path"
    )


def _check_sizes(config: BertConfig, config_file: Path, tokenizer: BulkTokenizer, vocab_file: Path) -> None:
    tokens, rows = len(tokenizer.vocab), config.vocab_size
    if tokens > rows or tokens < rows - SPARE_ROWS:
        raise VocabularyError(
            f"{vocab_file} has {tokens} tokens, but {config_file} says vocab_size {rows}; "
            "give the vocabulary and configuration that belong to the checkpoint"
        )
