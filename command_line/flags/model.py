"""Weights, architecture, vocabulary."""

from typing import Any

from command_line.flags.declaration import Flag, Group, Scope
from modeling.settings import ModelSettings


def _same_accents(given: Any, recorded: Any, identity: Any) -> bool:
    """Whether two values mean the same; None is that of `do_lower_case`."""
    lower = identity.get("do_lower_case")
    return bool((lower if given is None else given) == (lower if recorded is None else recorded))


def _same_unless_false(given: Any, recorded: Any, identity: Any) -> bool:
    """Whether two values mean the same; None is true."""
    del identity
    return (given is False) == (recorded is False)


MODEL = Group(
    "Model",
    (
        Flag(
            "init_checkpoint",
            str,
            ModelSettings.init_checkpoint,
            "Weights to start from: a TensorFlow 1 checkpoint (prefix, .index or folder), a Hugging Face folder, "
            "model.safetensors or pytorch_model.bin, or the --output_dir of another run.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        Flag(
            "bert_config_file",
            str,
            None,
            "Architecture as JSON. Without it, the one in --output_dir or beside --init_checkpoint.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        Flag(
            "vocab_file",
            str,
            None,
            "Vocabulary. Without it, the one in --output_dir or beside --init_checkpoint.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        Flag(
            "do_lower_case",
            bool,
            True,
            "Lower-case the text and strip accents: true for uncased models, false for cased ones.",
            Scope.FIXED,
            is_main=True,
        ),
        Flag(
            "strip_accents",
            bool,
            None,
            "Drop accents, apart from lower-casing. Without it, as the vocabulary's files say, else where text is "
            "lower-cased.",
            Scope.FIXED,
            same=_same_accents,
        ),
        Flag(
            "tokenize_chinese_chars",
            bool,
            None,
            "Make each Chinese character a word (WordPiece). Without it, as the vocabulary's files say, else true.",
            Scope.FIXED,
            same=_same_unless_false,
        ),
        Flag(
            "extra_tokens",
            str,
            None,
            "File with further tokens for the vocabulary, a token a line. They take the places "
            "of [unused] tokens; the others get new rows of the embedding table, which start as the mean of those.",
            Scope.FREE,
            is_path=True,
        ),
        Flag(
            "max_seq_length",
            int,
            128,
            "Tokens of a row at most, special tokens included; longer text is truncated, or read in windows.",
            Scope.REMEMBERED,
            is_main=True,
            in_export=True,
        ),
        Flag(
            "use_one_hot_embeddings",
            bool,
            ModelSettings.use_one_hot_embeddings,
            "Look up word embeddings by matrix product, which is faster on TPUs.",
            Scope.FREE,
        ),
    ),
)
