"""The contract of a tokenizer, and the special tokens that come with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens of a vocabulary that stand for no text, and how they join two texts.

    Args:
      unk: stands for what cannot be cut into tokens.
      cls: begins a sequence.
      sep: ends a text.
      mask: hides a token of a masked-language model.
      pad: fills up a sequence.
      pad_id: id of padding; a number, since published vocabularies name it as they like.
      pair_separators: how many `sep` stand between the two texts of a pair.
      second_segment: segment of the second text; the first is of segment 0.
    """

    unk: str = "[UNK]"
    cls: str = "[CLS]"
    sep: str = "[SEP]"
    mask: str = "[MASK]"
    pad: str = "[PAD]"
    pad_id: int = 0
    pair_separators: int = 1
    second_segment: int = 1

    @property
    def required(self) -> tuple[str, str, str]:
        """The tokens without which no text can become features."""
        return self.unk, self.cls, self.sep

    def ids(self, vocab: Mapping[str, int]) -> "SpecialIds":
        """Their ids in a vocabulary that has the required ones; `mask` may be absent."""
        return SpecialIds(vocab[self.unk], vocab[self.cls], vocab[self.sep], vocab.get(self.mask), self.pad_id)


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the special tokens of a vocabulary; `mask` is None where it has none."""

    unk: int
    cls: int
    sep: int
    mask: int | None
    pad: int


@dataclass(frozen=True)
class Encoding:
    """Tokens of one text and where they stand in it; four lists of one length.

    Attributes:
      ids: of the tokens.
      tokens: the tokens.
      starts: character of the original text that a token starts with.
      ends: the character after its last one. Accents that normalization drops belong to the letter before them.
    """

    ids: list[int]
    tokens: list[str]
    starts: list[int]
    ends: list[int]


class TextEncoder(Protocol):
    """Texts to ids: what features of whole texts are made with."""

    @property
    def special_tokens(self) -> SpecialTokens:
        """Names of the special tokens, and how they join two texts."""

    @property
    def special_ids(self) -> SpecialIds:
        """Ids of the special tokens."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of the tokens of each text, without special tokens."""

    def fingerprint(self) -> str:
        """Hash of all that decides what a text becomes."""


class WordEncoder(TextEncoder, Protocol):
    """Texts and words to ids: what windows over words are made with."""

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of the tokens of each word, as they are where a blank stands before the word."""


class Tokenizer(WordEncoder, Protocol):
    """Text to tokens to ids, many texts at a time. Instances can be pickled and forked."""

    @property
    def kind(self) -> str:
        """Name of the algorithm."""

    @property
    def tokens(self) -> Sequence[str]:
        """The tokens in the order of their ids."""

    @property
    def vocab(self) -> Mapping[str, int]:
        """Token -> id."""

    @property
    def do_lower_case(self) -> bool:
        """Whether text is lower-cased before it is cut."""

    @property
    def strip_accents(self) -> bool:
        """Whether accents are dropped before it is cut."""

    @property
    def tokenize_chinese_chars(self) -> bool:
        """Whether each Chinese character is set apart before it is cut."""

    def encode_with_offsets(self, text: str) -> Encoding:
        """Tokens of a text, without special tokens, with the characters that each stands for."""

    def word_with_offsets(self, word: str) -> Encoding:
        """Tokens of a word, as `encode_words` gives them, with the characters of the word that each stands for."""

    def tokenize(self, text: str) -> list[str]:
        """Tokens of a text, without special tokens."""

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Tokens of ids; an id outside the vocabulary is a KeyError."""

    def continues_word(self, token: str) -> bool:
        """Whether a token belongs to the same word as the one before it."""

    def letters(self, token: str) -> str:
        """The token without the mark that tells where words begin."""

    def text(self, tokens: Iterable[str]) -> str:
        """Tokens put together again, with blanks between words."""

    def settings(self) -> dict[str, Any]:
        """What else than the vocabulary decides that, as plain JSON, for people and for clients of an export.

        `tokenizer` is the kind, `special_tokens` has the attributes of `SpecialTokens`.
        """

    def assets(self) -> dict[str, str | bytes]:
        """Content, by file name, of the files that it can be made from again."""
