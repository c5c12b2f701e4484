"""Kinds of tokenizers: which files each is made from, and how."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from common.errors import FlagError, VocabularyError, one_line
from tokenization.base import SpecialTokens, Tokenizer
from tokenization.byte_bpe import BYTE_BPE_TOKENS, MERGES, ByteBpeTokenizer
from tokenization.casing import check_vocabulary_casing
from tokenization.extra_tokens import ExtendedVocabulary, extend_byte_bpe, extend_sentencepiece, extend_wordpiece
from tokenization.sentencepiece import SENTENCEPIECE_TOKENS, SentencePieceTokenizer
from tokenization.stated_settings import (
    TOKENIZER_CONFIG,
    check_class,
    check_fixed,
    check_special_tokens,
    check_stated_settings,
    stated_settings,
)
from tokenization.tokenizer_json import TOKENIZER_JSON, read
from tokenization.unigram_json import sentencepiece_model
from tokenization.vocabulary import WORDPIECE_TOKENS, check_required
from tokenization.wordpiece.bulk import BulkTokenizer
from tokenization.wordpiece.json_form import WordPieceOfJson, wordpiece_of_json


@dataclass(frozen=True)
class Asked:
    """What flags, or an earlier run, ask of a tokenizer; None where they do not say.

    Args:
      do_lower_case: whether to lower-case text.
      strip_accents: whether to drop accents.
      tokenize_chinese_chars: whether to set Chinese characters apart.
    """

    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None


CASING = tuple(one.name for one in fields(Asked))
"""Names of what a tokenizer does to letters, as flags and attributes of tokenizers have them."""


@dataclass(frozen=True)
class Kind:
    """A kind of tokenizer.

    Args:
      names: of its vocabulary file in a folder, the preferred one first.
      special_tokens: of its vocabularies, as published.
      renamed: those of them that get another name in a folder that is written here.
      load: makes one from that file, what is asked, and special tokens.
      check: refuses what the files beside the vocabulary ask for and is not computed, among that classes of Hugging
        Face other than the given ones.
      stated: what `tokenizer_config.json` says of one.
      restored: makes one from the folder of its `assets`, its `settings` and special tokens.
      extended: a tokenizer with the tokens of a file.
      further: names of files that belong to the vocabulary file.
    """

    names: tuple[str, ...]
    special_tokens: SpecialTokens
    load: Callable[[Path, Asked, SpecialTokens], Tokenizer]
    check: Callable[[Tokenizer, Path, Sequence[str]], None]
    stated: Callable[[Tokenizer], dict[str, Any]]
    restored: Callable[[Path, Mapping[str, Any], SpecialTokens], Tokenizer]
    extended: Callable[[Any, Path], ExtendedVocabulary]
    further: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)

    def files(self, vocab_file: Path) -> dict[str, Path]:
        """The files of a tokenizer by the names that they get in a folder that is written here."""
        alike = [name for name in self.names if name.endswith(vocab_file.suffix)] or self.names
        name = vocab_file.name if vocab_file.name in alike else alike[0]
        name = self.renamed.get(name, name)
        beside = (vocab_file.with_name(one) for one in self.further)
        return {name: vocab_file} | {path.name: path for path in beside if path.is_file()}


def _wordpiece(vocab_file: Path, asked: Asked, special_tokens: SpecialTokens) -> Tokenizer:
    lower, folder = asked.do_lower_case is not False, vocab_file.parent
    beside = {name: value for name, value in stated_settings(folder).items() if isinstance(value, bool)}
    if vocab_file.suffix != ".json":
        tokenizer = BulkTokenizer(
            vocab_file, lower, special_tokens, *_as_stated(asked, beside, folder / TOKENIZER_CONFIG)
        )
    else:
        found = wordpiece_of_json(vocab_file)
        check_required(found.tokens, special_tokens.required, vocab_file)
        _check_casing(lower, found.do_lower_case, vocab_file)
        _check_agreement(found, beside, vocab_file)
        tokenizer = BulkTokenizer.of_tokens(
            found.tokens, lower, special_tokens, *_as_stated(asked, vars(found), vocab_file)
        )
    check_vocabulary_casing(lower, tokenizer.vocab, vocab_file)
    return tokenizer


def _check_casing(lower: bool, is_uncased: bool, vocab_file: Path) -> None:
    """Refuses a casing that is not that of a `tokenizer.json`."""
    if lower != is_uncased:
        raise FlagError(
            f"--do_lower_case={str(lower).lower()}, but {vocab_file} says that the model is "
            f"{'lower-cased' if is_uncased else 'cased'}; set --do_lower_case={str(is_uncased).lower()}"
        )


_DOES = {
    "strip_accents": ("keeps accents", "reads text without accents"),
    "tokenize_chinese_chars": ("reads Chinese characters as letters of words", "sets Chinese characters apart"),
}
"""What a model does whose files set it to false, and to true."""


def _as_stated(asked: Asked, stated: Mapping[str, Any], where: Path) -> tuple[bool | None, bool]:
    """Whether accents are dropped (None: as case is) and Chinese characters set apart, as asked, or as a file states.

    Raises:
      FlagError: the two differ.
    """
    settled: dict[str, bool | None] = {}
    for name, does in _DOES.items():
        ours, theirs = getattr(asked, name), stated.get(name)
        if ours is not None and theirs is not None and ours != theirs:
            raise FlagError(
                f"--{name}={str(ours).lower()}, but {where} says that the model {does[theirs]}; "
                f"set --{name}={str(theirs).lower()}"
            )
        settled[name] = theirs if ours is None else ours
    return settled["strip_accents"], settled["tokenize_chinese_chars"] is not False


def _check_agreement(found: WordPieceOfJson, beside: Mapping[str, bool], vocab_file: Path) -> None:
    """Refuses a `tokenizer.json` that says another thing than the `tokenizer_config.json` beside it.

    Raises:
      VocabularyError: it does.
    """
    for name, does in _DOES.items():
        here = getattr(found, name)
        if beside.get(name, here) != here:
            raise VocabularyError(
                f"{vocab_file} says that the model {does[here]}, but {TOKENIZER_CONFIG} beside it says {name} "
                f"{str(beside[name]).lower()}; correct the one that is wrong"
            )


_ALWAYS = {
    "strip_accents": ("keep accents", "drop accents"),
    "tokenize_chinese_chars": ("read Chinese characters as any others", ""),
}
"""What other kinds of tokenizers do, which know one way alone."""


def _refuse_other(asked: Asked, computed: type[Tokenizer], vocab_file: Path) -> None:
    """Refuses flags that say other than what a kind of tokenizer always computes."""
    for name, does in _ALWAYS.items():
        ours, always = getattr(asked, name), getattr(computed, name)
        if ours not in (None, always):
            raise FlagError(
                f"--{name}={str(ours).lower()}, but tokenizers with a file such as {vocab_file} always {does[always]}; "
                "leave the flag out"
            )


def _check_wordpiece(tokenizer: Tokenizer, vocab_file: Path, classes: Sequence[str]) -> None:
    check_stated_settings(tokenizer.vocab, vocab_file, classes)


def _sentencepiece(vocab_file: Path, asked: Asked, special_tokens: SpecialTokens) -> Tokenizer:
    lower, model = asked.do_lower_case is not False, None
    _refuse_other(asked, SentencePieceTokenizer, vocab_file)
    if vocab_file.suffix == ".json":
        model, is_uncased = sentencepiece_model(vocab_file)
        _check_casing(lower, is_uncased, vocab_file)
    tokenizer = SentencePieceTokenizer(vocab_file, lower, special_tokens, model)
    words = {tokenizer.letters(token): index for token, index in tokenizer.vocab.items()}
    check_vocabulary_casing(lower, words, vocab_file)
    return tokenizer


def _check_sentencepiece(tokenizer: Tokenizer, vocab_file: Path, classes: Sequence[str]) -> None:
    check_fixed(
        {
            "keep_accents": (False, "accents are always dropped here"),
            "remove_space": (True, "blanks in a row always count as one here"),
        },
        vocab_file.parent,
    )
    _check_special_tokens(tokenizer, vocab_file, classes)


def _check_special_tokens(tokenizer: Tokenizer, vocab_file: Path, classes: Sequence[str]) -> None:
    """Refuses other classes, other special tokens, and padding of another id than the encoder takes for padding."""
    special = tokenizer.special_tokens
    check_class(classes, vocab_file.parent)
    check_special_tokens(special, vocab_file.parent)
    found = tokenizer.vocab.get(special.pad, special.pad_id)
    if found != special.pad_id:
        raise VocabularyError(
            f"{vocab_file}: {special.pad} has the id {found}, expected {special.pad_id}, which models of this kind are "
            "padded with; take the vocabulary that came with the checkpoint"
        )


def _byte_bpe(vocab_file: Path, asked: Asked, special_tokens: SpecialTokens) -> Tokenizer:
    _refuse_other(asked, ByteBpeTokenizer, vocab_file)
    if asked.do_lower_case:
        raise FlagError(
            f"--do_lower_case=true, but {vocab_file} is a byte-level vocabulary, which keeps case; leave the flag out"
        )
    stated = stated_settings(vocab_file.parent).get("add_prefix_space")
    return ByteBpeTokenizer(vocab_file, special_tokens, stated if isinstance(stated, bool) else None)


KINDS: Mapping[str, Kind] = {
    BulkTokenizer.kind: Kind(
        names=("vocab.txt", TOKENIZER_JSON),
        special_tokens=WORDPIECE_TOKENS,
        load=_wordpiece,
        check=_check_wordpiece,
        stated=lambda tokenizer: {
            "do_lower_case": tokenizer.do_lower_case,
            "strip_accents": tokenizer.strip_accents if tokenizer.strip_accents != tokenizer.do_lower_case else None,
            "tokenize_chinese_chars": tokenizer.tokenize_chinese_chars,
        },
        restored=lambda folder, settings, special: BulkTokenizer(
            folder / "vocab.txt",
            settings["do_lower_case"],
            special,
            settings.get("strip_accents"),
            settings.get("tokenize_chinese_chars", True),
        ),
        extended=extend_wordpiece,
    ),
    SentencePieceTokenizer.kind: Kind(
        names=("spiece.model", "30k-clean.model", TOKENIZER_JSON),
        special_tokens=SENTENCEPIECE_TOKENS,
        load=_sentencepiece,
        check=_check_sentencepiece,
        stated=lambda tokenizer: {
            "do_lower_case": tokenizer.do_lower_case,
            "keep_accents": False,
            "remove_space": True,
        },
        restored=lambda folder, settings, special: SentencePieceTokenizer(
            folder / "spiece.model", settings["do_lower_case"], special
        ),
        renamed={"30k-clean.model": "spiece.model"},
        extended=extend_sentencepiece,
    ),
    ByteBpeTokenizer.kind: Kind(
        names=(TOKENIZER_JSON, "vocab.json"),
        special_tokens=BYTE_BPE_TOKENS,
        load=_byte_bpe,
        check=_check_special_tokens,
        stated=lambda tokenizer: {"add_prefix_space": tokenizer.settings()["add_prefix_space"]},
        restored=ByteBpeTokenizer.of_assets,
        further=(MERGES, TOKENIZER_CONFIG),
        extended=extend_byte_bpe,
    ),
}
"""Kinds by name."""


_OF_JSON = {"WordPiece": BulkTokenizer.kind, "Unigram": SentencePieceTokenizer.kind}
"""Kinds by the type of the model in a `tokenizer.json`; byte-level BPE for others."""


def kind_of(family_kinds: Sequence[str], vocab_file: Path) -> str:
    """Name of the kind that a vocabulary file is of, among those that models of a family may have.

    Args:
      family_kinds: names of kinds, the usual one first, which is that of files that tell nothing.
      vocab_file: the file.

    Raises:
      VocabularyError: it is JSON and cannot be read.
    """
    if len(family_kinds) == 1 or not vocab_file.suffix:
        return family_kinds[0]
    found = kind_of_file(vocab_file)
    return next((name for name in family_kinds if KINDS[name] is found), family_kinds[0])


def kind_of_file(vocab_file: Path) -> Kind:
    """The kind whose vocabulary files end like this one, or of what it holds (JSON); WordPiece for others.

    Raises:
      VocabularyError: it is JSON and cannot be read.
    """
    if vocab_file.suffix == ".json":
        model = read(vocab_file).get("model")
        stated = model.get("type") if isinstance(model, dict) else None
        return KINDS[_OF_JSON.get(stated if isinstance(stated, str) else "", ByteBpeTokenizer.kind)]
    found = (kind for kind in KINDS.values() if any(name.endswith(vocab_file.suffix or "?") for name in kind.names))
    return next(found, KINDS[BulkTokenizer.kind])


def of_assets(folder: Path, settings: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of an export.

    Args:
      folder: has its `assets`.
      settings: its `settings`, among others.

    Raises:
      VocabularyError: a file is missing or unusable.
      ValueError: the settings are not those of a tokenizer.
    """
    try:
        kind = KINDS[settings["tokenizer"]]
        return kind.restored(folder, settings, SpecialTokens(**settings["special_tokens"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"does not describe a tokenizer ({one_line(error, 80)})") from None


def vocabulary_files() -> Iterable[str]:
    """Names of all files that a tokenizer of a run may be made from."""
    return dict.fromkeys(name for kind in KINDS.values() for name in (*kind.names, *kind.further))
