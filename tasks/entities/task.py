"""Token classification: a tag for each word of a sentence, entities as what tags spell out."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import FlagError
from processors.entities.featurizer import SentenceFeaturizer
from processors.entities.sentence import Sentence
from processors.entities.source import SentenceSource
from processors.entities.tags import IOB2, NONE, allowed_transitions, spans_of_tags
from processors.records.featurizer import chunked
from processors.records.schema import Features
from tasks.base import DEV, AnsweredRows, AnswerSink, Collected, Task, TextSignature
from tasks.distillation import Scores
from tasks.entities.decoding import Decoded, Transitions, decode, joined
from tasks.entities.files import tag_files
from tasks.entities.scores import Tags, entity_scores, types_of_words, word_scores
from tasks.row_results import RowResults
from tokenization.base import Tokenizer

NAME = "ner"
CHUNK_SENTENCES = 512


@dataclasses.dataclass(frozen=True)
class EntitySettings:
    """How sentences are read by the model, and which head tags them.

    Args:
      max_seq_length: most tokens a window, special ones included.
      window_overlap: tokens that neighbouring windows of a long sentence share; None for a quarter of a window.
      use_crf: score whole sentences by a conditional random field, not each word on its own.
      constrain_tags: with `use_crf`, predict no tag where its scheme forbids it.
      crf_learning_rate: peak rate of the field's scores between tags; None for that of the head.
      label_all_tokens: train on every token of a word, not only on its first.
      by_character: texts are split into characters, and words are joined without blanks.
      max_words: most words of a window in records, which static shapes are filled up to; None for as many as fit.
    """

    max_seq_length: int = 128
    window_overlap: int | None = None
    use_crf: bool = False
    constrain_tags: bool = True
    crf_learning_rate: float | None = None
    label_all_tokens: bool = False
    by_character: bool = False
    max_words: int | None = None


class EntityTask(Task):
    """Named entities, parts of speech, segmentation: whatever gives each word one tag.

    Args:
      tokenizer: of the model.
      source: gives sentences and labels.
      settings: of windows and head.
      limits: most sentences to take from the start of a split, by split.
      name: of the task, for messages and the run directory.

    Raises:
      FlagError: lengths or settings that do not go together.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        source: SentenceSource,
        settings: EntitySettings,
        limits: Mapping[str, int | None] | None = None,
        name: str = NAME,
    ) -> None:
        _check_head(settings)
        self.name = name
        self.tokenizer: Tokenizer = tokenizer
        self.sentence_source = source
        self.settings = settings
        self.labels = source.labels
        self.featurizer: SentenceFeaturizer = SentenceFeaturizer(
            tokenizer,
            settings.max_seq_length,
            self.labels,
            settings.window_overlap,
            settings.label_all_tokens,
            settings.max_words,
        )
        self.main_metric = "accuracy" if source.scheme == NONE else "f1"
        self._limits = dict(limits or {})
        self._evaluated: list[tuple[Tags, Tags]] = []

    def head(self, is_training: bool) -> Any:
        """A `CrfHead` or a `WordTagHead`; constraints hold in predictions alone."""
        from modeling.heads.entities import CrfHead, WordTagHead

        del is_training  # losses are the same in evaluation
        settings = self.settings
        if not settings.use_crf:
            return WordTagHead(len(self.labels), settings.label_all_tokens)
        constrains = settings.constrain_tags and self.sentence_source.scheme != NONE
        allowed = allowed_transitions(self.labels, IOB2) if constrains else None
        return CrfHead(len(self.labels), allowed, settings.crf_learning_rate)

    def examples(self, split: str) -> Iterator[Sentence]:
        """Yields the sentences of a split.

        Raises:
          DataError: one that cannot be used, or no data for the split.
        """
        return itertools.islice(self.sentence_source.sentences(split), self._limits.get(split))

    def data_files(self, split: str) -> list[Path]:
        """Those of the source."""
        return self.sentence_source.data_files(split)

    def source(self, split: str) -> dict[str, Any]:
        """How the source reads, and limits."""
        return self.sentence_source.description(split) | {"limits": self._limits}

    def code_digest(self) -> str | None:
        """Of the code that gives the sentences, else of the task's own where that is a user's."""
        return self.sentence_source.code_digest() or super().code_digest()

    def identity(self) -> dict[str, Any]:
        """Task name, labels, scheme, and what kind of head there is."""
        return {
            "task": self.name,
            "labels": self.labels,
            "tag_scheme": self.sentence_source.scheme,
            "use_crf": self.settings.use_crf,
        }

    def score(self, collected: Collected) -> dict[str, float]:
        """Scores of entities and words, over every word of every sentence."""
        found = self._decoded(DEV, collected)
        pairs: list[tuple[Tags, Tags]] = [(sentence.tags or [], self.names(decoded)) for sentence, decoded in found]
        self._evaluated = pairs
        return word_scores(pairs) if self.sentence_source.scheme == NONE else entity_scores(pairs)

    def accuracy(self, collected: Collected) -> tuple[str, float] | None:
        """F1 of entities, or accuracy where tags are no spans; what was evaluated stays."""
        evaluated = self._evaluated
        try:
            return super().accuracy(collected)
        finally:
            self._evaluated = evaluated

    def write_evaluation(self, collected: Collected, folder: Path, step: int) -> None:
        """Writes which type of entity was taken for which, word by word, as CSV and PNG."""
        from tasks.classification.confusion import write_confusion

        del collected  # scored already
        names, gold, predicted = types_of_words(self._evaluated, self.sentence_source.scheme)
        write_confusion(gold, predicted, names, folder, f"{self.name}, words of the {DEV} split, step {step}")

    def names(self, decoded: Decoded) -> list[str]:
        """The predicted tags by name."""
        return [self.labels[tag] for tag in decoded.tags]

    @contextlib.contextmanager
    def answers(self, folder: Path) -> Iterator[AnswerSink]:
        """Opens `predictions.conll`, `predictions.jsonl` and `label_test.txt`."""
        between = "" if self.settings.by_character else " "
        with tag_files(folder, self.sentence_source.scheme, between) as write:
            pending: list[tuple[Sentence, np.ndarray]] = []
            transitions: list[Transitions] = []

            def sink(
                example: Sentence, windows: Sequence[Features], outputs: Sequence[Mapping[str, np.ndarray]]
            ) -> None:
                if self.settings.use_crf and not transitions:
                    transitions.append(Transitions.of(outputs[0]["transitions"]))
                # A copy: a row is a view of its whole batch.
                pending.append((example, joined(windows, [output["scores"] for output in outputs]).copy()))
                if len(pending) >= CHUNK_SENTENCES:
                    flush()

            def flush() -> None:
                found = decode([scores for _, scores in pending], transitions[0] if transitions else None)
                for (example, _), decoded in zip(pending, found, strict=True):
                    write(example, self.names(decoded), decoded)
                pending.clear()

            yield sink
            flush()

    def soft_target_shape(self) -> tuple[int | None, ...]:
        """A score of each tag, for each word.

        Raises:
          FlagError: the head is over whole sentences.
        """
        if self.settings.use_crf:
            raise FlagError(
                "--use_crf: a teacher's scores are learned word by word, not over whole sentences; leave it out for "
                "teacher and student"
            )
        return (None, len(self.labels))

    def soft_target_places(self, window: Features) -> int:
        """Its words."""
        return len(window["word_starts"])

    def soft_targets(self, outputs: Mapping[str, Any], window: Features) -> Scores:
        """Scores of the tags of its words `[n, L]`."""
        return np.asarray(outputs["scores"][: len(window["word_starts"])], np.float32)

    def without_label(self, example: Sentence) -> Sentence:
        """With some tag for each word, so that records have the same shape."""
        return example._replace(tags=[self.labels[0]] * len(example.words))

    def row_results(self, answered: AnsweredRows) -> RowResults:
        """F1 of entities, or the accuracy of words where tags are no spans."""
        parts: list[tuple[float, float]] = []
        answers: list[tuple[str, ...]] = []
        for sentence, windows, outputs in answered:
            transitions = Transitions.of(outputs[0]["transitions"]) if self.settings.use_crf else None
            (decoded,) = decode([joined(windows, [output["scores"] for output in outputs])], transitions)
            found, gold = self.names(decoded), list(sentence.tags or [])
            answers.append(tuple(found))
            if self.sentence_source.scheme == NONE:
                parts.append((float(sum(a == b for a, b in zip(found, gold, strict=True))), float(len(gold))))
            else:
                spans, right = set(spans_of_tags(found)), set(spans_of_tags(gold))
                parts.append((2.0 * len(spans & right), float(len(spans) + len(right))))
        return RowResults.of_parts("accuracy" if self.sentence_source.scheme == NONE else "f1", parts, answers)

    def text_signature(self) -> TextSignature:
        """Raw `text` -> words, tags, entities."""
        from tasks.entities.signature import EntityTextSignature

        return EntityTextSignature(self.tokenizer, self.settings, self.labels, self.sentence_source.scheme)

    def _decoded(self, split: str, collected: Collected) -> Iterator[tuple[Sentence, Decoded]]:
        """Every sentence of a split with what the collected scores say, in order."""
        transitions = Transitions.of(collected["transitions"][0]) if self.settings.use_crf else None
        rows = iter(collected["scores"])
        for chunk in chunked(self.again(split), CHUNK_SENTENCES):
            scores = [joined(windows, list(itertools.islice(rows, len(windows)))) for _, windows in chunk]
            yield from zip([sentence for sentence, _ in chunk], decode(scores, transitions), strict=True)
        if next(rows, None) is not None:
            raise ValueError(f"more rows were evaluated than the {split} split has windows")


def _check_head(settings: EntitySettings) -> None:
    if settings.use_crf and settings.label_all_tokens:
        raise FlagError(
            "--label_all_tokens has no meaning for --use_crf, which is over the first token of each word; remove one "
            "of them"
        )
    if settings.crf_learning_rate is not None and not settings.use_crf:
        raise FlagError("--crf_learning_rate needs --use_crf; add it, or give --head_learning_rate")
