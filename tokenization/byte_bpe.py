"""RoBERTa's tokenizer: bytes of UTF-8, merged by a learnt order; a blank belongs to the word behind it.

Tokens are cut by the Rust library `tokenizers`, in one call for many texts.

Source: arXiv:1907.11692, section 4.4; the rules of GPT-2's byte-level encoder.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from common.errors import VocabularyError, one_line
from tokenization import tokenizer_json
from tokenization.base import Encoding, SpecialTokens
from tokenization.characters import convert_to_unicode
from tokenization.vocabulary import convert_by_vocab

BYTE_BPE_TOKENS = SpecialTokens(
    unk="<unk>", cls="<s>", sep="</s>", mask="<mask>", pad="<pad>", pad_id=1, pair_separators=2, second_segment=0
)
"""The special tokens of RoBERTa."""

MERGES = "merges.txt"
BLANK = "\u0120"
"""What stands for a blank in the vocabulary."""

# Texts that are cut at a time; bounds the memory that a long list takes.
_CHUNK = 8192
_SURROGATE = re.compile("[\ud800-\udfff]")


class ByteBpeTokenizer:
    """Gives the tokens of Hugging Face's `RobertaTokenizer`. Can be pickled and forked.

    Args:
      vocab_file: `vocab.json`, with `merges.txt` in the same folder, or `tokenizer.json`.
      special_tokens: of the vocabulary; RoBERTa's by default. In a text, their names stand for them.
      add_prefix_space: put a blank before each text, so that its first word is cut as any other; by default as
        `tokenizer.json` says, else not.

    Raises:
      VocabularyError: a file is missing, unreadable, or of another kind of tokenizer.
    """

    kind = "byte_bpe"
    do_lower_case = False
    strip_accents = False
    tokenize_chinese_chars = False

    def __init__(
        self,
        vocab_file: str | Path,
        special_tokens: SpecialTokens = BYTE_BPE_TOKENS,
        add_prefix_space: bool | None = None,
    ) -> None:
        content = _read(Path(vocab_file))
        missing = [token for token in special_tokens.required if token not in content.vocab]
        if missing:
            raise VocabularyError(
                f"{vocab_file}: {', '.join(missing)} not among its {len(content.vocab)} tokens, expected "
                f"{', '.join(special_tokens.required)}; take the files that came with the checkpoint"
            )
        if add_prefix_space is not None:
            content = replace(content, add_prefix_space=add_prefix_space)
        try:
            self.__setstate__({"content": content, "special_tokens": special_tokens})
        except Exception as error:  # the library raises nothing more exact
            raise VocabularyError(
                f"{vocab_file}: its merges do not fit its vocabulary ({one_line(error)}); copy the files again"
            ) from None

    @classmethod
    def of_assets(cls, folder: Path, settings: Mapping[str, Any], special_tokens: SpecialTokens) -> "ByteBpeTokenizer":
        """The tokenizer whose `assets` lie in a folder, and whose `settings` are given."""
        tokenizer = cls(folder / "vocab.json", special_tokens, settings["add_prefix_space"])
        content = replace(tokenizer._content, added=settings["added_tokens"])
        tokenizer.__setstate__({"content": content, "special_tokens": special_tokens})
        return tokenizer

    def with_added_tokens(self, tokens: Sequence[str]) -> "ByteBpeTokenizer":
        """The same tokenizer that finds further tokens in texts before it cuts them, as `add_tokens` of Hugging Face.

        Args:
          tokens: as texts have them; those that are not in the vocabulary get the ids behind the last.
        """
        vocab, added = dict(self.vocab), dict(self._content.added)
        for token in tokens:
            vocab.setdefault(token, len(self.tokens) + len(vocab) - len(self.vocab))
            if token not in self._special_names:
                added.setdefault(token, {flag: flag == "normalized" for flag in _FLAGS})
        tokenizer = type(self).__new__(type(self))
        content = replace(self._content, vocab=vocab, added=added)
        tokenizer.__setstate__({"content": content, "special_tokens": self.special_tokens})
        return tokenizer

    @property
    def added_tokens(self) -> list[str]:
        """The tokens that are found in texts before they are cut, without the special ones."""
        return sorted(name for name in self._content.added if name not in self._special_names)

    def tokenizer_json(self) -> str:
        """The content of a `tokenizer.json`."""
        return str(self._bpe.to_str(pretty=True))

    @property
    def _special_names(self) -> tuple[str, ...]:
        special = self.special_tokens
        return special.cls, special.pad, special.sep, special.unk, special.mask

    def __getstate__(self) -> dict[str, Any]:
        return {"content": self._content, "special_tokens": self.special_tokens}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._content: _Content = state["content"]
        self.special_tokens: SpecialTokens = state["special_tokens"]
        self.vocab = self._content.vocab
        self.special_ids = self.special_tokens.ids(self.vocab)
        by_id = {index: token for token, index in self.vocab.items()}
        self.tokens = [by_id.get(index, "") for index in range(max(by_id) + 1)]
        self._bpe = self._built(self._content.add_prefix_space)
        self._words = self._built(add_prefix_space=True)

    def _built(self, add_prefix_space: bool) -> Tokenizer:
        special, ids, content = self.special_tokens, self.special_ids, self._content
        tokenizer = Tokenizer(models.BPE(content.vocab, content.merges, fuse_unk=False))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.post_processor = processors.RobertaProcessing(
            (special.sep, ids.sep), (special.cls, ids.cls), True, add_prefix_space
        )
        names = self._special_names
        flags = {name: {"normalized": False} for name in names if name in content.vocab} | content.added
        tokenizer.add_special_tokens([AddedToken(name, **flags[name]) for name in flags if name in names])
        tokenizer.add_tokens([AddedToken(name, **flags[name]) for name in flags if name not in names])
        return tokenizer

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into ids.

        Args:
          texts: any strings; a lone surrogate counts as U+FFFD.

        Returns:
          A list of ids for each text, without "<s>" and "</s>".

        Raises:
          TypeError: one string instead of a list of them.
        """
        return self._encoded(self._bpe, texts)

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Turn words into ids as they are within a text, a blank before each; see `encode`."""
        return self._encoded(self._words, words)

    def _encoded(self, tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
        if isinstance(texts, str | bytes):
            raise TypeError("encode takes a list of texts, got one text; put it in a list")
        ids: list[list[int]] = []
        for first in range(0, len(texts), _CHUNK):
            chunk = [_clean(text) for text in texts[first : first + _CHUNK]]
            ids.extend(one.ids for one in tokenizer.encode_batch_fast(chunk, add_special_tokens=False))
        return ids

    def tokenize(self, text: str) -> list[str]:
        """Cut text into tokens, in which bytes stand as letters."""
        return self._bpe.encode(_clean(text), add_special_tokens=False).tokens

    def encode_with_offsets(self, text: str) -> Encoding:
        """Turn text into tokens that know where they come from; the blank before a word belongs to none."""
        return _with_offsets(self._bpe, _clean(text))

    def word_with_offsets(self, word: str) -> Encoding:
        """The same for a word, cut as `encode_words` does."""
        return _with_offsets(self._words, _clean(word))

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Turn tokens into ids; a token outside the vocabulary is a KeyError."""
        return convert_by_vocab(self.vocab, tokens)

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Turn ids into tokens; an id outside the vocabulary is an IndexError."""
        return [self.tokens[index] for index in ids]

    def continues_word(self, token: str) -> bool:
        """Whether a token belongs to the same word as the one before it."""
        return not token.startswith(BLANK)

    def letters(self, token: str) -> str:
        """The token without the mark of those that begin a word; other bytes than ASCII's are a letter each."""
        return token.removeprefix(BLANK)

    def text(self, tokens: Iterable[str]) -> str:
        """Tokens put together again."""
        added = self._content.added
        letters = [_as_bytes(token) if token in added else token for token in tokens]
        return str(self._bpe.decoder.decode(letters)).strip()

    def fingerprint(self) -> str:
        """Hash of all that decides what a text becomes: vocabulary, merges, special tokens, and the first blank."""
        content = [self._bpe.to_str(), str(asdict(self.special_tokens))]
        return hashlib.sha256("\n".join(content).encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """Kind, casing, special tokens, whether a blank is put before each text, and tokens that texts may name."""
        return {
            "tokenizer": self.kind,
            "do_lower_case": False,
            "special_tokens": asdict(self.special_tokens),
            "add_prefix_space": self._content.add_prefix_space,
            "added_tokens": self._content.added,
        }

    def assets(self) -> dict[str, str | bytes]:
        """`vocab.json` and `merges.txt`."""
        merges = "".join(f"{left} {right}\n" for left, right in self._content.merges)
        return {"vocab.json": json.dumps(self.vocab, ensure_ascii=False), MERGES: f"#version: 0.2\n{merges}"}


def _as_bytes(token: str) -> str:
    """A token that stands for itself, in the letters that stand for bytes."""
    steps = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return "".join(letters for letters, _ in steps.pre_tokenize_str(token))


def _clean(text: str | bytes) -> str:
    return _SURROGATE.sub("\ufffd", convert_to_unicode(text))


def _with_offsets(tokenizer: Tokenizer, text: str) -> Encoding:
    encoding = tokenizer.encode(text, add_special_tokens=False)
    starts, ends = [start for start, _ in encoding.offsets], [end for _, end in encoding.offsets]
    return Encoding(encoding.ids, encoding.tokens, starts, ends)


@dataclass(frozen=True)
class _Content:
    """What files say of a tokenizer: vocabulary, merges in their order, and flags of tokens that texts may name."""

    vocab: dict[str, int]
    merges: list[tuple[str, str]]
    added: dict[str, dict[str, bool]] = field(default_factory=dict)
    add_prefix_space: bool = False


def _read(path: Path) -> _Content:
    """The content of `vocab.json` and `merges.txt`, or of `tokenizer.json`.

    Raises:
      VocabularyError: a file is missing, unreadable, or of another kind of tokenizer.
    """
    content = tokenizer_json.read(path)
    if "model" not in content:
        return _Content(tokenizer_json.checked_vocab(content, path), _read_merges(path.with_name(MERGES)))
    model = tokenizer_json.model_of(content, "BPE", path, _ADVICE)
    steps = tokenizer_json.part(content, "pre_tokenizer", path)
    if steps.get("type") != "ByteLevel" or content.get("normalizer"):
        raise VocabularyError(
            f"{path}: texts are cut by {one_line(repr(steps.get('type')), 60)} after "
            f"{one_line(content.get('normalizer'), 60)}, expected ByteLevel after None; {_ADVICE}"
        )
    for name, value in (
        ("pre_tokenizer.use_regex", steps.get("use_regex", True) is not True),
        *((f"model.{key}", model.get(key)) for key in _OFF),
    ):
        if value:
            raise VocabularyError(f"{path}: {name} is not as in RoBERTa's tokenizer; {_ADVICE}")
    try:
        added = {str(token["content"]): token for token in content.get("added_tokens") or []}
        vocab = {**model.get("vocab", {}), **{name: token["id"] for name, token in added.items()}}
        merges = [_pair(merge) for merge in model.get("merges", [])]
        flags = {name: {flag: bool(token.get(flag)) for flag in _FLAGS} for name, token in added.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise VocabularyError(
            f"{path}: its tokens or merges are not as a tokenizer.json has them ({one_line(repr(error), 80)}); copy or "
            "download it again"
        ) from None
    return _Content(tokenizer_json.checked_vocab(vocab, path), merges, flags, bool(steps.get("add_prefix_space")))


def _pair(merge: str | list[str]) -> tuple[str, str]:
    """Both sides of a merge; an older form has a blank between them."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(left, str) or not isinstance(right, str):
        raise TypeError("a merge is no pair of tokens")
    return left, right


_OFF = ("dropout", "ignore_merges", "byte_fallback", "continuing_subword_prefix", "end_of_word_suffix")
"""Parts of the library's algorithm that byte-level BPE does without."""
_FLAGS = ("lstrip", "rstrip", "normalized", "single_word")
_ADVICE = "take the files of a RoBERTa model"


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """The merges of a file, a pair a line; its first line names a version."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError:
        raise VocabularyError(f"{path}: is not UTF-8; copy or download it again") from None
    except OSError as error:
        raise VocabularyError(
            f"{path}: cannot be read ({error.strerror}); a byte-level vocabulary needs it beside vocab.json"
        ) from None
    merges: list[tuple[str, str]] = []
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#version"):
            continue
        left, _, right = line.rstrip("\r").partition(" ")
        if not left or not right or " " in right:
            raise VocabularyError(
                f"{path}:{number}: {one_line(repr(line), 60)}, expected two tokens with a blank between them; copy or "
                "download it again"
            )
        merges.append((left, right))
    return merges
