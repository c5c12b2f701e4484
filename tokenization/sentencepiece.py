"""ALBERT's tokenizer: a SentencePiece unigram model behind a normalization of its own.

Source: `tokenization.py` of google-research/albert; the same ids for the same text.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sentencepiece

from common.errors import VocabularyError, one_line
from tokenization.base import Encoding, SpecialTokens
from tokenization.characters import convert_to_unicode
from tokenization.model_proto import with_symbols
from tokenization.unigram import Unigram
from tokenization.vocabulary import convert_by_vocab, ids_by_token

SENTENCEPIECE_TOKENS = SpecialTokens(unk="<unk>", pad="<pad>")
"""The special tokens of ALBERT."""

BLANK = "\u2581"
"""Begins the tokens that begin a word."""

# Texts that are cut at a time; bounds the memory that a long list takes.
_CHUNK = 8192
_WORD = re.compile(r"\S+")
_SURROGATE = re.compile("[\ud800-\udfff]")
# Tokens whose order alone differs score alike where both are repetitions of one string, so that this stands thrice.
_REPEATED = re.compile(r"(.{1,16}?)\1\1", re.DOTALL)


class SentencePieceTokenizer:
    """Gives the tokens of ALBERT's `FullTokenizer` with a SentencePiece model. Can be pickled and forked.

    Args:
      vocab_file: the model, `spiece.model` or `30k-clean.model`; for messages alone where `model` is given.
      do_lower_case: lower-case; accents are dropped in any case; default True.
      special_tokens: of the vocabulary; ALBERT's by default.
      model: content of the model; by default that of the file.

    Raises:
      VocabularyError: the file is missing, no SentencePiece model, or lacks special tokens.
    """

    kind = "sentencepiece"
    strip_accents = True
    tokenize_chinese_chars = False

    def __init__(
        self,
        vocab_file: str | Path,
        do_lower_case: bool = True,
        special_tokens: SpecialTokens = SENTENCEPIECE_TOKENS,
        model: bytes | None = None,
    ) -> None:
        try:
            model = Path(vocab_file).read_bytes() if model is None else model
            state = {"model": model, "do_lower_case": do_lower_case, "special_tokens": special_tokens}
            self.__setstate__(state)
        except OSError as error:
            raise VocabularyError(f"{vocab_file}: cannot be read ({error.strerror}); check the path") from None
        except RuntimeError as error:
            raise VocabularyError(
                f"{vocab_file}: is no SentencePiece model ({one_line(error, 80)}); copy or download it again"
            ) from None
        except KeyError as error:
            raise VocabularyError(
                f"{vocab_file}: {error.args[0]} not among its tokens, expected {', '.join(special_tokens.required)}; "
                "take the model that came with the checkpoint"
            ) from None

    def with_symbols(self, symbols: Iterable[str]) -> "SentencePieceTokenizer":
        """The same tokenizer with further tokens: user-defined symbols of its model.

        Args:
          symbols: normal forms, see `symbol`, that the vocabulary lacks.
        """
        model = with_symbols(self.model, symbols)
        return SentencePieceTokenizer(self.kind, self.do_lower_case, self.special_tokens, model)

    def symbol(self, text: str) -> str:
        """What the model finds of a text: cased, normalized, U+2581 for blanks, and before it where the text has it."""
        normal = self._unigram.normalized(self._normalized(text.replace(BLANK, " "))).strip(BLANK)
        return BLANK + normal if normal and text.startswith(BLANK) else normal

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "do_lower_case": self.do_lower_case, "special_tokens": self.special_tokens}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.model: bytes = state["model"]
        self.do_lower_case: bool = state["do_lower_case"]
        self.special_tokens: SpecialTokens = state["special_tokens"]
        self._pieces = sentencepiece.SentencePieceProcessor(model_proto=self.model)
        self.tokens: list[str] = [self._pieces.id_to_piece(index) for index in range(len(self._pieces))]
        self.vocab = ids_by_token(self.tokens)
        self.special_ids = self.special_tokens.ids(self.vocab)
        self._numbers = {index for index, token in enumerate(self.tokens) if _is_number_and_comma(token)}
        self._unigram = Unigram(self._pieces)
        # A text never contains a control symbol: "[MASK]" is characters, which may be unknown one after the other.
        self._cut = {token: index for token, index in self.vocab.items() if not self._pieces.is_control(index)}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into ids.

        Args:
          texts: any strings; a lone surrogate counts as U+FFFD.

        Returns:
          A list of ids for each text, without "[CLS]" and "[SEP]".

        Raises:
          TypeError: one string instead of a list of them.
        """
        if isinstance(texts, str | bytes):
            raise TypeError("encode takes a list of texts, got one text; put it in a list")
        ids: list[list[int]] = []
        for first in range(0, len(texts), _CHUNK):
            chunk = [self._normalized(text) for text in texts[first : first + _CHUNK]]
            for text, found in zip(chunk, self._pieces.encode(chunk, out_type=int), strict=True):
                found = self._ids(self._unigram.pieces(text)) if _REPEATED.search(text) else found
                ids.append(self.with_numbers_split(found))
        return ids

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Turn words into ids: a blank is put before each text; see `encode`."""
        return self.encode(words)

    def tokenize(self, text: str) -> list[str]:
        """Cut text into tokens."""
        return self.convert_ids_to_tokens(self.encode([text])[0])

    def encode_with_offsets(self, text: str) -> Encoding:
        """Turn text into tokens that know where they come from; "<unk>" spans the characters that it stands for."""
        pieces = self._surfaces(text := _clean(text))
        ids = self._ids(pieces)
        origins = self._origins(text)
        starts: list[int] = []
        ends: list[int] = []
        place = 0
        for piece in pieces:
            length = len(piece.replace(BLANK, ""))
            # A mark alone, as before punctuation, is given the next letter: a span of tokens is never empty.
            inside = origins[place : place + max(length, 1)] or [(len(text), len(text))]
            starts.append(inside[0][0])
            ends.append(inside[-1][1])
            place += length
        return Encoding(ids, self.convert_ids_to_tokens(ids), starts, ends)

    def word_with_offsets(self, word: str) -> Encoding:
        """The same for a word."""
        return self.encode_with_offsets(word)

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
        """The token without the mark of those that begin a word."""
        return token.removeprefix(BLANK)

    def text(self, tokens: Iterable[str]) -> str:
        """Tokens put together again."""
        return "".join(tokens).replace(BLANK, " ").strip()

    def fingerprint(self) -> str:
        """Hash of all that decides what a text becomes: model, casing, special tokens, Python's edition of Unicode."""
        settings = f"{self.do_lower_case} {unicodedata.unidata_version} {asdict(self.special_tokens)}"
        return hashlib.sha256(settings.encode() + self.model).hexdigest()

    def settings(self) -> dict[str, Any]:
        """Kind, casing and special tokens."""
        return {
            "tokenizer": self.kind,
            "do_lower_case": self.do_lower_case,
            "special_tokens": asdict(self.special_tokens),
        }

    def assets(self) -> dict[str, str | bytes]:
        """`spiece.model`."""
        return {"spiece.model": self.model}

    def _normalized(self, text: str) -> str:
        """The text as the model gets it: one blank between words, decomposed, without accents, lower-cased."""
        text = " ".join(_clean(text).split())
        if not text.isascii():
            text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
        return text.lower() if self.do_lower_case else text

    def with_numbers_split(self, ids: list[int]) -> list[int]:
        """The ids with a comma behind a digit as a token of its own: `"10,"` is cut anew as `"10"` and `","`."""
        if self._numbers.isdisjoint(ids):
            return ids
        split: list[int] = []
        for index in ids:
            split.extend(self._ids(self._number_parts(self.tokens[index])) if index in self._numbers else [index])
        return split

    def _number_parts(self, token: str) -> list[str]:
        """A token that ends in a digit and a comma, cut anew."""
        parts = self._pieces.encode(token[:-1].replace(BLANK, ""), out_type=str)
        if not token.startswith(BLANK) and parts[0].startswith(BLANK):
            parts = parts[1:] if len(parts[0]) == 1 else [parts[0][1:], *parts[1:]]
        return [*parts, token[-1]]

    def _ids(self, pieces: Iterable[str]) -> list[int]:
        return [self._cut.get(piece, self.special_ids.unk) for piece in pieces]

    def _surfaces(self, text: str) -> list[str]:
        """The tokens of a text; in the place of an unknown one, what it stands for."""
        normal = self._normalized(text)
        repeats = _REPEATED.search(normal) is not None
        found = self._unigram.pieces(normal) if repeats else self._pieces.encode(normal, out_type=str)
        pieces: list[str] = []
        for piece in found:
            is_number = self.vocab.get(piece) in self._numbers
            pieces.extend(self._number_parts(piece) if is_number else [piece])
        return pieces

    def _origins(self, text: str) -> list[tuple[int, int]]:
        """Start and end, in a text, of what each letter of its tokens comes from."""
        origins: list[tuple[int, int]] = []
        for word in _WORD.finditer(text):
            start = word.start()
            found = [
                (start + place, start + place + 1)
                for place, char in enumerate(word[0])
                for _ in range(self._count_letters(char))
            ]
            count = self._count_letters(word[0])
            # Characters that become one, as parts of a Hangul syllable: the word is not taken apart.
            origins.extend(found if len(found) == count else [word.span()] * count)
        return origins

    def _count_letters(self, text: str) -> int:
        return len(self._unigram.normalized(self._normalized(text)).replace(BLANK, ""))


def _clean(text: str | bytes) -> str:
    return _SURROGATE.sub("\ufffd", convert_to_unicode(text))


def _is_number_and_comma(token: str) -> bool:
    return len(token) > 1 and token[-1] == "," and token[-2].isdigit()
