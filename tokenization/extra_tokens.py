"""Tokens of the user's in a WordPiece vocabulary: in the places of unused ones first, then behind the last."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import VocabularyError, one_line
from tokenization.vocabulary import text_lines
from tokenization.wordpiece.bulk import BulkTokenizer
from tokenization.wordpiece.longest_match import SUFFIX_INDICATOR, longest_word

_UNUSED = re.compile(r"\[unused\d+\]")
_ADVICE = "no text would ever have it"


@dataclass(frozen=True)
class ExtendedVocabulary:
    """A vocabulary with further tokens.

    Attributes:
      tokens: all of them, in the order of their ids.
      placed: how many took the place of an unused token.
      appended: how many have ids behind the last.
      present: how many were there before.
    """

    tokens: list[str]
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


def extend(tokenizer: BulkTokenizer, path: Path) -> ExtendedVocabulary:
    """Adds the tokens of a file to a vocabulary.

    Args:
      tokenizer: has the vocabulary; cases and cuts words.
      path: a text file, UTF-8, a token a line; blank lines do not count.

    Raises:
      VocabularyError: it cannot be read, has no token, or one that the tokenizer would cut or change, with its line.
    """
    extra: dict[str, None] = {}
    for number, line in text_lines(path, "--extra_tokens"):
        token = line.strip()
        if token and not (token in tokenizer.vocab or token in extra):
            _check(token, tokenizer, f"{path}:{number}")
        if token:
            extra[token] = None
    if not extra:
        raise VocabularyError(f"{path}: has no token, expected a token a line; leave --extra_tokens out, or add some")
    tokens = list(tokenizer.tokens)
    new = [token for token in extra if token not in tokenizer.vocab]
    slots = [index for index, token in enumerate(tokens) if _UNUSED.fullmatch(token)]
    for token, index in zip(new, slots, strict=False):
        tokens[index] = token
    placed = min(len(new), len(slots))
    tokens += new[placed:]
    return ExtendedVocabulary(tokens, placed, len(new) - placed, len(extra) - len(new))


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


def vocabulary_text(tokens: Sequence[str]) -> str:
    """The content of a `vocab.txt`."""
    return "".join(f"{token}\n" for token in tokens)
