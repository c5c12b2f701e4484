"""`tokenizer.json` of ALBERT, as Hugging Face's library writes folders now: turned back into a SentencePiece model.

Source: `AlbertConverter` of Hugging Face's transformers, which makes
steps of SentencePiece's normalization, and takes 100 off the score of tokens that end in a digit and a comma.
"""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import VocabularyError, one_line
from tokenization import tokenizer_json
from tokenization.model_proto import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, field, number, piece_field

_ADVICE = "the ids of some texts would differ; give the spiece.model of the checkpoint"
_NUMBER = re.compile(r".*\d,", re.DOTALL)
_NUMBER_PENALTY = 100.0


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
        kind = UNKNOWN if index == unknown else CONTROL if special.get(index) else NORMAL
        kind = USER_DEFINED if special.get(index) is False and score == 0.0 else kind
        encoded.append(piece_field(piece, score, kind))
    trainer = number(3, 1) + number(40, unknown) + b"".join(number(place, -1) for place in (41, 42, 43))
    normalizer = field(2, base64.b64decode(charsmap or "")) + b"".join(number(place, 1) for place in (3, 4, 5))
    return b"".join(encoded) + field(2, trainer) + field(3, normalizer), "Lowercase" in kinds


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
