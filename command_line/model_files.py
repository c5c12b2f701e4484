"""Which vocabulary and architecture a run uses: by flag, from its output directory, or from beside the checkpoint."""

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common.errors import ConfigError, FlagError, VocabularyError
from common.run_directory import vocabulary_digest
from modeling.checkpoints.locate import FilesBeside, find_beside, locate_checkpoint
from modeling.config import BertConfig
from tokenization import (
    BulkTokenizer,
    Tokenizer,
    check_stated_settings,
    check_vocabulary_casing,
    validate_case_matches_checkpoint,
)

log = logging.getLogger(__name__)

SPARE_ROWS = 1024
"""Rows an embedding table may have beyond the vocabulary without a warning: some models pad it for speed."""


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """The model's files, read and checked against each other; no tokenizer where no text is read."""

    config: BertConfig
    tokenizer: Tokenizer | None
    vocab_file: Path | None

    @property
    def text_tokenizer(self) -> Tokenizer:
        """The tokenizer, for those who read text."""
        if self.tokenizer is None:
            raise ValueError("no vocabulary was asked for")
        return self.tokenizer

    def identity(self) -> dict[str, Any]:
        """What two runs in one output directory must share of them."""
        architecture = {"architecture": self.config.to_dict()}
        if self.tokenizer is None:
            return architecture
        vocabulary = vocabulary_digest(self.tokenizer.vocab)
        return {"vocabulary": vocabulary, "do_lower_case": self.tokenizer.do_lower_case, **architecture}


def load(
    flags: SimpleNamespace,
    output_dir: Path,
    identity: Mapping[str, Any],
    needs_vocabulary: bool = True,
    reads_text: bool = True,
) -> ModelFiles:
    """Reads vocabulary and architecture and checks that they agree with each other and with the flags.

    Args:
      flags: `vocab_file`, `bert_config_file`, `init_checkpoint`, `do_lower_case`, `max_seq_length`.
      output_dir: where an earlier run may have left both files.
      identity: what that run says of itself; its casing holds unless the flag is given.
      needs_vocabulary: whether to refuse to go on where no vocabulary is found.
      reads_text: whether text is tokenized, as the files beside the vocabulary ask.

    Raises:
      BertError: a file is missing or unreadable, or two of them disagree.
    """
    if flags.init_checkpoint and not (output_dir / "checkpoint").is_file():
        locate_checkpoint(flags.init_checkpoint)  # else a wrong path would be reported as a missing vocabulary
    beside = find_beside(flags.init_checkpoint) if flags.init_checkpoint else FilesBeside(None, None)
    vocab_file = _find("vocab_file", flags.vocab_file, output_dir / "vocab.txt", beside.vocab_file)
    config_file = _find("bert_config_file", flags.bert_config_file, output_dir / "bert_config.json", beside.config_file)
    needed = {"vocab_file": vocab_file, "bert_config_file": config_file}
    for flag, path in needed.items():
        if path is None and (needs_vocabulary or flag != "vocab_file"):
            raise FlagError(
                f"--{flag} is missing: neither --output_dir nor the folder of --init_checkpoint holds one; "
                "give its path"
            )
    config = BertConfig.from_json_file(str(config_file))
    config.check_heads(str(config_file))
    lower = (
        flags.do_lower_case if "do_lower_case" in flags.given else identity.get("do_lower_case", flags.do_lower_case)
    )
    validate_case_matches_checkpoint(lower, flags.init_checkpoint)
    tokenizer = None
    if vocab_file is not None:
        tokenizer = BulkTokenizer(str(vocab_file), lower, config.family.special_tokens)
        check_vocabulary_casing(lower, tokenizer.vocab, vocab_file)
        if reads_text:
            check_stated_settings(tokenizer.vocab, vocab_file, lower)
        _check_sizes(config, config_file, tokenizer, vocab_file)
    if flags.max_seq_length > config.longest_sequence:
        raise FlagError(
            f"--max_seq_length={flags.max_seq_length}: the model in {config_file} was trained with "
            f"{config.longest_sequence} positions; give at most that"
        )
    return ModelFiles(config, tokenizer, vocab_file)


def _find(flag: str, given: str | None, own: Path, beside: str | None) -> Path | None:
    if given:
        path = Path(given)
        if not path.is_file():
            error = VocabularyError if flag == "vocab_file" else ConfigError
            raise error(f"--{flag}={given}: no such file; check the path")
        return path
    if own.is_file():
        return own
    return Path(beside) if beside is not None else None


def _check_sizes(config: BertConfig, config_file: Path | None, tokenizer: Tokenizer, vocab_file: Path) -> None:
    tokens, rows = len(tokenizer.tokens), config.vocab_size
    told = f"{vocab_file} has {tokens} tokens, but {config_file} says vocab_size {rows}"
    if tokens > rows:
        raise VocabularyError(f"{told}; give the vocabulary and configuration that belong to the checkpoint")
    if tokens < rows - SPARE_ROWS:
        log.warning("%s: the last rows are never used; check that both belong to the checkpoint", told)
