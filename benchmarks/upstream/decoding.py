"""Answers to SQuAD questions as google-research/bert finds them: loops over candidates, a tokenizer for each text.

Written from a description of `write_predictions`, to be compared with `tasks.span.decoding` in answers and in time.
Where nothing is left to answer, upstream writes the word "empty"; here it is the empty text, as in ours.
"""

import collections
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.span.decoding import NO_CANDIDATE_ODDS
from tasks.span.ranking import DecodingSettings
from tokenization import BasicTokenizer


class Feature(NamedTuple):
    """A window: its pieces, and for each position of the context the word it is of and whether it has most context."""

    tokens: list[str]
    token_to_word: dict[int, int]
    is_max_context: dict[int, bool]
    start_logits: list[float]
    end_logits: list[float]


class Question(NamedTuple):
    """A question, its windows, and the words of the context with what follows each ("" or a blank)."""

    qas_id: str
    words: list[str]
    blanks: list[str]
    features: list[Feature]


class Candidate(NamedTuple):
    """A span that may be the answer."""

    feature: int
    start: int
    end: int
    start_logit: float
    end_logit: float


class Scored(NamedTuple):
    """An answer and its logits."""

    text: str
    start_logit: float
    end_logit: float


def write_predictions(
    questions: Sequence[Question], settings: DecodingSettings, do_lower_case: bool, folder: Path
) -> None:
    """Writes `predictions.json`, `nbest_predictions.json` and, for version 2, `null_odds.json`."""
    answers: dict[str, str] = {}
    nbest: dict[str, list[dict[str, object]]] = {}
    odds: dict[str, float] = {}
    for question in questions:
        entries, null_score = ranked(question, settings, do_lower_case)
        scores = [entry.start_logit + entry.end_logit for entry in entries]
        nbest[question.qas_id] = [
            {**entry._asdict(), "probability": probability}
            for entry, probability in zip(entries, softmax(scores), strict=True)
        ]
        answers[question.qas_id], odds[question.qas_id] = chosen(entries, null_score, settings)
    folder.mkdir(parents=True, exist_ok=True)
    files = {"predictions": answers, "nbest_predictions": nbest}
    if settings.version_2_with_negative:
        files["null_odds"] = odds
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def ranked(question: Question, settings: DecodingSettings, do_lower_case: bool) -> tuple[list[Scored], float]:
    """Distinct answers, best first, and the score of "no answer"."""
    candidates: list[Candidate] = []
    null = Candidate(0, 0, 0, math.inf, 0.0)
    for number, feature in enumerate(question.features):
        score = feature.start_logits[0] + feature.end_logits[0]
        if score < null.start_logit + null.end_logit:
            null = Candidate(number, 0, 0, feature.start_logits[0], feature.end_logits[0])
        candidates.extend(_spans(number, feature, settings))
    if settings.version_2_with_negative:
        candidates.append(null)
    candidates.sort(key=lambda one: one.start_logit + one.end_logit, reverse=True)
    entries: list[Scored] = []
    seen: dict[str, bool] = {}
    for one in candidates:
        if len(entries) >= settings.n_best_size:
            break
        text = _text(question, one, do_lower_case) if one.start > 0 else ""
        if text not in seen:
            seen[text] = True
            entries.append(Scored(text, one.start_logit, one.end_logit))
    if settings.version_2_with_negative and "" not in seen:
        entries.append(Scored("", null.start_logit, null.end_logit))
    return entries or [Scored("", 0.0, 0.0)], null.start_logit + null.end_logit


def chosen(entries: Sequence[Scored], null_score: float, settings: DecodingSettings) -> tuple[str, float]:
    """The answer at a threshold of 0, and the odds of "no answer"."""
    best = next((entry for entry in entries if entry.text), None)
    if not settings.version_2_with_negative:
        return entries[0].text, 0.0
    if best is None:
        return "", NO_CANDIDATE_ODDS
    odds = null_score - best.start_logit - best.end_logit
    return ("" if odds > 0.0 else best.text), odds


def _spans(number: int, feature: Feature, settings: DecodingSettings) -> list[Candidate]:
    found = []
    ends = best_indexes(feature.end_logits, settings.n_best_size)
    for start in best_indexes(feature.start_logits, settings.n_best_size):
        for end in ends:
            if start not in feature.token_to_word or end not in feature.token_to_word:
                continue
            if not feature.is_max_context.get(start, False):
                continue
            if end < start or end - start + 1 > settings.max_answer_length:
                continue
            found.append(Candidate(number, start, end, feature.start_logits[start], feature.end_logits[end]))
    return found


def best_indexes(logits: Sequence[float], count: int) -> list[int]:
    """Positions of the largest logits, largest first."""
    pairs = sorted(enumerate(logits), key=lambda pair: pair[1], reverse=True)
    return [position for position, _ in pairs[:count]]


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities of scores."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    total = sum(weights)
    return [weight / total for weight in weights]


def _text(question: Question, one: Candidate, do_lower_case: bool) -> str:
    feature = question.features[one.feature]
    pieces = " ".join(feature.tokens[one.start : one.end + 1]).replace(" ##", "").replace("##", "")
    first, last = feature.token_to_word[one.start], feature.token_to_word[one.end]
    words = zip(question.words[first : last + 1], question.blanks[first : last + 1], strict=True)
    original = "".join(word + blank for word, blank in words).strip()
    return final_text(" ".join(pieces.split()), original, do_lower_case)


def final_text(pieces: str, original: str, do_lower_case: bool) -> str:
    """The part of the original text that the pieces stand for; all of it where that cannot be told."""
    normal = " ".join(BasicTokenizer(do_lower_case).tokenize(original))
    start = normal.find(pieces)
    if start == -1:
        return original
    end = start + len(pieces) - 1
    packed_original, original_places = _without_blanks(original)
    packed_normal, normal_places = _without_blanks(normal)
    if len(packed_original) != len(packed_normal):
        return original
    packed_of = {place: number for number, place in normal_places.items()}
    places = [original_places.get(packed_of[position]) if position in packed_of else None for position in (start, end)]
    if places[0] is None or places[1] is None:
        return original
    return original[places[0] : places[1] + 1]


def _without_blanks(text: str) -> tuple[str, dict[int, int]]:
    """The text without blanks, and where each of its characters was."""
    kept: list[str] = []
    places: dict[int, int] = collections.OrderedDict()
    for position, char in enumerate(text):
        if char != " ":
            places[len(kept)] = position
            kept.append(char)
    return "".join(kept), places
