"""Answers from the model's outputs, as upstream's `run_squad.py` writes them."""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from common.errors import DataError
from compat.features import program_flag
from compat.squad_features import passage_of
from processors.records.featurizer import chunked
from processors.squad.passages import Passage
from processors.squad.windows import Document, Window
from tasks.span.decoding import Decoded, decode_all, softmax
from tasks.span.files import json_object, nbest_json
from tasks.span.ranking import DecodingSettings, QuestionLogits, top_indexes
from tasks.span.text import LocatedText, TextAligner

log = logging.getLogger(__name__)


class RawResult(NamedTuple):
    """The model's output for one window."""

    unique_id: int
    start_logits: list[float]
    end_logits: list[float]


@dataclasses.dataclass(frozen=True, slots=True)
class _FeatureWindow(Window):
    """A window that is known by its tokens.

    Args:
      tokens: of question and context, with special tokens.
    """

    tokens: Sequence[str] = ()


class _TextOfFeatures:
    """Aligns tokens with the words that hold them.

    Args:
      do_lower_case: as the tokens were made.
    """

    def __init__(self, do_lower_case: bool) -> None:
        self._aligner = TextAligner(do_lower_case)

    def __call__(self, window: Window, start: int, end: int) -> LocatedText:
        passage, first, last = window.document.passage, *self._span(window, start, end)
        place = passage.original_offset(first), passage.original_offset(last - 1) + 1
        return LocatedText(passage.joined[first:last], *place)

    def text(self, window: Window, start: int, end: int) -> str:
        first, last = self._span(window, start, end)
        return window.document.passage.joined[first:last]

    def _span(self, window: Window, start: int, end: int) -> tuple[int, int]:
        """Characters of the passage's `joined`, end exclusive."""
        words = window.document.piece_words
        begin, stop = window.document.passage.joined_span(words[start - window.offset], words[end - window.offset])
        tokens = cast(_FeatureWindow, window).tokens[start : end + 1]
        text = " ".join(" ".join(tokens).replace(" ##", "").replace("##", "").split())
        inner, after = self._aligner.span(text, window.document.passage.joined[begin:stop])
        return begin + inner, begin + after


def write_predictions(  # noqa: PLR0913 - upstream's signature
    all_examples: Iterable[Any],
    all_features: Iterable[Any],
    all_results: Iterable[Any],
    n_best_size: int,
    max_answer_length: int,
    do_lower_case: bool,
    output_prediction_file: str,
    output_nbest_file: str,
    output_null_log_odds_file: str,
    version_2_with_negative: bool | None = None,
    null_score_diff_threshold: float | None = None,
) -> None:
    """Writes the answers, the n-best lists and, for version 2, the odds of "no answer".

    Args:
      all_examples: `SquadExample`s.
      all_features: the `InputFeatures` of their windows.
      all_results: a `RawResult` for each window.
      n_best_size: starts and ends looked at in each window, and answers kept.
      max_answer_length: most tokens of an answer.
      do_lower_case: as the tokens were made.
      output_prediction_file: JSON, an answer for each question.
      output_nbest_file: JSON, a list for each question.
      output_null_log_odds_file: JSON, a number for each question; written for version 2 only.
      version_2_with_negative: "no answer" is a candidate; by default what the program's flag of this name says, and
        without such a flag it is not.
      null_score_diff_threshold: "no answer" is given where its odds are above this; by default that of the program's
        flag, or 0.

    Raises:
      DataError: a window has no result.
    """
    version_2 = bool(program_flag("version_2_with_negative", version_2_with_negative, False))
    threshold = float(program_flag("null_score_diff_threshold", null_score_diff_threshold, 0.0))
    log.info("answers with version_2_with_negative=%s, null_score_diff_threshold=%s", version_2, threshold)
    settings = DecodingSettings(n_best_size, max_answer_length, version_2)
    examples = list(all_examples)
    asked = _asked(examples, all_features, {result.unique_id: result for result in all_results})
    span_text = _TextOfFeatures(do_lower_case)
    with contextlib.ExitStack() as stack:
        predictions = stack.enter_context(json_object(Path(output_prediction_file)))
        nbest = stack.enter_context(json_object(Path(output_nbest_file)))
        odds = stack.enter_context(json_object(Path(output_null_log_odds_file))) if version_2 else None
        for chunk in chunked(zip(examples, asked, strict=True), settings.questions_at_once):
            decoded: Sequence[Decoded] = decode_all([question for _, question in chunk], span_text, settings)
            for (example, _), answers in zip(chunk, decoded, strict=True):
                key = str(example.qas_id)
                predictions(key, json.dumps(answers.answer(threshold).text))
                nbest(key, nbest_json(answers))
                if odds is not None:
                    odds(key, json.dumps(answers.null_odds))


def _asked(examples: Sequence[Any], features: Iterable[Any], results: dict[int, Any]) -> list[QuestionLogits]:
    """The windows of each example and the logits of each."""
    found = [QuestionLogits([], []) for _ in examples]
    passages = [passage_of(example) for example in examples]
    for feature in features:
        example, passage = examples[feature.example_index], passages[feature.example_index]
        result = results.get(feature.unique_id)
        if result is None:
            raise DataError(
                f"question {example.qas_id!r}: there is no result with unique_id {feature.unique_id} among "
                f"{len(results)}; expected one for each window; predict all features that were made"
            )
        question = found[feature.example_index]
        cast(list[Window], question.windows).append(_window(feature, passage))
        logits = np.asarray(result.start_logits, np.float64), np.asarray(result.end_logits, np.float64)
        cast(list[Any], question.logits).append(logits)
    return found


def _window(feature: Any, passage: Passage) -> _FeatureWindow:
    """The window of a feature: positions of the context follow each other."""
    positions = sorted(feature.token_to_orig_map)
    offset, length = positions[0], len(positions)
    words = [feature.token_to_orig_map[position] for position in positions]
    known = [feature.token_is_max_context.get(position, False) for position in positions]
    if positions != list(range(offset, offset + length)):
        raise DataError(f"window {feature.unique_id}: its token_to_orig_map leaves positions out; expected a range")
    return _FeatureWindow(Document(passage, [], words, []), 0, length, offset, np.array(known, bool), feature.tokens)


def _get_best_indexes(logits: Sequence[float], n_best_size: int) -> list[int]:
    """Places of the largest logits, largest first; equal ones in order."""
    return [int(place) for place in top_indexes(np.asarray([logits], np.float64), n_best_size)[0]]


def _compute_softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities of scores."""
    return softmax(scores)
