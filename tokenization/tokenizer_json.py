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


def wordpiece_tokens(path: Path) -> tuple[list[str], bool, bool]:
    """The tokens of a WordPiece vocabulary in the order of their ids, whether text is lower-cased, and without accents.

    Raises:
      VocabularyError: it cannot be read, or cuts texts in another way than BERT's tokenizer.
    """
    content = read(path)
    model = model_of(content, "WordPiece", path, _ADVICE)
    vocab = checked_vocab(model.get("vocab"), path)
    tokens = sorted(vocab, key=vocab.__getitem__)
    if sorted(vocab.values()) != list(range(len(tokens))):
        raise VocabularyError(f"{path}: the ids of its {len(tokens)} tokens are not 0, 1, 2, ...; download it again")
    normalizer, steps = part(content, "normalizer", path), part(content, "pre_tokenizer", path)
    lower = normalizer.get("lowercase")
    found = {
        "normalizer.type": normalizer.get("type"),
        "normalizer.clean_text": normalizer.get("clean_text"),
        "normalizer.handle_chinese_chars": normalizer.get("handle_chinese_chars"),
        "pre_tokenizer.type": steps.get("type"),
        "model.continuing_subword_prefix": model.get("continuing_subword_prefix"),
    }
    for name, expected in _BERT.items():
        if found[name] != expected:
            raise VocabularyError(
                f"{path}: {name} is {one_line(repr(found[name]), 60)}, expected {expected!r} as of BERT's tokenizer; "
                f"{_ADVICE}"
            )
    strips = normalizer.get("strip_accents")
    return tokens, bool(lower), bool(lower if strips is None else strips)


_BERT = {
    "normalizer.type": "BertNormalizer",
    "normalizer.clean_text": True,
    "normalizer.handle_chinese_chars": True,
    "pre_tokenizer.type": "BertPreTokenizer",
    "model.continuing_subword_prefix": "##",
}
_ADVICE = "the ids of some texts would differ; give the vocabulary of the checkpoint as vocab.txt"
