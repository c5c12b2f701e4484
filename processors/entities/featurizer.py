"""Sentences of words -> windows of whole words with a tag for each, and where each word begins."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.errors import DataError, FlagError
from processors.entities.sentence import Sentence
from processors.entities.tags import OUTSIDE
from processors.entities.windows import Window, Windows, cut_windows, pieces_of_words, window_pieces
from processors.records.featurizer import Featurizer, sequence_fields
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features, FeatureSpec, Field
from tokenization.base import Tokenizer

CUT = "_cut"
"""Where a window has the `Windows` of its sentence, for the host alone."""
OVERLAP_SHARE = 4
"""By default neighbouring windows share one token in so many."""
NO_LABEL = -1
"""Label of a token that is not trained on."""


class SentenceFeaturizer(Featurizer):
    """`[CLS] words [SEP]`, in several windows where a sentence is too long.

    `word_starts` holds the position of the first token of each word, `label_ids` the tag of each word; with
    `label_all_tokens`, `token_label_ids` has a tag for each token: `I-type` for those that continue a word of an
    entity, -1 for special ones.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens a window, special ones included.
      labels: tags in the order of the classes.
      window_overlap: tokens that neighbouring windows share; None for a quarter of a window.
      label_all_tokens: whether tokens that continue a word have a label, too.
      max_words: most words of a window in records; None for as many as it has room for.

    Raises:
      FlagError: no room for a token, or windows that do not advance.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        max_seq_length: int,
        labels: Sequence[str],
        window_overlap: int | None = None,
        label_all_tokens: bool = False,
        max_words: int | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._layout = PairLayout.of(tokenizer)
        self.capacity = max_seq_length - self._layout.specials_alone
        self.overlap = max(self.capacity, 0) // OVERLAP_SHARE if window_overlap is None else window_overlap
        _check_lengths(max_seq_length, self.capacity, self.overlap)
        self._max_seq_length = max_seq_length
        self._labels = tuple(labels)
        self._label_ids = {label: index for index, label in enumerate(labels)}
        self._label_all_tokens = label_all_tokens
        self._most_words = min(max_words or self.capacity, self.capacity)
        by_word = [Field(name, shape=(None,), static=self._most_words) for name in ("word_starts", "label_ids")]
        by_token = Field("token_label_ids", shape=(None,), default=NO_LABEL, static=max_seq_length)
        self.spec = FeatureSpec(
            (
                *sequence_fields(max_seq_length, self._layout.pad),
                *by_word,
                *([by_token] if label_all_tokens else []),
                Field("is_real_example"),
            )
        )

    def settings(self) -> dict[str, Any]:
        """Everything that shapes a record: tokenizer, lengths, labels, spec."""
        return {
            "tokenizer": self._tokenizer.fingerprint(),
            "max_seq_length": self._max_seq_length,
            "window_overlap": self.overlap,
            "labels": list(self._labels),
            "max_words": self._most_words,
            "spec": self.spec.to_json(),
        }

    def featurize(self, examples: Sequence[Sentence]) -> Iterator[list[Features]]:
        """Yields the windows of each sentence; labels are there where all its tags are among the labels."""
        pieces_of = pieces_of_words((word for sentence in examples for word in sentence.words), self._tokenizer)
        for sentence in examples:
            pieces = [pieces_of[word] for word in sentence.words]
            cut = cut_windows([len(word) for word in pieces], self.capacity, self.overlap)
            labels = self._labels_of(sentence)
            yield [self._window(pieces, labels, cut, window) for window in cut.windows]

    def serialize(self, examples: Sequence[Sentence]) -> list[bytes]:
        """The records of sentences.

        Raises:
          DataError: a window has more words than `max_words`.
        """
        records: list[bytes] = []
        for sentence, windows in zip(examples, self.featurize(examples), strict=True):
            self.check_words(sentence, windows)
            records += map(self.spec.serialize, windows)
        return records

    def check_words(self, sentence: Sentence, windows: Sequence[Features]) -> None:
        """Refuses a sentence of too many words for one of its windows.

        Raises:
          DataError: it has.
        """
        most = max(len(window["word_starts"]) for window in windows)
        if most > self._most_words:
            where = f"{sentence.file}:{sentence.line}" if sentence.file else f"sentence {sentence.line}"
            raise DataError(
                f"{where}: a window of the sentence that starts here has {most} words, expected at most "
                f"--max_words={self._most_words}; give a larger number, or split the sentence"
            )

    def _window(self, pieces: list[list[int]], labels: list[int] | None, cut: Windows, window: Window) -> Features:
        tokens, starts = window_pieces(pieces, window, self.capacity)
        features: Features = self._layout.features(tokens)
        features |= {"word_starts": [1 + start for start in starts], "is_real_example": 1, CUT: cut}
        if labels is not None:
            of_words = labels[window.start : window.end]
            features["label_ids"] = of_words
            if self._label_all_tokens:
                lengths = [end - start for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True)]
                of_tokens = (self._of_tokens(label, length) for label, length in zip(of_words, lengths, strict=True))
                features["token_label_ids"] = [NO_LABEL, *(one for several in of_tokens for one in several), NO_LABEL]
        return features

    def _of_tokens(self, label: int, length: int) -> list[int]:
        prefix, hyphen, kind = self._labels[label].partition("-")
        inside = self._label_ids.get(f"I{hyphen}{kind}", label) if prefix == "B" else label
        return [label] + [inside] * (length - 1)

    def _labels_of(self, sentence: Sentence) -> list[int] | None:
        if sentence.tags is None or not all(tag in self._label_ids for tag in sentence.tags):
            return None
        return [self._label_ids[tag] for tag in sentence.tags]


def labels_of_types(types: Sequence[str]) -> list[str]:
    """The tags of entity types in IOB2; a type without a name has bare prefixes.

    Example:
      >>> labels_of_types(["city", ""])
      ['O', 'B-city', 'I-city', 'B', 'I']
    """
    tags = (f"{prefix}-{kind}" if kind else prefix for kind in types for prefix in "BI")
    return [OUTSIDE, *tags]


def _check_lengths(max_seq_length: int, capacity: int, overlap: int) -> None:
    if capacity < 1:
        raise FlagError(
            f"--max_seq_length={max_seq_length} leaves no room for a word beside the special tokens; expected at least "
            f"{max_seq_length - capacity + 1}"
        )
    if not 0 <= overlap < capacity:
        raise FlagError(
            f"--window_overlap={overlap}: windows of --max_seq_length={max_seq_length} hold {capacity} tokens of text; "
            f"expected 0 to {capacity - 1}"
        )
