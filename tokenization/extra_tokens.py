"""Tokens of the user's in a vocabulary.

In WordPiece's they are words and parts of words as any other, in the places of unused ones first, then behind the last.
A byte-level one gets them as Hugging Face's `add_tokens` does: behind the last, and found in a text before it is cut.
SentencePiece's gets them as user-defined symbols of its model, which are found as well.
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.errors import VocabularyError, one_line
from tokenization.base import Tokenizer
from tokenization.byte_bpe import BLANK, ByteBpeTokenizer
from tokenization.sentencepiece import BLANK as SENTENCEPIECE_BLANK
from tokenization.sentencepiece import SentencePieceTokenizer
from tokenization.tokenizer_json import TOKENIZER_JSON
from tokenization.vocabulary import text_lines
from tokenization.wordpiece.bulk import BulkTokenizer
from tokenization.wordpiece.longest_match import SUFFIX_INDICATOR, longest_word

log = logging.getLogger(__name__)

_UNUSED = re.compile(r"\[unused\d+\]")
_ADVICE = "no text would ever have it"


@dataclass(frozen=True)
class ExtendedVocabulary:
    """A tokenizer with further tokens.

    Attributes:
      tokenizer: with all of them.
      files: content, by name, of those that it can be made from again; the vocabulary file first.
      placed: how many took the place of an unused token.
      appended: how many have ids behind the last.
      present: how many were there before.
    """

    tokenizer: Tokenizer
    files: Mapping[str, str | bytes]
    placed: int
    appended: int
    present: int

    def __str__(self) -> str:
        parts = (
            (self.placed, "in the places of unused tokens"),
            (self.appended, "behind the last"),
            (self.present, "were there before"),
        )
        return ", ".join(f"{count} {where}" for count, where in parts if count)


def extend_wordpiece(tokenizer: BulkTokenizer, path: Path) -> ExtendedVocabulary:
    """Adds the tokens of a file to a WordPiece vocabulary.

    Args:
      tokenizer: has the vocabulary; cases and cuts words.
      path: a text file, UTF-8, a token a line; blank lines do not count.

    Raises:
      VocabularyError: it cannot be read, has no token, or one that the tokenizer would cut or change, with its line.
    """
    extra = _read(path, tokenizer, lambda token, where: _check(token, tokenizer, where))
    tokens = list(tokenizer.tokens)
    new = [token for token in extra if token not in tokenizer.vocab]
    slots = [index for index, token in enumerate(tokens) if _UNUSED.fullmatch(token)]
    for token, index in zip(new, slots, strict=False):
        tokens[index] = token
    placed = min(len(new), len(slots))
    tokens += new[placed:]
    files = {"vocab.txt": "".join(f"{token}\n" for token in tokens)}
    return ExtendedVocabulary(tokenizer.with_tokens(tokens), files, placed, len(new) - placed, len(extra) - len(new))


def extend_byte_bpe(tokenizer: ByteBpeTokenizer, path: Path) -> ExtendedVocabulary:
    """Adds the tokens of a file to a byte-level vocabulary; of those there already, texts are found to have them, too.

    Args:
      tokenizer: has the vocabulary.
      path: a text file, UTF-8, a token a line, as texts have it; blank lines do not count.

    Raises:
      VocabularyError: it cannot be read, or has no token.
    """
    extra = _read(path, tokenizer, _warn_of_mark)
    new = [token for token in extra if token not in tokenizer.vocab]
    extended = tokenizer.with_added_tokens(extra)
    files = {TOKENIZER_JSON: extended.tokenizer_json()}
    return ExtendedVocabulary(extended, files, 0, len(new), len(extra) - len(new))


def extend_sentencepiece(tokenizer: SentencePieceTokenizer, path: Path) -> ExtendedVocabulary:
    """Adds the tokens of a file to a SentencePiece model, behind its last.

    Args:
      tokenizer: has the model.
      path: a text file, UTF-8, a token a line: a word or a part of one, or with U+2581 before it the begin of a word.

    Raises:
      VocabularyError: it cannot be read, has no token, or one that texts never have after their normalization.
    """
    extra = _read(path, tokenizer, lambda token, where: _check_symbol(token, tokenizer, where))
    new = [symbol for symbol in map(tokenizer.symbol, extra) if symbol not in tokenizer.vocab]
    extended = tokenizer.with_symbols(new)
    return ExtendedVocabulary(extended, extended.assets(), 0, len(new), len(extra) - len(new))


def _check_symbol(token: str, tokenizer: SentencePieceTokenizer, where: str) -> None:
    found, shown = tokenizer.symbol(token), one_line(repr(token), 60)
    if found != token.replace(" ", SENTENCEPIECE_BLANK):
        advice = f"write it as {one_line(found, 60)}" if found else "remove it"
        raise VocabularyError(
            f"{where}: the tokenizer makes {one_line(found, 60) or 'nothing'} of {shown}, so that {_ADVICE}; {advice}"
        )
    if found[-1:] == "," and found[-2:-1].isdigit():
        raise VocabularyError(
            f"{where}: {shown} ends in a digit and a comma, which become tokens of their own; leave the comma out"
        )
    if SENTENCEPIECE_BLANK + found in tokenizer.vocab:
        log.warning(
            "%s: %s is found within words, and in place of %s%s, too; write it with %s before it for whole words",
            where, shown, SENTENCEPIECE_BLANK, found, SENTENCEPIECE_BLANK,
        )  # fmt: skip


def _read(path: Path, tokenizer: Tokenizer, check: Callable[[str, str], None]) -> list[str]:
    """The tokens of a file in their order, each once.

    Args:
      path: the file.
      tokenizer: has the vocabulary.
      check: is given each token that is not there, and its place in the file.

    Raises:
      VocabularyError: it cannot be read, or has no token.
    """
    extra: dict[str, None] = {}
    for number, line in text_lines(path, "--extra_tokens"):
        token = line.strip()
        if token and not (token in tokenizer.vocab or token in extra):
            check(token, f"{path}:{number}")
        if token:
            extra[token] = None
    if not extra:
        raise VocabularyError(f"{path}: has no token, expected a token a line; leave --extra_tokens out, or add some")
    return list(extra)


def _warn_of_mark(token: str, where: str) -> None:
    if token.startswith(BLANK):
        log.warning(
            "%s: %s is found where a text has the letter %s; write the word alone if that is meant for a blank",
            where, one_line(repr(token), 60), BLANK,
        )  # fmt: skip


def _check(token: str, tokenizer: BulkTokenizer, where: str) -> None:
    """Refuses a token that texts never have, as they are cased and cut at blanks and punctuation before."""
    letters = token.removeprefix(SUFFIX_INDICATOR)
    words = tokenizer.words(letters)
    longest = longest_word(tokenizer.tokenize_chinese_chars)
    if words == [letters] and len(letters) <= longest:
        return
    shown = one_line(repr(token), 60)
    if len(letters) > longest:
        raise VocabularyError(
            f"{where}: {shown} has {len(letters)} characters, but words of more than {longest} are not looked up, so "
            f"that {_ADVICE}; remove it"
        )
    becomes = one_line(" ".join(words), 60) or "nothing"
    advice = f"write it as {becomes}" if len(words) == 1 else "a token is one word, without punctuation; remove it"
    raise VocabularyError(f"{where}: the tokenizer makes {becomes} of {shown}, so that {_ADVICE}; {advice}")
