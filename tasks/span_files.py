"""The files of answers, written question by question."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from processors.files import atomic_writer, write_atomically
from processors.squad import SquadExample
from tasks.span_decoding import Decoded

THRESHOLD_FILE = "null_threshold.json"

AnswerWriter = Callable[[SquadExample, Decoded, float], None]


@contextlib.contextmanager
def answer_files(folder: Path, version_2_with_negative: bool) -> Iterator[AnswerWriter]:
    """Opens `predictions.json`, `nbest_predictions.json`, `predictions.jsonl` and, for version 2, `null_odds.json`.

    Returns:
      A function of an example, what was decoded, and the threshold of the null odds; call it once a question.
    """
    with contextlib.ExitStack() as stack:
        predictions = stack.enter_context(json_object(folder / "predictions.json"))
        nbest = stack.enter_context(json_object(folder / "nbest_predictions.json"))
        odds = stack.enter_context(json_object(folder / "null_odds.json")) if version_2_with_negative else None
        lines = stack.enter_context(atomic_writer(folder / "predictions.jsonl"))

        def write(example: SquadExample, decoded: Decoded, threshold: float) -> None:
            predictions(example.qas_id, decoded.answer(threshold).text)
            nbest(example.qas_id, nbest_entries(decoded))
            if odds is not None:
                odds(example.qas_id, decoded.null_odds)
            lines.write(json.dumps(answer_line(example, decoded, threshold), ensure_ascii=False) + "\n")

        yield write


def nbest_entries(decoded: Decoded) -> list[dict[str, Any]]:
    """The n-best list under upstream's names."""
    names = ("text", "probability", "start_logit", "end_logit")
    return [{name: getattr(entry, name) for name in names} for entry in decoded.entries]


def answer_line(example: SquadExample, decoded: Decoded, threshold: float) -> dict[str, Any]:
    """One answer for people; `start`, `end` (characters of the context) and `window` are null without an answer."""
    entry = decoded.answer(threshold)
    has_place = entry.window >= 0
    return {
        "id": example.qas_id,
        "question": example.question_text,
        "answer": entry.text,
        "start": entry.start if has_place else None,
        "end": entry.end if has_place else None,
        "probability": entry.probability,
        "no_answer_probability": decoded.null.probability,
        "window": entry.window if has_place else None,
    }


@contextlib.contextmanager
def json_object(path: Path) -> Iterator[Callable[[str, Any], None]]:
    """Writes a JSON object member by member: the bytes of `json.dumps(whole, indent=4)` and a line end."""
    with atomic_writer(path) as stream:
        write = _member_writer(stream)
        yield write
        stream.write("\n}\n" if stream.tell() else "{}\n")


def _member_writer(stream: IO[str]) -> Callable[[str, Any], None]:
    opening = ["{\n"]

    def write(key: str, value: Any) -> None:
        nested = json.dumps(value, indent=4).replace("\n", "\n    ")
        stream.write(f"{opening[0]}    {json.dumps(key)}: {nested}")
        opening[0] = ",\n"

    return write


def store_threshold(folder: Path, threshold: float, f1: float) -> None:
    """Keeps a tuned threshold beside the weights it belongs to."""
    content = {"null_score_diff_threshold": threshold, "eval_best_f1": f1}
    write_atomically(folder / THRESHOLD_FILE, json.dumps(content, indent=2) + "\n")


def stored_threshold(folder: Path) -> float | None:
    """The threshold that an evaluation in `folder` has found; None without one."""
    path = folder / THRESHOLD_FILE
    return float(json.loads(path.read_text())["null_score_diff_threshold"]) if path.is_file() else None
