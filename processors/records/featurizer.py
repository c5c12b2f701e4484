"""The only way from examples to features: training, prediction, serving and tests all come through here."""

import abc
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from common.errors import DataError, FlagError
from common.source_code import is_users
from processors.base import InputExample, PaddingInputExample
from processors.problem_types import PROBLEM_TYPES, LabelError
from processors.records.document_windows import DocumentWindows, WindowPlan
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features, FeatureSpec, Field
from tokenization.base import TextEncoder

HEAD, TAIL, HEAD_TAIL = "head", "tail", "head_tail"
TRUNCATIONS = (HEAD, TAIL, HEAD_TAIL)
"""Which tokens of a text that is too long are kept: its first, its last, or some of both."""

HEAD_SHARE = 4
"""With `HEAD_TAIL`, one kept token in so many is of the beginning."""


REFUSED = "_refused"
"""Of a window that cannot be stored where shapes are static: why. An export, whose shapes are not, answers it."""


class Featurizer(abc.ABC):
    """Turns examples into records of one `FeatureSpec`. Picklable: conversion runs in several processes."""

    spec: FeatureSpec

    @abc.abstractmethod
    def featurize(self, examples: Sequence[Any]) -> Iterator[list[Features]]:
        """Yields the windows (one or more records) of each example, in order."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What decides the result besides the examples, as plain JSON, for a fingerprint."""

    def serialize(self, examples: Sequence[Any]) -> list[bytes]:
        """The records of `examples` as serialized `tf.Example`s, in order.

        Raises:
          DataError: a featurizer of the user's gives an example no window, or what its `spec` does not say; an example
            that may be answered but not stored.
        """
        records: list[bytes] = []
        for windows in self.featurize(examples):
            if not windows:
                raise DataError(
                    f"{type(self).__name__}.featurize gives an example no window, expected at least one; correct the "
                    "class, or leave such examples out of the task's examples"
                )
            for window in windows:
                if REFUSED in window:
                    raise DataError(window[REFUSED])
            try:
                records += map(self.spec.serialize, windows)
            except ValueError as error:
                if not is_users(type(self)):
                    raise
                raise DataError(f"{type(self).__name__}.featurize: {error}; correct the class") from error
        return records

    def serialize_counted(self, examples: Sequence[Any]) -> tuple[int, list[bytes]]:
        """The number of examples, and their records: what a converting process sends back."""
        return len(examples), self.serialize(examples)

    def numbered(self, record: bytes, index: int) -> bytes:
        """The record with its number in the whole set (from 0), where the spec has a field for that; here as it is."""
        del index
        return record


def sequence_fields(max_seq_length: int, pad_id: int = 0) -> tuple[Field, ...]:
    """The three inputs of every encoder under upstream's names, unpadded; `pad_id` is what pads `input_ids`."""
    padding = {"input_ids": pad_id, "input_mask": 0, "segment_ids": 0}
    return tuple(Field(name, shape=(None,), default=pad, static=max_seq_length) for name, pad in padding.items())


def _document_fields(max_seq_length: int, windows: DocumentWindows, pad_id: int) -> tuple[Field, ...]:
    """The fields of a text in windows; without a bound on their number, they have no static length."""
    static = None if windows.max_windows is None else windows.max_windows * max_seq_length
    inputs = (dataclasses.replace(field, static=static) for field in sequence_fields(max_seq_length, pad_id))
    return (*inputs, Field("window_lengths", shape=(None,), static=windows.max_windows))


def truncated_lengths(length_a: int, length_b: int, budget: int) -> tuple[int, int]:
    """How many tokens of a pair are kept when one at a time is dropped from the end of the longer text.

    Closed form of upstream's `_truncate_seq_pair`; at equal length the second text loses a token first.

    Example:
      >>> truncated_lengths(10, 3, 8)
      (5, 3)
    """
    if length_a + length_b <= budget:
        return length_a, length_b
    share_a = budget - budget // 2
    return (
        min(length_a, max(budget - length_b, share_a)),
        min(length_b, max(budget - length_a, budget // 2)),
    )


def kept_pieces(pieces: list[int], keep: int, truncation: str) -> list[int]:
    """The tokens of one text that stay where `keep` of them have room, in their order; all of them where they fit.

    `HEAD_TAIL` keeps a quarter from the beginning, rounded down but at least one, and the others from the end.

    Raises:
      FlagError: `truncation` is none of `TRUNCATIONS`.

    Example:
      >>> kept_pieces([1, 2, 3, 4, 5, 6, 7, 8, 9], 8, HEAD_TAIL)
      [1, 2, 4, 5, 6, 7, 8, 9]

    Source: arXiv:1905.05583, section 5.3.1, which keeps 128 of 510 tokens from the head and 382 from the tail.
    """
    if truncation not in TRUNCATIONS:
        raise FlagError(f"--truncation={truncation}: expected one of {', '.join(TRUNCATIONS)}")
    if truncation == HEAD or len(pieces) <= keep:
        return pieces[:keep]
    head = min(max(keep // HEAD_SHARE, 1), keep) if truncation == HEAD_TAIL else 0
    return pieces[:head] + pieces[len(pieces) - (keep - head) :]


class TextFeaturizer(Featurizer):
    """`[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, or as the tokenizer's `PairLayout` joins texts, with a label.

    A subclass says what the label is, before it calls this constructor.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens a row, specials included.
      truncation: one of `TRUNCATIONS`, as `kept_pieces`; how many tokens each text keeps does not depend on it. Or
        `DocumentWindows`: a record then holds the windows of a text one after the other, and `window_lengths`.

    Raises:
      FlagError: `max_seq_length` leaves no room for the special tokens and a token of text, or windows do not suit it.

    Source: `convert_single_example` of google-research/bert, without its padding.
    """

    def __init__(
        self,
        tokenizer: TextEncoder,
        max_seq_length: int,
        truncation: str | DocumentWindows = HEAD,
    ) -> None:
        self._layout = layout = PairLayout.of(tokenizer)
        if max_seq_length <= layout.specials_alone:
            names = tokenizer.special_tokens
            raise FlagError(
                f"--max_seq_length={max_seq_length} leaves no room for text beside {names.cls} and {names.sep}; "
                f"expected at least {layout.specials_alone + 1}"
            )
        self._tokenizer = tokenizer
        self._max_seq_length = max_seq_length
        self._truncation = truncation
        inputs = sequence_fields(max_seq_length, layout.pad)
        if isinstance(truncation, DocumentWindows):
            truncation.check(max_seq_length, layout)
            inputs = _document_fields(max_seq_length, truncation, layout.pad)
        self.spec = FeatureSpec((*inputs, self.label_field(), Field("is_real_example")))

    @abc.abstractmethod
    def label_field(self) -> Field:
        """How a label is stored, in a field `label_ids`."""

    @abc.abstractmethod
    def label_value(self, example: InputExample) -> Any:
        """The label as stored; None for an unlabelled row.

        Raises:
          DataError: it cannot be used.
        """

    @abc.abstractmethod
    def label_settings(self) -> dict[str, Any]:
        """What decides how labels are stored, as plain JSON."""

    def settings(self) -> dict[str, Any]:
        """Everything that shapes a record: tokenizer, length, labels, spec, and truncation."""
        # Upstream's way is left out, so that record sets made before there was another are still reused.
        truncation: dict[str, Any] = {} if self._truncation == HEAD else {"truncation": self._truncation}
        if isinstance(self._truncation, DocumentWindows):
            truncation = {"truncation": {**self._truncation.settings(), "refuses": self._truncation.refuses}}
        return truncation | {
            "tokenizer": self._tokenizer.fingerprint(),
            "max_seq_length": self._max_seq_length,
            **self.label_settings(),
            "spec": self.spec.to_json(),
        }

    def featurize(self, examples: Sequence[InputExample | PaddingInputExample]) -> Iterator[list[Features]]:
        """Yields one record for each example; a `PaddingInputExample` becomes a row of defaults.

        Raises:
          DataError: a label that is not among the labels, or has the wrong type.
        """
        real = [example for example in examples if not isinstance(example, PaddingInputExample)]
        texts = [example.text_a for example in real] + [e.text_b for e in real if e.text_b is not None]
        pieces = self._tokenizer.encode(texts)
        first, second = iter(pieces[: len(real)]), iter(pieces[len(real) :])
        for example in examples:
            if isinstance(example, PaddingInputExample):
                one = {"input_ids": [self._layout.cls], "input_mask": [1], "segment_ids": [0]}
                one |= {"window_lengths": [1]} if isinstance(self._truncation, DocumentWindows) else {}
                yield [{**one, "label_ids": None, "is_real_example": 0}]
                continue
            # A text of nothing that has a token, such as zero-width blanks, is none, as upstream has it.
            a, b = next(first), None if example.text_b is None else next(second) or None
            features = self.joined(a, b)
            if REFUSED in features:
                features[REFUSED] = f"example {example.guid}: {features[REFUSED]}"
            features["label_ids"] = self.label_value(example)
            features["is_real_example"] = 1
            yield [features]

    def joined(self, a: list[int], b: list[int] | None) -> Features:
        """The encoder's inputs of texts in tokens that are cut where they are too long; None for no second text."""
        layout = self._layout
        if isinstance(self._truncation, DocumentWindows):
            return self._document(a, b, self._truncation)
        if b is None:
            return layout.features(kept_pieces(a, self._max_seq_length - layout.specials_alone, self._truncation))
        keep_a, keep_b = truncated_lengths(len(a), len(b), self._max_seq_length - layout.specials_of_pair)
        return layout.features(kept_pieces(a, keep_a, self._truncation), kept_pieces(b, keep_b, self._truncation))

    def window_plan(self, length_a: int, length_b: int | None) -> WindowPlan | None:
        """The windows of a text or pair of so many tokens; None where texts are not read in windows."""
        if not isinstance(self._truncation, DocumentWindows):
            return None
        specials = self._layout.specials_alone if length_b is None else self._layout.specials_of_pair
        return self._truncation.plan(length_a, length_b or 0, self._max_seq_length - specials)

    def _document(self, a: list[int], b: list[int] | None, windows: DocumentWindows) -> Features:
        """The encoder's inputs of all windows, one after the other, and the length of each."""
        plan = self.window_plan(len(a), None if b is None else len(b))
        assert plan is not None
        made: Features = {"input_ids": [], "input_mask": [], "segment_ids": [], "window_lengths": []}
        if windows.refuses and plan.needed > plan.num_windows:
            made[REFUSED] = (
                f"has {plan.needed} windows of --max_seq_length={self._max_seq_length}, expected at most "
                f"--max_windows={plan.num_windows} (shapes are static); raise it, shorten the text or leave the row out"
            )
        for start in range(0, plan.num_windows * plan.stride, plan.stride):
            texts = [a[: plan.kept], b] if plan.is_second else [a, None if b is None else b[: plan.kept]]
            document = texts[plan.is_second] or []
            texts[plan.is_second] = document[start : start + plan.room]
            window = self._layout.features(texts[0] or [], texts[1])
            for name, values in window.items():
                made[name] += values
            made["window_lengths"].append(len(window["input_ids"]))
        return made


class PairFeaturizer(TextFeaturizer):
    """A text or a pair with a class, several classes or a score.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens a row, specials included.
      labels: label names in the order of the classes; empty for regression.
      problem_type: `"single_label"`, `"regression"` or `"multi_label"`.
      truncation: as for `TextFeaturizer`.

    Raises:
      FlagError: as `TextFeaturizer`.
    """

    def __init__(
        self,
        tokenizer: TextEncoder,
        max_seq_length: int,
        labels: Sequence[str],
        problem_type: str,
        truncation: str | DocumentWindows = HEAD,
    ) -> None:
        self._labels = tuple(labels)
        self._problem_type = PROBLEM_TYPES[problem_type]
        self._label_ids = {label: index for index, label in enumerate(labels)}
        super().__init__(tokenizer, max_seq_length, truncation)

    def label_value(self, example: InputExample) -> Any:
        """The label as stored (class id, score, or 0/1 for each class); None for an unlabelled row."""
        if example.label is None:
            return None
        try:
            return self._problem_type.value(example.label, self._label_ids)
        except LabelError as error:
            advice = "; correct the row or give --labels" if self._problem_type.has_labels else "; correct the row"
            raise DataError(f"example {example.guid}: {error}{advice}") from None

    def label_field(self) -> Field:
        """A class id, a float for each class, or a score."""
        kind = self._problem_type
        return Field("label_ids", kind.dtype, kind.shape(len(self._labels)), 0.0 if kind.takes_several else 0)

    def label_settings(self) -> dict[str, Any]:
        """Labels and problem type."""
        return {"labels": list(self._labels), "problem_type": self._problem_type.name}


def chunked(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items in order, the last one shorter."""
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
