"""The vocabulary file: a token a line, whose id is the line's number from 0."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from common.errors import VocabularyError, one_line
from tokenization.base import SpecialTokens

log = logging.getLogger(__name__)

WORDPIECE_TOKENS = SpecialTokens()
"""The special tokens of BERT."""

# What turning text into features looks up. Padding is id 0 whatever its name, and "[MASK]" is for pretraining alone:
# who needs more says so (`required`).
REQUIRED_TOKENS = WORDPIECE_TOKENS.required
PRETRAINING_TOKENS = (*REQUIRED_TOKENS, WORDPIECE_TOKENS.mask)

K = TypeVar("K")
V = TypeVar("V")


def load_vocab(vocab_file: str | Path, required: Sequence[str] = REQUIRED_TOKENS) -> dict[str, int]:
    """Read a vocabulary.

    Args:
      vocab_file: path of a UTF-8 text file, a token a line; whitespace at the ends of a line does not count.
      required: tokens that have to be there; default "[UNK]", "[CLS]" and "[SEP]".

    Returns:
      Token to id, in the order of the ids, which are the line numbers from 0. A line of nothing but whitespace is the
      token "" and keeps its id: published Chinese vocabularies have one. Of a token on several lines the last counts,
      as upstream, and a warning says so.

    Raises:
      VocabularyError: no such file, empty, not UTF-8, or a required token missing.
    """
    return ids_by_token(load_tokens(vocab_file, required))


def ids_by_token(tokens: Sequence[str]) -> dict[str, int]:
    """Token to id, in the order of the ids; the last of equal tokens counts."""
    if len(set(tokens)) == len(tokens):
        return {token: index for index, token in enumerate(tokens)}
    last = {token: index for index, token in enumerate(tokens)}
    return dict(sorted(last.items(), key=lambda item: item[1]))


def load_tokens(vocab_file: str | Path, required: Sequence[str] = REQUIRED_TOKENS) -> list[str]:
    """The tokens of a vocabulary in the order of the ids, one for each line; see `load_vocab`."""
    lines = _lines(Path(vocab_file))
    tokens = [_decode(line, vocab_file, index + 1).strip() for index, line in enumerate(lines)]
    if len(set(tokens)) < len(tokens):
        _warn_of_repeated(tokens, vocab_file)
    check_required(tokens, required, vocab_file)
    return tokens


def check_required(tokens: Sequence[str], required: Sequence[str], vocab_file: str | Path) -> None:
    """Refuses a vocabulary without the tokens that it has to have.

    Raises:
      VocabularyError: one is missing.
    """
    held = set(tokens)
    missing = [token for token in required if token not in held]
    if missing:
        raise VocabularyError(
            f"{vocab_file}: {', '.join(missing)} not among its {len(tokens)} tokens, expected {', '.join(required)}; "
            "take the vocab.txt that came with the checkpoint"
        )


def _warn_of_repeated(tokens: Sequence[str], vocab_file: str | Path) -> None:
    lines: dict[str, list[int]] = {}
    for index, token in enumerate(tokens):
        lines.setdefault(token, []).append(index + 1)
    repeated = {token: places for token, places in lines.items() if len(places) > 1}
    token, places = next(iter(repeated.items()))
    more = f" (and {len(repeated) - 1} more tokens)" if len(repeated) > 1 else ""
    log.warning(
        "%s: %s is on lines %s%s; the last of them is its id, and the others are never used; take the vocab.txt that "
        "came with the checkpoint if that is another",
        vocab_file, one_line(repr(token), 60) if token else "a blank line", ", ".join(map(str, places)), more,
    )  # fmt: skip


def text_lines(path: Path, flag: str) -> Iterator[tuple[int, str]]:
    """Lines of a UTF-8 file with their numbers, from 1.

    Raises:
      VocabularyError: it cannot be read, is empty, or is not UTF-8.
    """
    for index, line in enumerate(_lines(path, flag)):
        yield index + 1, _decode(line, path, index + 1)


def _lines(path: Path, flag: str = "--vocab_file") -> list[bytes]:
    """Lines of a file, cut at line feeds alone: U+2028 and the like are pieces of some vocabularies."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise VocabularyError(
            f"{flag}={path} cannot be read ({reason}), expected a text file with a token a line; "
            + ("give the path of the vocab.txt that came with the checkpoint" if flag == "--vocab_file" else "check it")
        ) from error
    if not content.strip():
        raise VocabularyError(f"{path} is empty, expected a token a line; fetch the file again")
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return lines[:-1] if not lines[-1] else lines


def _decode(line: bytes, vocab_file: str | Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise VocabularyError(
            f"{vocab_file}:{number}: byte 0x{line[error.start]:02x} at position {error.start} is not UTF-8, "
            "expected a UTF-8 text file; save it in that encoding, or fetch it again"
        ) from error


def convert_by_vocab(vocab: Mapping[K, V], items: Iterable[K]) -> list[V]:
    """Look items up one by one.

    Args:
      vocab: token to id, or id to token.
      items: keys of `vocab`.

    Returns:
      Their values in order.

    Raises:
      KeyError: an item is not in `vocab`.
    """
    return [vocab[item] for item in items]


def convert_tokens_to_ids(vocab: Mapping[str, int], tokens: Iterable[str]) -> list[int]:
    """Turn tokens into ids; see `convert_by_vocab`."""
    return convert_by_vocab(vocab, tokens)


def convert_ids_to_tokens(inv_vocab: Mapping[int, str], ids: Iterable[int]) -> list[str]:
    """Turn ids into tokens; see `convert_by_vocab`."""
    return convert_by_vocab(inv_vocab, ids)
