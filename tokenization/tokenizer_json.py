"""`tokenizer.json`, the form in which Hugging Face's library keeps a whole tokenizer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import VocabularyError, one_line
from common.files import json_object

TOKENIZER_JSON = "tokenizer.json"


def read(path: Path) -> dict[str, Any]:
    """The content of a JSON file.

    Raises:
      VocabularyError: it cannot be read.
    """
    try:
        return json_object(path.read_bytes())
    except ValueError as error:
        raise VocabularyError(f"{path}: {error}; copy or download it again") from None
    except OSError as error:
        raise VocabularyError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def model_of(content: Mapping[str, Any], expected: str, path: Path, advice: str) -> dict[str, Any]:
    """The part of a `tokenizer.json` that cuts words.

    Raises:
      VocabularyError: it is of another type.
    """
    model = content.get("model")
    if isinstance(model, dict) and model.get("type") == expected:
        return model
    kind = model.get("type") if isinstance(model, dict) else model
    raise VocabularyError(
        f"{path}: holds a tokenizer of type {one_line(repr(kind), 60)}, expected {expected}; {advice}"
    )


def part(content: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    """A part of the content that is an object; empty where it is absent or null.

    Raises:
      VocabularyError: it is something else.
    """
    found = content.get(name)
    if found is None or isinstance(found, dict):
        return found or {}
    raise VocabularyError(f"{path}: {name} is {one_line(repr(found), 60)}, expected an object; download it again")


_MOST_IDS = 1 << 24
"""More than any vocabulary has; a list is made of the tokens by their ids."""


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_IDS


def checked_vocab(vocab: Any, path: Path) -> dict[str, int]:
    """Token -> id.

    Raises:
      VocabularyError: it is not.
    """
    if not vocab or not isinstance(vocab, dict) or not all(map(_is_id, vocab.values())):
        raise VocabularyError(f"{path}: expected an id for each of its tokens; copy or download it again")
    return vocab
