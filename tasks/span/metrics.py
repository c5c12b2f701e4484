"""Official scores of answers: exact match and F1 of SQuAD 1.1 and 2.0, by the scripts of `tf-models-official`.

Source: arXiv:1606.05250, arXiv:1806.03822; `official.nlp.tools.squad_evaluate_v1_1` and `squad_evaluate_v2_0`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from processors.squad.examples import SquadExample
from tokenization.characters import CJK_RANGES, is_punctuation

_CJK = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK_RANGES) + "]")


class ScoredAnswer(NamedTuple):
    """A question with its answers: the one given, the best that is not "no answer" (or ""), and the null odds."""

    example: SquadExample
    given: str
    best: str
    null_odds: float


def scores(scored: Iterable[ScoredAnswer], version_2_with_negative: bool) -> dict[str, float]:
    """Scores in percent, over all questions.

    Returns:
      `eval_exact_match`, `eval_f1`, `eval_total`; for version 2 also `eval_HasAns_...`, `eval_NoAns_...` and the best
      scores that a threshold on the null odds could reach, `eval_best_exact`, `eval_best_exact_thresh`,
      `eval_best_f1`, `eval_best_f1_thresh`; `eval_char_f1`, with each Chinese character a word, where there are any.
    """
    scored = list(scored)
    found = _version_2(scored) if version_2_with_negative else _version_1(scored)
    if any(_CJK.search(answer.text) for one in scored for answer in one.example.answers):
        found["eval_char_f1"] = _char_f1(scored)
    return found


def _version_1(scored: list[ScoredAnswer]) -> dict[str, float]:
    from official.nlp.tools import squad_evaluate_v1_1

    result = squad_evaluate_v1_1.evaluate(_dataset(scored), {one.example.qas_id: one.given for one in scored})
    return {
        "eval_exact_match": 100.0 * result["exact_match"],
        "eval_f1": 100.0 * result["final_f1"],
        "eval_total": len(scored),
    }


def _version_2(scored: list[ScoredAnswer]) -> dict[str, float]:
    from official.nlp.tools import squad_evaluate_v2_0

    dataset = _dataset(scored)
    given = squad_evaluate_v2_0.evaluate(dataset, {one.example.qas_id: one.given for one in scored})
    kept = {f"eval_{key}": value for key, value in given.items() if key.startswith(("HasAns_", "NoAns_"))}
    # The threshold is sought over answers that were not withheld: it is what decides to withhold.
    best = squad_evaluate_v2_0.evaluate(
        dataset,
        {one.example.qas_id: one.best for one in scored},
        {one.example.qas_id: one.null_odds for one in scored},
    )
    return {
        "eval_exact_match": given["exact"],
        "eval_f1": given["f1"],
        "eval_total": given["total"],
        **kept,
        "eval_best_exact": best["final_exact"],
        "eval_best_exact_thresh": best["final_exact_thresh"],
        "eval_best_f1": best["final_f1"],
        "eval_best_f1_thresh": best["final_f1_thresh"],
    }


def _char_f1(scored: list[ScoredAnswer]) -> float:
    from official.nlp.tools import squad_evaluate_v2_0

    dataset = _dataset(scored, characters)
    result: Mapping[str, Any] = squad_evaluate_v2_0.evaluate(
        dataset, {one.example.qas_id: characters(one.given) for one in scored}
    )
    return result["f1"]


def characters(text: str) -> str:
    """`text` with blanks around Chinese characters and without punctuation, as Chinese F1 counts it.

    Example:
      >>> characters("《红楼梦》 1791")
      '红 楼 梦 1791'
    """
    spaced = _CJK.sub(r" \g<0> ", "".join(" " if is_punctuation(char) else char for char in text))
    return " ".join(spaced.split())


def _dataset(scored: list[ScoredAnswer], change: Any = str) -> list[dict[str, Any]]:
    """The questions in the nested form that the official scripts take."""
    questions = [
        {"id": one.example.qas_id, "answers": [{"text": change(answer.text)} for answer in one.example.answers]}
        for one in scored
    ]
    return [{"paragraphs": [{"qas": questions}]}]
