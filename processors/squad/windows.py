"""Questions on contexts -> windows of `[CLS] question [SEP] part of the context [SEP]`, and the answer's place."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from common.errors import FlagError
from processors.records.featurizer import Featurizer, sequence_fields
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features, FeatureSpec, Field
from processors.squad.examples import SquadExample
from processors.squad.passages import Passage
from tokenization.base import WordEncoder

FIRST_UNIQUE_ID = 1_000_000_000
MEMO_WORDS = 500_000
"""Words whose tokens are remembered; beyond that the memory is emptied and filled anew."""

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """A context in tokens.

    Args:
      passage: the text and its words.
      ids: token ids.
      piece_words: index of the word that each token is of.
      word_pieces: first token of each word, and the number of tokens at the end.
    """

    passage: Passage
    ids: list[int]
    piece_words: list[int]
    word_pieces: list[int]


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """What the host knows of a window; travels under `_window` and is never written.

    Args:
      document: the context in tokens.
      start: first token of the document in this window.
      length: how many of its tokens are in this window.
      offset: position in the window of the first of them.
      is_max_context: bool [length], whether no other window shows a token with more context.
    """

    document: Document
    start: int
    length: int
    offset: int
    is_max_context: np.ndarray


class SpanFeaturizer(Featurizer):
    """Windows over contexts that are longer than the model's length.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens a window, question and special tokens included.
      doc_stride: tokens between the starts of two windows.
      max_query_length: most tokens of a question; the rest is cut.

    Raises:
      FlagError: the lengths leave no room, or windows would not cover the context.

    Source: `convert_examples_to_features` of google-research/bert, without its padding.
    """

    def __init__(self, tokenizer: WordEncoder, max_seq_length: int, doc_stride: int, max_query_length: int) -> None:
        self._layout = PairLayout.of(tokenizer)
        _check_lengths(max_seq_length, doc_stride, max_query_length, self._layout.specials_of_pair)
        self._tokenizer = tokenizer
        self._max_seq_length = max_seq_length
        self._doc_stride = doc_stride
        self._max_query_length = max_query_length
        self._memo: dict[str, list[int]] = {}
        names = ("start_positions", "end_positions", "is_impossible", "is_real_example")
        self.spec = FeatureSpec(
            (Field("unique_ids"), *sequence_fields(max_seq_length, self._layout.pad), *(Field(name) for name in names))
        )

    def settings(self) -> dict[str, Any]:
        """Everything that shapes a record: tokenizer, lengths, spec."""
        return {
            "tokenizer": self._tokenizer.fingerprint(),
            "max_seq_length": self._max_seq_length,
            "doc_stride": self._doc_stride,
            "max_query_length": self._max_query_length,
            "spec": self.spec.to_json(),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_memo": {}}

    def numbered(self, record: bytes, index: int) -> bytes:
        """The record with its `unique_ids`, which counts windows over the whole set (`index` from 0).

        Windows are made in several processes, none of which knows how many came before: the field is appended, as
        protocol buffers allow.
        """
        return record + self.spec.serialize({"unique_ids": FIRST_UNIQUE_ID + index})

    def featurize(self, examples: Sequence[SquadExample]) -> Iterator[list[Features]]:
        """Yields the windows of each example; none where the context has no words.

        Positions are there where the example has an answer to learn: 0 in windows that do not hold the whole answer,
        and where the question is unanswerable.
        """
        documents = self._documents(examples)
        questions = self._tokenizer.encode([example.question_text for example in examples])
        learned = [example.orig_answer_text or "" for example in examples]
        answers = self._tokenizer.encode(learned) if any(learned) else [[] for _ in learned]
        layouts: dict[tuple[int, int], list[tuple[int, int, np.ndarray]]] = {}
        for example, question, answer in zip(examples, questions, answers, strict=True):
            document = documents[id(example.passage)]
            question = question[: self._max_query_length]
            room = self._max_seq_length - len(question) - self._layout.specials_of_pair
            key = (id(document), room)
            if key not in layouts:
                layouts[key] = _layout(len(document.ids), room, self._doc_stride)
            span = self._answer_span(example, document, answer)
            offset = self._layout.second_start(len(question))
            yield [
                self._features(question, Window(document, start, length, offset, context), example, span)
                for start, length, context in layouts[key]
            ]

    def _answer_span(self, example: SquadExample, document: Document, answer: list[int]) -> Span | None:
        """First and last token of the answer to learn; None where there is none."""
        if example.start_position is None or example.end_position is None or example.is_impossible:
            return None
        first = document.word_pieces[example.start_position]
        last = document.word_pieces[example.end_position + 1] - 1
        span = narrowed_span(document.ids, first, last, answer)
        if span == (first, last) and document.ids[first : last + 1] != answer and example.orig_answer_text:
            # Of some vocabularies a word has other tokens behind a blank.
            (answer,) = self._tokenizer.encode_words([example.orig_answer_text])
            span = narrowed_span(document.ids, first, last, answer)
        return span

    def _features(self, question: list[int], window: Window, example: SquadExample, span: Span | None) -> Features:
        pieces = window.document.ids[window.start : window.start + window.length]
        features: Features = self._layout.features(question, pieces)
        features |= {"is_real_example": 1, "_window": window}
        if example.start_position is not None:
            start, end = _position(span, window)
            features |= {"start_positions": start, "end_positions": end, "is_impossible": int(example.is_impossible)}
        return features

    def _documents(self, examples: Sequence[SquadExample]) -> dict[int, Document]:
        """The contexts of a chunk in tokens, each once, by the identity of their passage."""
        passages = {id(example.passage): example.passage for example in examples}
        if len(self._memo) > MEMO_WORDS:
            self._memo = {}
        memo = self._memo
        new = list({word: None for passage in passages.values() for word in passage.words if word not in memo})
        memo.update(zip(new, self._tokenizer.encode_words(new), strict=True))
        return {key: _document(passage, memo) for key, passage in passages.items()}


def _check_lengths(max_seq_length: int, doc_stride: int, max_query_length: int, special_tokens: int) -> None:
    if max_query_length < 1:
        raise FlagError(f"--max_query_length={max_query_length}: expected at least 1")
    room = max_seq_length - max_query_length - special_tokens
    if room < 1:
        raise FlagError(
            f"--max_seq_length={max_seq_length} is too small for --max_query_length={max_query_length} and "
            f"{special_tokens} special tokens; expected more than {max_query_length + special_tokens}"
        )
    if doc_stride < 1:
        raise FlagError(f"--doc_stride={doc_stride}: windows would never advance; expected at least 1")
    if doc_stride > room:
        raise FlagError(
            f"--doc_stride={doc_stride} is larger than the {room} pieces of context that a window holds beside the "
            f"longest question; expected at most {room}, so that windows overlap or touch"
        )


def _document(passage: Passage, memo: dict[str, list[int]]) -> Document:
    ids: list[int] = []
    piece_words: list[int] = []
    word_pieces: list[int] = []
    for index, word in enumerate(passage.words):
        word_pieces.append(len(ids))
        pieces = memo[word]
        ids.extend(pieces)
        piece_words.extend([index] * len(pieces))
    word_pieces.append(len(ids))
    return Document(passage, ids, piece_words, word_pieces)


def _layout(num_pieces: int, room: int, stride: int) -> list[tuple[int, int, np.ndarray]]:
    """Start and length of every window over a document, and which tokens have their most context in it."""
    spans: list[Span] = []
    start = 0
    while start < num_pieces:
        length = min(room, num_pieces - start)
        spans.append((start, length))
        if start + length == num_pieces:
            break
        start += min(length, stride)
    best, owner = np.full(num_pieces, -1.0), np.zeros(num_pieces, np.int64)
    for index, (start, length) in enumerate(spans):
        score = context_score(np.arange(length), length)
        place = slice(start, start + length)
        better = score > best[place]
        best[place] = np.where(better, score, best[place])
        owner[place] = np.where(better, index, owner[place])
    return [(start, length, owner[start : start + length] == index) for index, (start, length) in enumerate(spans)]


def context_score(left: np.ndarray | int, length: int) -> np.ndarray:
    """How much context the tokens of a window have, by the number of tokens to their left.

    The length breaks ties in favour of longer windows; equal scores stay with the earlier one.
    """
    return np.minimum(left, length - 1 - left) + 0.01 * length


def narrowed_span(pieces: Sequence[Any], first: int, last: int, answer: Sequence[Any]) -> Span:
    """The first place in `first` to `last` that is exactly the tokenized answer; all of them where there is none.

    The words of the answer may hold more than it does ("(1895-1943)" for "1895").
    """
    size = len(answer)
    for start in range(first, last - size + 2 if size else first):
        if pieces[start : start + size] == answer:
            return start, start + size - 1
    return first, last


def _position(span: Span | None, window: Window) -> Span:
    """The answer's positions in a window; (0, 0), which is `[CLS]`, if the window does not hold all of it."""
    if span is None or span[0] < window.start or span[1] >= window.start + window.length:
        return 0, 0
    shift = window.offset - window.start
    return span[0] + shift, span[1] + shift
