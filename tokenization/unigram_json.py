"""`tokenizer.json` of ALBERT, as Hugging Face's library writes folders now: turned back into a SentencePiece model.

Source: sentencepiece_model.proto of google/sentencepiece; `AlbertConverter` of Hugging Face's transformers, which makes
steps of SentencePiece's normalization, and takes 100 off the score of tokens that end in a digit and a comma.
"""

import base64
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import VocabularyError, one_line
from tokenization import tokenizer_json

_ADVICE = "the ids of some texts would differ; give the spiece.model of the checkpoint"
_NUMBER = re.compile(r".*\d,", re.DOTALL)
_NUMBER_PENALTY = 100.0
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4


def sentencepiece_model(path: Path) -> tuple[bytes, bool]:
    """The model of a unigram tokenizer, and whether text is lower-cased before.

    Raises:
      VocabularyError: it cannot be read, or normalizes texts in another way than ALBERT's tokenizer.
    """
    content = tokenizer_json.read(path)
    model = tokenizer_json.model_of(content, "Unigram", path, _ADVICE)
    pieces = _pieces(model, path)
    steps = list(_steps(content, path))
    kinds = [step["type"] for step in steps]
    missing = [kind for kind in ("NFKD", "StripAccents") if kind not in kinds]
    known = {"Replace", "NFKD", "StripAccents", "Lowercase", "Precompiled"}
    if missing or not known.issuperset(kinds):
        shown = missing[0] if missing else next(kind for kind in kinds if kind not in known)
        raise VocabularyError(
            f"{path}: its normalizer {'lacks' if missing else 'has'} {one_line(str(shown), 40)}, unlike ALBERT's; "
            f"{_ADVICE}"
        )
    charsmap = next((step.get("precompiled_charsmap") for step in steps if step["type"] == "Precompiled"), None)
    unknown: int = model["unk_id"]
    special = {token["id"]: bool(token.get("special")) for token in _added(content)}
    encoded = []
    for index, (piece, score) in enumerate(pieces):
        kind = _UNKNOWN if index == unknown else _CONTROL if special.get(index) else _NORMAL
        kind = _USER_DEFINED if special.get(index) is False and score == 0.0 else kind
        encoded.append(_field(1, _field(1, piece.encode()) + _float(2, score) + _number(3, kind)))
    trainer = _number(3, 1) + _number(40, unknown) + b"".join(_number(field, -1) for field in (41, 42, 43))
    normalizer = _field(2, base64.b64decode(charsmap or "")) + b"".join(_number(field, 1) for field in (3, 4, 5))
    return b"".join(encoded) + _field(2, trainer) + _field(3, normalizer), "Lowercase" in kinds


def _pieces(model: dict[str, Any], path: Path) -> list[tuple[str, float]]:
    vocab = model.get("vocab")
    pairs = vocab if isinstance(vocab, list) else []
    is_whole = bool(pairs) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], int | float)
        for pair in pairs
    )
    unknown = model.get("unk_id")
    if not is_whole or not isinstance(unknown, int) or not 0 <= unknown < len(pairs):
        raise VocabularyError(f"{path}: expected tokens with their scores, and unk_id; copy or download it again")
    pieces = [(piece, float(score)) for piece, score in pairs]
    lowest = min((score for piece, score in pieces if not _NUMBER.fullmatch(piece)), default=0.0)
    return [
        (piece, score + _NUMBER_PENALTY if _NUMBER.fullmatch(piece) and score < lowest - _NUMBER_PENALTY / 2 else score)
        for piece, score in pieces
    ]


def _steps(content: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    normalizer = tokenizer_json.part(content, "normalizer", path)
    steps = normalizer.get("normalizers") if normalizer.get("type") == "Sequence" else [normalizer]
    if not isinstance(steps, list) or not all(isinstance(step, dict) and "type" in step for step in steps):
        raise VocabularyError(f"{path}: its normalizer is no list of steps; copy or download it again")
    yield from steps


def _added(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    found = content.get("added_tokens")
    for token in found if isinstance(found, list) else ():
        if isinstance(token, dict) and isinstance(token.get("id"), int):
            yield token


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number has ten bytes
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + struct.pack("<f", value)
