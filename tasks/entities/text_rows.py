"""The text signature of the token classification in NumPy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.entities.featurizer import SentenceFeaturizer
from processors.entities.sentence import Sentence, split_words
from processors.records.padded import padded
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features
from tasks.answers import Answer
from tasks.entities.answers import EntityAnswers, sentence_answer
from tasks.entities.decoding import Decoded, Transitions, decode, joined
from tasks.entities.files import answer_line
from tasks.text_rows import Arrays, ReadTexts, TextRows, as_bytes
from tokenization.base import Tokenizer

_INPUTS = ("input_ids", "input_mask", "segment_ids", "word_starts")
_TEXTS = ("tokens", "tags", "entity_types", "entity_texts")
_PROBABILITIES = ("probabilities", "entity_probabilities")
_Windows = list[tuple[Sentence, list[Features]]]


class EntityRows(TextRows):
    """`text` -> words, tags, entities; as `EntityTextSignature`.

    Args:
      tokenizer: of the model.
      settings: of the export.
      labels: tags in the order of the classes.
    """

    input_names = ("text",)

    def __init__(self, tokenizer: Tokenizer, settings: Mapping[str, Any], labels: Sequence[str]) -> None:
        self._featurizer = SentenceFeaturizer(tokenizer, settings["max_seq_length"], labels, settings["window_overlap"])
        self._layout = PairLayout.of(tokenizer)
        self._labels = list(labels)
        self._scheme, self._by_character = settings["tag_scheme"], settings["by_character"]

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "EntityRows":
        """As `TextRows.of_export`."""
        labels = (assets / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]
        return cls(tokenizer, settings, labels)

    def read(self, inputs: Mapping[str, Sequence[Any]]) -> ReadTexts:
        """Windows of all texts, one after the other; none of a text without a word."""
        sentences = []
        for text in inputs["text"]:
            offsets = list(split_words(text, self._by_character))
            sentences.append(Sentence(0, [text[start:end] for start, end in offsets], None, None, text, offsets))
        with_words = [sentence for sentence in sentences if sentence.words]
        made = iter(self._featurizer.featurize(with_words))
        windows: _Windows = [(sentence, next(made) if sentence.words else []) for sentence in sentences]
        rows = [row for _, several in windows for row in several]
        nothing = {**self._layout.features([]), "word_starts": [0]}
        return ReadTexts(dict(padded(self._featurizer.spec, rows or [nothing], _INPUTS)), windows)

    def outputs(self, predictions: Mapping[str, NDArray[Any]], read: ReadTexts) -> Arrays:
        """As `EntityTextSignature.outputs`; a field's best paths are looked for here."""
        windows: _Windows = read.told
        table = predictions.get("transitions")
        transitions = None if table is None else Transitions.of(table[0])
        rows = iter(predictions["scores"])
        scores = [joined(several, [next(rows) for _ in several]) for _, several in windows if several]
        found = iter(decode(scores, transitions))
        answers = [self._answer(sentence, next(found) if several else None) for sentence, several in windows]
        return {name: _array(name, values) for name, values in EntityAnswers().outputs(answers).items()}

    def _answer(self, sentence: Sentence, decoded: Decoded | None) -> Answer:
        if decoded is None:
            return sentence_answer("", [], [], [], [])
        return answer_line(sentence, [self._labels[tag] for tag in decoded.tags], decoded, self._scheme)


def _array(name: str, values: Sequence[Any]) -> NDArray[Any]:
    if name in _TEXTS:
        return as_bytes(values)
    return np.array(values, np.float32 if name in _PROBABILITIES else np.int32)
