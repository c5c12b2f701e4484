"""Many texts to ids, on all cores: the specification's results at ten times its speed and more.

Text is normalised by a table made from the specification; a word is cut into pieces by the Rust library `tokenizers`
when it is met first, and remembered.
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers

from tokenization.base import Encoding, SpecialTokens
from tokenization.characters import convert_to_unicode
from tokenization.vocabulary import WORDPIECE_TOKENS, convert_by_vocab, ids_by_token, load_tokens
from tokenization.wordpiece.longest_match import MAX_INPUT_CHARS_PER_WORD, SUFFIX_INDICATOR, longest_word
from tokenization.wordpiece.normalization import CONTEXT_MARK, CodePointTable

# Texts that are held as words at a time; bounds the memory that a long list takes.
_CHUNK = 8192
# Words whose pieces are remembered: 40 MB of made-up ones. Beyond, all are forgotten; frequent ones are soon back.
_MOST_WORDS = 1 << 17
_THREADS = "TOKENIZERS_PARALLELISM"


def _configure_threads() -> None:
    """Use all cores, but one in worker processes: those share the cores, and a forked thread pool has no threads."""
    in_worker = multiprocessing.parent_process() is not None
    os.environ.setdefault(_THREADS, "false" if in_worker else "true")
    os.register_at_fork(after_in_child=lambda: os.environ.update({_THREADS: "false"}))


_configure_threads()


class BulkTokenizer:
    """Gives the tokens that `FullTokenizer` gives, for many texts at a time. Can be pickled and forked.

    Args:
      vocab_file: path of the vocabulary, see `load_vocab`.
      do_lower_case: lower-case, as the vocabulary's model was trained; default True.
      special_tokens: of the vocabulary; BERT's by default.
      strip_accents: drop accents; default None, which does so where text is lower-cased.
      tokenize_chinese_chars: make each CJK character a word; default True.

    Raises:
      VocabularyError: the vocabulary is unusable.
    """

    kind = "wordpiece"

    def __init__(
        self,
        vocab_file: str | Path,
        do_lower_case: bool = True,
        special_tokens: SpecialTokens = WORDPIECE_TOKENS,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
    ) -> None:
        tokens = load_tokens(vocab_file, special_tokens.required)
        casing = (do_lower_case, strip_accents, tokenize_chinese_chars)
        self.__setstate__({"tokens": tokens, "special_tokens": special_tokens, "casing": casing})

    @classmethod
    def of_tokens(
        cls,
        tokens: Sequence[str],
        do_lower_case: bool,
        special_tokens: SpecialTokens,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
    ) -> "BulkTokenizer":
        """The tokenizer of a vocabulary that has been read: its tokens in the order of their ids."""
        tokenizer = cls.__new__(cls)
        casing = (do_lower_case, strip_accents, tokenize_chinese_chars)
        tokenizer.__setstate__({"tokens": list(tokens), "special_tokens": special_tokens, "casing": casing})
        return tokenizer

    def with_tokens(self, tokens: Sequence[str]) -> "BulkTokenizer":
        """The same tokenizer with another vocabulary."""
        return self.of_tokens(tokens, self.do_lower_case, self.special_tokens, *self._casing[1:])

    @property
    def _casing(self) -> tuple[bool, bool, bool]:
        return self.do_lower_case, self.strip_accents, self.tokenize_chinese_chars

    def __getstate__(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "special_tokens": self.special_tokens, "casing": self._casing}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.tokens: list[str] = state["tokens"]
        self.special_tokens: SpecialTokens = state["special_tokens"]
        self.do_lower_case: bool
        self.tokenize_chinese_chars: bool
        self.do_lower_case, strips, self.tokenize_chinese_chars = state["casing"]
        self.strip_accents: bool = self.do_lower_case if strips is None else strips
        self.vocab = ids_by_token(self.tokens)
        self.inv_vocab = dict(enumerate(self.tokens))
        self.special_ids = self.special_tokens.ids(self.vocab)
        self._table = CodePointTable(*self._casing)
        # No added tokens: "[MASK]" in a text is three words, as in the specification.
        self._wordpiece = Tokenizer(
            models.WordPiece(
                self.vocab,
                unk_token=self.special_tokens.unk,
                max_input_chars_per_word=longest_word(self.tokenize_chinese_chars),
                continuing_subword_prefix=SUFFIX_INDICATOR,
            )
        )
        self._wordpiece.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        self._pieces: dict[str, list[int]] = {}

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into ids.

        Args:
          texts: any strings.

        Returns:
          A list of ids for each text, without "[CLS]" and "[SEP]".

        Raises:
          TypeError: one string instead of a list of them.
        """
        if isinstance(texts, str | bytes):
            raise TypeError("encode takes a list of texts, got one text; put it in a list")
        ids: list[list[int]] = []
        for first in range(0, len(texts), _CHUNK):
            chunk = [self._table.normalize(convert_to_unicode(text)).split() for text in texts[first : first + _CHUNK]]
            pieces_of = self._learned(chunk).__getitem__
            ids.extend([*itertools.chain.from_iterable(map(pieces_of, words))] for words in chunk)
        return ids

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Turn words into ids: a word's tokens do not depend on what stands before it; see `encode`."""
        return self.encode(words)

    def words(self, text: str) -> list[str]:
        """Words of a text as they are looked up: cased, without control characters, cut at blanks and punctuation."""
        return self._table.normalize(convert_to_unicode(text)).split()

    def tokenize(self, text: str) -> list[str]:
        """Cut text into tokens.

        Args:
          text: any string.

        Returns:
          The tokens in order, without "[CLS]" and "[SEP]".
        """
        normal = self._table.normalize(convert_to_unicode(text))
        return self._wordpiece.encode(normal, add_special_tokens=False).tokens

    def encode_with_offsets(self, text: str) -> Encoding:
        """Turn text into tokens that know where they come from.

        Args:
          text: any string.

        Returns:
          Ids, tokens and their character offsets. "[UNK]" spans the word that it stands for; tokens of one character
          that decomposes (a Hangul syllable) all span that character.
        """
        normal = " ".join(self._table.normalize(text).split())
        encoding = self._wordpiece.encode(normal, add_special_tokens=False)
        origins = self._origins(text)
        starts, ends = [], []
        # With one blank between words, a letter of word W has W blanks before it.
        for (first, after), word in zip(encoding.offsets, encoding.word_ids, strict=True):
            blanks = word or 0
            starts.append(origins[first - blanks])
            ends.append(self._end_with_accents(text, origins[after - blanks - 1] + 1))
        return Encoding(encoding.ids, encoding.tokens, starts, ends)

    def word_with_offsets(self, word: str) -> Encoding:
        """The same for a word."""
        return self.encode_with_offsets(word)

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Turn tokens into ids; a token outside the vocabulary is a KeyError."""
        return convert_by_vocab(self.vocab, tokens)

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Turn ids into tokens; an id outside the vocabulary is a KeyError."""
        return convert_by_vocab(self.inv_vocab, ids)

    def continues_word(self, token: str) -> bool:
        """Whether a token belongs to the same word as the one before it."""
        return token.startswith(SUFFIX_INDICATOR)

    def letters(self, token: str) -> str:
        """The token without the mark of those that continue a word."""
        return token.removeprefix(SUFFIX_INDICATOR)

    def text(self, tokens: Iterable[str]) -> str:
        """Tokens put together again: `["play", "##er", "s"]` to `"player s"`."""
        joined = " ".join(tokens)
        return " ".join(joined.replace(f" {SUFFIX_INDICATOR}", "").replace(SUFFIX_INDICATOR, "").split())

    def fingerprint(self) -> str:
        """Hash of all that decides what a text becomes: vocabulary, casing, and Python's edition of Unicode."""
        settings: list[Any] = [
            self.do_lower_case,
            MAX_INPUT_CHARS_PER_WORD,
            unicodedata.unidata_version,
            list(self.vocab.items()),
        ]
        if self.special_tokens != WORDPIECE_TOKENS:
            settings.append(asdict(self.special_tokens))
        if self.strip_accents != self.do_lower_case:
            settings.append(self.strip_accents)
        if not self.tokenize_chinese_chars:
            settings.append({"tokenize_chinese_chars": False})
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """Kind, casing, accents, Chinese characters and special tokens."""
        return {
            "tokenizer": self.kind,
            "do_lower_case": self.do_lower_case,
            "strip_accents": self.strip_accents,
            "tokenize_chinese_chars": self.tokenize_chinese_chars,
            "special_tokens": asdict(self.special_tokens),
        }

    def assets(self) -> dict[str, str | bytes]:
        """`vocab.txt`."""
        return {"vocab.txt": "".join(f"{token}\n" for token in self.tokens)}

    def _learned(self, texts: Sequence[list[str]]) -> dict[str, list[int]]:
        """Ids of the pieces of words, in which are all words of `texts`."""
        pieces = self._pieces
        unknown = list(set().union(*texts).difference(pieces))
        if len(pieces) + len(unknown) > _MOST_WORDS:
            # A new one: another thread may be reading the old.
            pieces = self._pieces = {}
            unknown = list(set().union(*texts))
        encodings = self._wordpiece.encode_batch_fast(unknown, add_special_tokens=False)
        pieces.update(zip(unknown, (encoding.ids for encoding in encodings), strict=True))
        return pieces

    def _origins(self, text: str) -> list[int]:
        """Index into `text` of each letter of the normalised text, blanks not counted.

        A character's output length does not depend on its neighbours. Their order may, where combining marks
        change places; their indices stay sorted, so that offsets never run backwards.
        """
        origins: list[int] = []
        for index, char in enumerate(text):
            letters = sum(letter not in (" ", CONTEXT_MARK) for letter in self._table[ord(char)])
            origins.extend([index] * letters)
        return origins

    def _end_with_accents(self, text: str, end: int) -> int:
        """Move the end of a span past the combining accents that normalisation drops."""
        while end < len(text) and unicodedata.category(text[end]) == "Mn" and not self._table[ord(text[end])]:
            end += 1
        return end
