"""The best segmentation of a text by a unigram model, as SentencePiece computed it when ALBERT was trained.

Where two segmentations are permutations of each other ("!" and "!!!", or "!!!" and "!"), their scores differ by
rounding alone, and releases of the library round differently. The search of that time adds in float64 to sums kept in
float32. It is written out here for such texts, which are rare; the library is ten times as fast.

Source: google/sentencepiece 0.1.96, `unigram::Model::EncodeOptimized`.
"""

import struct
from typing import Any, NamedTuple

import numpy as np

_UNKNOWN_PENALTY = np.float32(10.0)
_SYMBOL_DISCOUNT = 0.1
_BLANK = "\u2581"
_FLOAT = struct.Struct("<f")


class Unigram:
    """Segments texts by the tokens and scores of a SentencePiece model.

    Args:
      processor: a `sentencepiece.SentencePieceProcessor`.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._table: _Table | None = None

    def normalized(self, text: str) -> str:
        """The text by the model's own rules: a mark in the place of blanks and before the text; "" if nothing is left.

        The model drops characters such as U+200B.
        """
        normal = str(self._processor.normalize(text)).replace(" ", _BLANK)
        return normal if not normal or normal.startswith(_BLANK) else _BLANK + normal

    def pieces(self, text: str) -> list[str]:
        """The best segmentation; characters without a token that follow each other are one piece, which is unknown."""
        if self._table is None:  # made when the first text needs it
            self._table = _Table.of(self._processor)
        pieces: list[str] = []
        was_known = True
        for piece in _best(self.normalized(text), self._table):
            is_known = piece in self._table.scores
            if is_known or was_known:
                pieces.append(piece)
            else:
                pieces[-1] += piece
            was_known = is_known
        return pieces


class _Table(NamedTuple):
    """Scores of the tokens that texts are cut into, and that of an unknown character."""

    scores: dict[str, float]
    longest: int
    unknown_score: float

    @classmethod
    def of(cls, processor: Any) -> "_Table":
        scores = {
            processor.id_to_piece(index): np.float32(processor.get_score(index))
            for index in range(len(processor))
            if not (processor.is_control(index) or processor.is_unknown(index) or processor.is_unused(index))
        }
        # A learnt token has a logarithm of a probability; a symbol that the user defined has 0, and is always found.
        learnt = [score for score in scores.values() if score < 0.0]
        highest = max(learnt)
        floats = {
            token: float(score) if score < 0.0 else float(np.float32(len(token.encode())) * highest) - _SYMBOL_DISCOUNT
            for token, score in scores.items()
        }
        return cls(floats, max(map(len, floats)), float(min(learnt) - _UNKNOWN_PENALTY))


def _best(text: str, table: _Table) -> list[str]:
    """The best segmentation of a text, each unknown character by itself."""
    # For each position: the best sum of scores to it, and where the last token begins; -1 where it is not reached.
    sums, begins = [0.0] * (len(text) + 1), [-1] * (len(text) + 1)
    for begin in range(len(text)):
        before, is_known = sums[begin], False
        for end in range(begin + 1, min(begin + table.longest, len(text)) + 1):
            score = table.scores.get(text[begin:end])
            if score is None:
                continue
            is_known |= end == begin + 1
            total = before + score
            if begins[end] < 0 or total > sums[end]:  # a float64 against a float32
                sums[end], begins[end] = _float32(total), begin
        total = _float32(before + table.unknown_score)
        if not is_known and (begins[begin + 1] < 0 or total > sums[begin + 1]):
            sums[begin + 1], begins[begin + 1] = total, begin
    pieces, end = [], len(text)
    while end > 0:
        pieces.append(text[begins[end] : end])
        end = begins[end]
    return pieces[::-1]


def _float32(value: float) -> float:
    (rounded,) = _FLOAT.unpack(_FLOAT.pack(value))
    return float(rounded)
