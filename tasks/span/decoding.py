"""Start and end logits -> ranked answers to questions.

Source: `write_predictions` of google-research/bert.
"""

import dataclasses
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from processors.squad.windows import Window
from tasks.span.ranking import DecodingSettings, Logits, QuestionLogits, Span, null_span, ranked_spans
from tasks.span.text import LocatedText, TextOfSpans

NO_CANDIDATE_ODDS = 1_000_000.0
"""Stands for "certainly no answer" where no span of the context can be one; finite, so that it is JSON."""

NO_SPAN: Span = (-1, 0, 0, 0.0, 0.0)
"""Where nothing can be a candidate, not even "no answer"."""


class Entry(NamedTuple):
    """One answer of an n-best list.

    Args:
      text: "" for "no answer".
      probability: among the answers of the list.
      start_logit: of the first token.
      end_logit: of the last token.
      span: where the tokens are; position 0 for "no answer".
      locate: gives the text of `span` with its place in the context.
    """

    text: str
    probability: float
    start_logit: float
    end_logit: float
    span: Span = NO_SPAN
    locate: Callable[[Span], LocatedText] | None = None

    @property
    def place(self) -> tuple[int, int] | None:
        """Characters of the context, end exclusive, computed when it is asked for; None for "no answer"."""
        return self.locate(self.span)[1:] if self.span[1] and self.locate else None

    @property
    def start(self) -> int:
        """Character of the context that the answer starts at; -1 for "no answer"."""
        return self.place[0] if self.place else -1

    @property
    def end(self) -> int:
        """The character after the answer's last; -1 for "no answer"."""
        return self.place[1] if self.place else -1

    @property
    def window(self) -> int:
        """Index of the window that the answer was found in; -1 for "no answer"."""
        return self.span[0] if self.span[1] else -1


@dataclasses.dataclass(frozen=True)
class NBest(Sequence[Entry]):
    """An n-best list as columns; an `Entry` is made when one is asked for, since most are only written to a file.

    Args:
      texts, probabilities, start_logits, end_logits, spans: of each answer, as in `Entry`.
      locate: as in `Entry`.
    """

    texts: Sequence[str]
    probabilities: Sequence[float]
    start_logits: Sequence[float]
    end_logits: Sequence[float]
    spans: Sequence[Span]
    locate: Callable[[Span], LocatedText] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        logits = self.start_logits[index], self.end_logits[index]
        return Entry(self.texts[index], self.probabilities[index], *logits, self.spans[index], self.locate)

    def first(self, is_answer: bool) -> Entry | None:
        """The best answer, or "no answer"; None if it is not among the entries."""
        return next((self[index] for index, text in enumerate(self.texts) if bool(text) == is_answer), None)


class Decoded(NamedTuple):
    """All that the logits say about one question.

    Args:
      entries: distinct answers, best first; never empty.
      best: the first of them that is an answer; None if there is none.
      null_odds: score of "no answer" minus that of `best`; 0 where "no answer" is no candidate.
    """

    entries: NBest
    best: Entry | None
    null_odds: float

    def answer(self, threshold: float) -> Entry:
        """The answer given: `best`, or "no answer" where it is a candidate and its odds are above a threshold."""
        null = self.entries.first(is_answer=False) if self.null_odds > threshold else None
        return self.best if self.best and null is None else self.null

    @property
    def null(self) -> Entry:
        """The "no answer" entry; of probability 0 where it is no candidate."""
        return self.entries.first(is_answer=False) or Entry("", 0.0, 0.0, 0.0)


def decode(
    windows: Sequence[Window], logits: Sequence[Logits], span_text: TextOfSpans, settings: DecodingSettings
) -> Decoded:
    """Ranks the answers to one question; see `decode_all`."""
    return decode_all([QuestionLogits(windows, logits)], span_text, settings)[0]


def decode_all(
    questions: Sequence[QuestionLogits], span_text: TextOfSpans, settings: DecodingSettings
) -> list[Decoded]:
    """Ranks the answers to each of some questions; `settings.questions_at_once` is a good number of them.

    Args:
      questions: with the logits of their windows.
      span_text: gives the text of a span.
      settings: sizes and version.
    """
    has_null = settings.version_2_with_negative
    nulls = [null_span(question.logits) if has_null and question.logits else None for question in questions]
    ranked = ranked_spans(questions, nulls, settings)
    return [
        _decoded(question.windows, spans, null, span_text, settings)
        for question, spans, null in zip(questions, ranked, nulls, strict=True)
    ]


def _decoded(
    windows: Sequence[Window],
    ranked: Iterable[Span],
    null: Span | None,
    span_text: TextOfSpans,
    settings: DecodingSettings,
) -> Decoded:
    answers = distinct_answers(windows, ranked, span_text, settings.n_best_size)
    if null:
        answers.setdefault("", null)
    # Upstream writes the word "empty" here, which reads as an answer.
    answers = answers or {"": NO_SPAN}
    entries = with_probabilities(answers, lambda span: span_text(windows[span[0]], span[1], span[2]))
    best = entries.first(is_answer=True)
    if not settings.version_2_with_negative:
        return Decoded(entries, best, 0.0)
    if null is None or best is None:
        return Decoded(entries, best, NO_CANDIDATE_ODDS)
    return Decoded(entries, best, null[3] + null[4] - best.start_logit - best.end_logit)


def distinct_answers(
    windows: Sequence[Window], ranked: Iterable[Span], span_text: TextOfSpans, count: int
) -> dict[str, Span]:
    """The first `count` answers of different text, by text, best first."""
    found: dict[str, Span] = {}
    for span in ranked:
        window, start, end, _, _ = span
        # Position 0 is [CLS], which means "no answer".
        found.setdefault(span_text.text(windows[window], start, end) if start else "", span)
        if len(found) >= count:
            break
    return found


def with_probabilities(answers: Mapping[str, Span], locate: Callable[[Span], LocatedText]) -> NBest:
    """Gives each answer its softmax probability among all of them."""
    _, _, _, start_logits, end_logits = zip(*answers.values(), strict=True)
    probabilities = softmax(list(map(operator.add, start_logits, end_logits)))
    return NBest(list(answers), probabilities, start_logits, end_logits, list(answers.values()), locate)


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities of scores; none for none."""
    highest = max(scores, default=0.0)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]
