"""Which vocabulary and architecture a run uses: by flag, from its output directory, or from beside the checkpoint."""

import copy
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.extra_tokens import with_extra_tokens
from command_line.remote_files import local
from common.errors import ConfigError, FlagError, VocabularyError, one_line
from common.files import json_object
from common.run_directory import RunDirectory, vocabulary_digest
from modeling.checkpoints.export_assets import stated_settings
from modeling.checkpoints.locate import ASSETS, HUB_FILE, SAVED_MODEL_FILE, FilesBeside, find_beside, locate_checkpoint
from modeling.config import BertConfig
from modeling.families import registry
from modeling.families.base import Family
from tokenization import BulkTokenizer, ByteBpeTokenizer, Tokenizer, validate_case_matches_checkpoint
from tokenization.kinds import CASING, KINDS, Asked, kind_of, of_assets

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """The model's files, read and checked against each other; no tokenizer where no text is read.

    Attributes:
      added_rows: how many rows the embedding table has beyond that of `--init_checkpoint`.
    """

    config: BertConfig
    tokenizer: Tokenizer | None
    vocab_file: Path | None
    added_rows: int = 0

    @property
    def vocabulary(self) -> dict[str, Path]:
        """The files of the tokenizer by the names that they get in a folder of a run; none without a tokenizer."""
        if self.vocab_file is None or self.tokenizer is None:
            return {}
        return KINDS[self.tokenizer.kind].files(self.vocab_file)

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
        casing = {name: getattr(self.tokenizer, name) for name in CASING}
        vocabulary: dict[str, Any] = {"vocabulary": vocabulary_digest(self.tokenizer.vocab)}
        if isinstance(self.tokenizer, ByteBpeTokenizer):  # some may be of the vocabulary, but not found in texts before
            vocabulary["added_tokens"] = self.tokenizer.added_tokens
        return {**vocabulary, **casing, **architecture}


def load(
    flags: SimpleNamespace,
    output_dir: Path,
    identity: Mapping[str, Any],
    needs_vocabulary: bool = True,
    reads_text: bool = True,
) -> ModelFiles:
    """Reads vocabulary and architecture and checks that they agree with each other and with the flags.

    Args:
      flags: `vocab_file`, `bert_config_file`, `init_checkpoint`, `max_seq_length`, and those of `CASING`, which are
        set to what the tokenizer does, so that later commands find that recorded.
      output_dir: where an earlier run may have left both files.
      identity: what that run says of itself; its casing holds unless the flag is given.
      needs_vocabulary: whether to refuse to go on where no vocabulary is found.
      reads_text: whether text is tokenized, as the files beside the vocabulary ask.

    Raises:
      BertError: a file is missing or unreadable, or two of them disagree.
    """
    if flags.init_checkpoint and not (output_dir / "checkpoint").is_file():
        locate_checkpoint(flags.init_checkpoint)  # else a wrong path would be reported as a missing vocabulary
    config_file = _found(
        flags.bert_config_file, "bert_config_file", output_dir, ["bert_config.json"], _beside(flags).config_file
    )
    config, config_file = _config(config_file, flags)
    _cut(config, config_file, getattr(flags, "num_layers_used", None))
    family = config.family
    names = _vocabulary_names(family)
    vocab_file = _found(flags.vocab_file, "vocab_file", output_dir, names, _beside(flags, names).vocab_file)
    if vocab_file is None and needs_vocabulary:
        raise _missing_vocabulary(config, flags)
    asked = _asked(flags, identity, vocab_file)
    validate_case_matches_checkpoint(asked.do_lower_case is not False, flags.init_checkpoint)
    tokenizer = None
    if vocab_file is not None:
        tokenizer = _tokenizer(family, vocab_file, asked, reads_text)
        _set_casing(flags, tokenizer)
        _check_sizes(config, config_file, tokenizer, vocab_file)
    _check_length(flags, config, config_file)
    return _extended(flags, ModelFiles(config, tokenizer, vocab_file))


def _set_casing(flags: SimpleNamespace, tokenizer: Tokenizer) -> None:
    """Sets the flags to what a tokenizer does; None where that is the usual."""
    lower, strips = tokenizer.do_lower_case, tokenizer.strip_accents
    flags.do_lower_case, flags.strip_accents = lower, strips if strips != lower else None
    unbroken = tokenizer.kind == BulkTokenizer.kind and not tokenizer.tokenize_chinese_chars
    flags.tokenize_chinese_chars = False if unbroken else None


def _tokenizer(family: Family, vocab_file: Path, asked: Asked, reads_text: bool) -> Tokenizer:
    """The tokenizer of a vocabulary file, as models of a family have it.

    Raises:
      BertError: the file cannot be used, or what lies beside it asks for another tokenizer.
    """
    name = kind_of(family.tokenizers, vocab_file)
    kind = KINDS[name]
    special = family.special_tokens if name == family.tokenizer else kind.special_tokens
    tokenizer = kind.load(vocab_file, asked, special)
    if reads_text:
        kind.check(tokenizer, vocab_file, registry.tokenizer_classes(name))
    return tokenizer


def _extended(flags: SimpleNamespace, files: ModelFiles) -> ModelFiles:
    """The files with the tokens of `--extra_tokens`, if it is given, and an embedding table that has them all.

    Raises:
      BertError: there is no vocabulary, or it cannot have them.
    """
    given = getattr(flags, "extra_tokens", None)
    if not given:
        return files
    if files.tokenizer is None:
        raise FlagError(f"--extra_tokens={given} adds to a vocabulary, and there is none; give --vocab_file")
    tokenizer, path = with_extra_tokens(KINDS[files.tokenizer.kind], files.tokenizer, given)
    config = copy.deepcopy(files.config)
    config.vocab_size = max(config.vocab_size, len(tokenizer.tokens))
    added = _added_rows(flags.init_checkpoint, config, len(tokenizer.tokens), files.config.vocab_size)
    inserts = [name for name in ("adapter_size", "lora_rank", "cache_features") if getattr(flags, name, None)]
    if added and inserts:
        raise FlagError(
            f"--extra_tokens={given}: {added} of them need new rows of the embedding table, which --{inserts[0]} "
            "leaves as it is in --init_checkpoint; train the whole model, or give no more than there are [unused] ones"
        )
    return ModelFiles(config, tokenizer, path, added)


def _added_rows(init_checkpoint: str | None, config: BertConfig, tokens: int, rows: int) -> int:
    """How many rows the table of a model has beyond that of its checkpoint.

    Args:
      init_checkpoint: as the flag; None for a model that starts at random.
      config: of the model with further tokens.
      tokens: of its vocabulary.
      rows: of the table without them; a command that was stopped may have left a configuration that has them.
    """
    if init_checkpoint and tokens == config.vocab_size == rows:
        from modeling.checkpoints.restore import checkpoint_variables
        from modeling.checkpoints.variable_names import WORD_EMBEDDINGS

        rows = checkpoint_variables(init_checkpoint).get(WORD_EMBEDDINGS, (rows,))[0]
    return max(config.vocab_size - rows, 0)


def of_export(flags: SimpleNamespace, export_dir: Path) -> ModelFiles:
    """The tokenizer and the architecture of an export, as it says itself; flags cannot say otherwise.

    Args:
      flags: `max_seq_length`.
      export_dir: holds `saved_model.pb`.

    Raises:
      BertError: it does not say, or a flag contradicts.
    """
    assets = export_dir / "assets"
    if not (assets / "bert_config.json").is_file():
        raise ConfigError(f"{assets}: no bert_config.json, which says the architecture; export again")
    for name in ("vocab_file", "bert_config_file", *CASING):
        if name in flags.given:
            raise FlagError(f"--{name} is given, but {export_dir} is an export, which says that itself; leave it out")
    config = BertConfig.from_json_file(str(assets / "bert_config.json"))
    try:
        tokenizer = of_assets(assets, json_object((assets / "tokenizer.json").read_bytes()))
    except (OSError, ValueError) as error:
        raise VocabularyError(f"{assets}/tokenizer.json: {one_line(error)}; export again") from None
    _check_length(flags, config, assets / "bert_config.json")
    return ModelFiles(config, tokenizer, None)


def _check_length(flags: SimpleNamespace, config: BertConfig, config_file: Path | None) -> None:
    if flags.max_seq_length > config.longest_sequence:
        raise FlagError(
            f"--max_seq_length={flags.max_seq_length}: the model in {config_file} was trained with "
            f"{config.longest_sequence} positions; give at most that"
        )


def _config(config_file: Path | None, flags: SimpleNamespace) -> tuple[BertConfig, Path]:
    """The architecture, and the file that says it; of checkpoints that never have one, the weights say it.

    Raises:
      BertError: there is none, or it cannot be used.
    """
    if config_file is not None:
        config = BertConfig.from_json_file(str(config_file))
        config.check_heads(str(config_file))
        return config, config_file
    if flags.init_checkpoint and _comes_without_configuration(flags.init_checkpoint):
        from modeling.checkpoints.sizes import config_of_weights

        return config_of_weights(flags.init_checkpoint), Path(flags.init_checkpoint)
    raise FlagError(
        "--bert_config_file is missing: neither --output_dir nor the folder of --init_checkpoint holds one; give its "
        "path"
    )


def _cut(config: BertConfig, config_file: Path, num_layers_used: int | None) -> None:
    """Lets the encoder end where `--num_layers_used` says.

    Raises:
      FlagError: it does not have so many layers, or layers share weights by their place among all.
    """
    if num_layers_used is None:
        return
    if num_layers_used > config.num_hidden_layers:
        raise FlagError(
            f"--num_layers_used={num_layers_used}: the model in {config_file} has {config.num_hidden_layers} layers; "
            "give at most that"
        )
    if (config.num_hidden_groups or 1) > 1:
        raise FlagError(
            f"--num_layers_used={num_layers_used}: layers of the model in {config_file} share weights in "
            f"{config.num_hidden_groups} groups, which the place among all layers decides; leave it out"
        )
    config.num_hidden_layers = num_layers_used


def _comes_without_configuration(init_checkpoint: str) -> bool:
    """Whether a checkpoint is a TensorFlow Hub module, TensorFlow 2's, or of an owner who writes no configurations."""
    from modeling.checkpoints.restore import attention_heads_of, family_of_names

    if (Path(init_checkpoint) / HUB_FILE).is_file():
        return True
    if locate_checkpoint(init_checkpoint).is_hugging_face:
        return False
    if attention_heads_of(init_checkpoint) is not None:
        return True
    family = family_of_names(init_checkpoint)
    return family is not None and family.google is not None and family.google_config is None


def _asked(flags: SimpleNamespace, identity: Mapping[str, Any], vocab_file: Path | None) -> Asked:
    """What flags ask of the tokenizer, else what the run in the output directory, or beside the vocabulary, was.

    Raises:
      BertError: a flag contradicts a module, or the files of a run cannot be read.
    """
    if not identity and vocab_file is not None:
        described = (RunDirectory(vocab_file.parent).description() or {}).get("identity", {})
        identity = {**stated_settings(vocab_file.parent), **described}
    lower = flags.do_lower_case if "do_lower_case" in flags.given else identity.get("do_lower_case")
    strips = flags.strip_accents
    if strips is None and lower == identity.get("do_lower_case"):  # else it follows the new casing
        strips = identity.get("strip_accents")
    sets_apart = flags.tokenize_chinese_chars
    if sets_apart is None:
        sets_apart = identity.get("tokenize_chinese_chars")
    return Asked(_as_module_says(lower, vocab_file), strips, sets_apart)


def _as_module_says(lower: bool | None, vocab_file: Path | None) -> bool | None:
    """The casing, where it is not given that of the TensorFlow Hub module whose vocabulary it is.

    Raises:
      FlagError: it is given, and another.
    """
    module = vocab_file.parent.parent if vocab_file is not None else Path()
    if vocab_file is None or vocab_file.parent.name != ASSETS or not (module / SAVED_MODEL_FILE).is_file():
        return lower
    from modeling.checkpoints.hub import stated_casing

    stated = stated_casing(module)
    if lower is not None and stated is not None and lower != stated:
        raise FlagError(
            f"--do_lower_case={str(lower).lower()}, but the module {module} says that its text is "
            f"{'lower-cased' if stated else 'cased'}; set --do_lower_case={str(stated).lower()}, or leave it out"
        )
    return stated if lower is None else lower


def _beside(flags: SimpleNamespace, vocabulary_names: Sequence[str] = ()) -> FilesBeside:
    if not flags.init_checkpoint:
        return FilesBeside(None, None)
    return find_beside(flags.init_checkpoint, vocabulary_names)


def _found(given: str | None, flag: str, output_dir: Path, own_names: Sequence[str], beside: str | None) -> Path | None:
    """The file that a flag names, else that of an earlier run, else the one beside the checkpoint."""
    if given:
        path = Path(given)
        if not path.is_file():
            error = VocabularyError if flag == "vocab_file" else ConfigError
            raise error(f"--{flag}={given}: no such file; check the path")
        return path
    own = next((output_dir / name for name in own_names if (output_dir / name).is_file()), None)
    return local(own) if own else (Path(beside) if beside is not None else None)


def _vocabulary_names(family: Family) -> list[str]:
    """What the vocabularies of a family's models may be called, the preferred name first."""
    return list(dict.fromkeys(name for kind in family.tokenizers for name in KINDS[kind].names))


def _missing_vocabulary(config: BertConfig, flags: SimpleNamespace) -> FlagError:
    """Says which file the family reads, and which that it does not read is there."""
    family = config.family
    own = _vocabulary_names(family)
    names = " or ".join(own)
    message = (
        f"--vocab_file is missing: models of {family.title} read {names}, and neither --output_dir nor the folder of "
        "--init_checkpoint holds one"
    )
    others = [name for kind in KINDS.values() for name in kind.names if name not in own]
    there = _beside(flags, others).vocab_file
    if there is not None:
        message += f" (they do not read {Path(there).name}, which is there)"
    return FlagError(f"{message}; give its path")


def _check_sizes(config: BertConfig, config_file: Path | None, tokenizer: Tokenizer, vocab_file: Path) -> None:
    tokens, rows = len(tokenizer.tokens), config.vocab_size
    told = f"{vocab_file} has {tokens} tokens, but {config_file} says vocab_size {rows}"
    if tokens > rows:
        raise VocabularyError(f"{told}; give the vocabulary and configuration that belong to the checkpoint")
    if tokens < rows:
        log.warning(
            "%s: the last %d rows are never used; some models pad their table for speed, otherwise check that both "
            "belong to the checkpoint", told, rows - tokens,
        )  # fmt: skip
