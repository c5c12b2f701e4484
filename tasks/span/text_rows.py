"""The text signature of reading comprehension in NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.records.padded import padded
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features
from processors.squad.examples import SquadExample
from processors.squad.passages import Passage
from processors.squad.windows import Document, SpanFeaturizer, Window
from tasks.span.ranking import DecodingSettings
from tasks.text_rows import Arrays, ReadTexts, TextRows, as_bytes
from tokenization.base import Tokenizer

_INPUTS = ("input_ids", "input_mask", "segment_ids")
_LENGTHS = ("max_seq_length", "doc_stride", "max_query_length")
_NO_SPAN = np.float32(-1e9)
"""Score of what cannot be an answer, as in the graph."""


class _Question(NamedTuple):
    """A context, and its windows with the number of the first's row."""

    context: str
    windows: Sequence[Window]
    first_row: int


class _Spans(NamedTuple):
    """Candidates, in any order: their scores float32, and first and last token of the context, int."""

    scores: NDArray[Any]
    first: NDArray[Any]
    last: NDArray[Any]


class _Answer(NamedTuple):
    """Values of one question, by output name."""

    answer: str
    start: int
    end: int
    score: float
    no_answer_score: float
    null_odds: float


class SpanRows(TextRows):
    """`question` and `context` -> answer, characters, scores; as `SpanTextSignature`.

    Args:
      tokenizer: of the model.
      settings: of the export.
    """

    input_names = ("question", "context")

    def __init__(self, tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
        self._featurizer = SpanFeaturizer(tokenizer, *(settings[name] for name in _LENGTHS))
        self._layout = PairLayout.of(tokenizer)
        self._decoding = DecodingSettings(**{field.name: settings[field.name] for field in fields(DecodingSettings)})
        self._null_threshold = settings["null_score_diff_threshold"]
        self._letters = np.array([len(tokenizer.letters(token)) for token in tokenizer.tokens])
        self._letters[tokenizer.special_ids.unk] = 1 << 20  # not known: no word is as long

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "SpanRows":
        """As `TextRows.of_export`."""
        del assets
        return cls(tokenizer, settings)

    def read(self, inputs: Mapping[str, Sequence[Any]]) -> ReadTexts:
        """Windows of all questions, one after the other; none where a context has no word."""
        questions, contexts = inputs["question"], inputs["context"]
        contexts = list(contexts) * len(questions) if len(contexts) == 1 else contexts
        passages = {context: Passage(context) for context in contexts}
        pairs = zip(questions, contexts, strict=True)
        examples = [SquadExample(str(index), one, passages[context]) for index, (one, context) in enumerate(pairs)]
        rows: list[Features] = []
        told = []
        for context, several in zip(contexts, self._featurizer.featurize(examples), strict=True):
            told.append(_Question(context, [row["_window"] for row in several], len(rows)))
            rows += several
        return ReadTexts(dict(padded(self._featurizer.spec, rows or [self._layout.features([], [])], _INPUTS)), told)

    def outputs(self, predictions: Mapping[str, NDArray[Any]], read: ReadTexts) -> Arrays:
        """As `SpanTextSignature.outputs`."""
        starts, ends = predictions["start_logits"], predictions["end_logits"]
        characters: dict[int, tuple[NDArray[Any], NDArray[Any]]] = {}
        answers = []
        for question in read.told:
            if question.windows:
                document = question.windows[0].document
                if id(document) not in characters:
                    characters[id(document)] = self._characters(document)
            answers.append(self._answer(question, starts, ends, characters))
        columns = dict(zip(_Answer._fields, zip(*answers, strict=True), strict=True))
        texts = {"answer": as_bytes(columns.pop("answer"))}
        kinds = {"start": np.int32, "end": np.int32}
        return texts | {name: np.array(values, kinds.get(name, np.float32)) for name, values in columns.items()}

    def _answer(
        self,
        question: _Question,
        starts: NDArray[Any],
        ends: NDArray[Any],
        characters: Mapping[int, tuple[NDArray[Any], NDArray[Any]]],
    ) -> _Answer:
        has_null = self._decoding.version_2_with_negative
        rows = range(question.first_row, question.first_row + len(question.windows))
        of_windows = [self._spans(w, starts[row], ends[row]) for row, w in zip(rows, question.windows, strict=True)]
        spans = self._best([np.concatenate(column) for column in zip(*of_windows, strict=True)], len(starts[0]))
        if spans is None or spans.scores[0] <= _NO_SPAN / 2:
            return _Answer("", -1, -1, float(has_null), float(has_null), -float(_NO_SPAN) if has_null else 0.0)
        null = min(starts[row, 0] + ends[row, 0] for row in rows)
        odds = null - spans.scores[0]
        candidates = np.append(spans.scores, null) if has_null else spans.scores
        weights = np.exp(candidates - candidates.max())
        probabilities = weights / weights.sum()
        no_answer = float(probabilities[-1]) if has_null else 0.0
        shown_odds = float(odds) if has_null else 0.0
        if has_null and odds > self._null_threshold:
            return _Answer("", -1, -1, no_answer, no_answer, shown_odds)
        first, last = characters[id(question.windows[0].document)]
        start, end = int(first[spans.first[0]]), int(last[spans.last[0]])
        return _Answer(question.context[start:end], start, end, float(probabilities[0]), no_answer, shown_odds)

    def _spans(self, window: Window, start_logits: NDArray[Any], end_logits: NDArray[Any]) -> _Spans:
        """The best spans of a window, worst where there are fewer."""
        count = min(self._decoding.n_best_size, len(start_logits))
        at_start, at_end = _top(start_logits, count), _top(end_logits, count)
        starts, ends = at_start - window.offset, at_end - window.offset
        inside_start, inside_end = ((place >= 0) & (place < window.length) for place in (starts, ends))
        is_max = np.append(window.is_max_context, False)
        good = (inside_start & is_max[np.where(inside_start, starts, -1)])[:, np.newaxis] & inside_end
        pieces = ends - starts[:, np.newaxis] + 1  # [k, k]
        good &= (pieces > 0) & (pieces <= self._decoding.max_answer_length)
        scores = np.where(good, start_logits[at_start][:, np.newaxis] + end_logits[at_end], _NO_SPAN).reshape(-1)
        best = _top(scores, self._decoding.n_best_size)
        return _Spans(scores[best], window.start + starts[best // count], window.start + ends[best % count])

    def _best(self, columns: Sequence[NDArray[Any]], width: int) -> _Spans | None:
        """The best of the spans of several windows; None where there is no window."""
        if not columns:
            return None
        spans = _Spans(*columns)
        best = _top(spans.scores, min(self._decoding.n_best_size, width * width))
        return _Spans(*(column[best] for column in spans))

    def _characters(self, document: Document) -> tuple[NDArray[Any], NDArray[Any]]:
        """Characters of the context that each token starts at and ends before.

        In a word whose characters do not correspond one by one to those of its tokens, those of the whole word.
        """
        words, word_of = document.passage.words, np.array(document.piece_words, np.int64)
        lengths = self._letters[document.ids]
        before = np.append(0, np.cumsum(lengths))
        of_words = np.array(document.word_pieces)
        start = before[:-1] - before[of_words[word_of]]
        word_lengths = np.array([len(word) for word in words])
        is_as_long = (before[of_words[1:]] - before[of_words[:-1]] == word_lengths)[word_of]
        origin = np.array(document.passage.starts)[word_of]
        starts = origin + np.where(is_as_long, start, 0)
        # A token without letters is given the next one.
        ends = origin + np.where(is_as_long, start + np.maximum(lengths, 1), word_lengths[word_of])
        return starts, ends


def _top(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Places of the largest values, the first of equals first."""
    return np.argsort(-values, kind="stable")[:count]
