"""The vocabulary file: a piece a line, whose id is the line's number from 0."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from common.errors import VocabularyError

# What turning text into features looks up. Padding is id 0 whatever its name, and "[MASK]" is for pretraining alone:
# who needs more says so (`required`).
REQUIRED_TOKENS = ("[UNK]", "[CLS]", "[SEP]")
PRETRAINING_TOKENS = (*REQUIRED_TOKENS, "[MASK]")

K = TypeVar("K")
V = TypeVar("V")


def load_vocab(vocab_file: str | Path, required: Sequence[str] = REQUIRED_TOKENS) -> dict[str, int]:
    """Read a vocabulary.

    Args:
      vocab_file: path of a UTF-8 text file, a piece a line; white space at the ends of a line does not count.
      required: pieces that have to be there; default "[UNK]", "[CLS]" and "[SEP]".

    Returns:
      Piece to id, in the order of the ids, which are the line numbers from 0. A line of nothing but white space is the
      piece "" and keeps its id: published Chinese vocabularies have one.

    Raises:
      VocabularyError: no such file, empty, not UTF-8, a piece given twice, or a required piece missing.
    """
    vocab: dict[str, int] = {}
    for index, line in enumerate(_lines(Path(vocab_file))):
        token = _decode(line, vocab_file, index + 1).strip()
        if token in vocab:
            shown = repr(token) if token else "a blank line"
            raise VocabularyError(
                f"{vocab_file}:{index + 1}: {shown} stands on line {vocab[token] + 1} already, expected each piece "
                "once; change one of the two lines, since dropping it would shift every id after it"
            )
        vocab[token] = index
    missing = [token for token in required if token not in vocab]
    if missing:
        raise VocabularyError(
            f"{vocab_file}: {', '.join(missing)} not among its {len(vocab)} pieces, expected {', '.join(required)}; "
            "take the vocab.txt that came with the checkpoint"
        )
    return vocab


def _lines(path: Path) -> list[bytes]:
    """Lines of a file, cut at line feeds alone: U+2028 and the like are pieces of some vocabularies."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise VocabularyError(
            f"--vocab_file={path} cannot be read ({reason}), expected a text file with a piece a line; "
            "give the path of the vocab.txt that came with the checkpoint"
        ) from error
    if not content.strip():
        raise VocabularyError(f"{path} is empty, expected a piece a line; fetch the file again")
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
      vocab: piece to id, or id to piece.
      items: keys of `vocab`.

    Returns:
      Their values in order.

    Raises:
      KeyError: an item is not in `vocab`.
    """
    return [vocab[item] for item in items]


def convert_tokens_to_ids(vocab: Mapping[str, int], tokens: Iterable[str]) -> list[int]:
    """Turn pieces into ids; see `convert_by_vocab`."""
    return convert_by_vocab(vocab, tokens)


def convert_ids_to_tokens(inv_vocab: Mapping[int, str], ids: Iterable[int]) -> list[str]:
    """Turn ids into pieces; see `convert_by_vocab`."""
    return convert_by_vocab(inv_vocab, ids)
