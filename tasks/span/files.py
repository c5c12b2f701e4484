"""The files of answers, written question by question."""

import contextlib
import functools
import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from common import files
from common.errors import DataError
from common.files import atomic_writer, write_atomically
from processors.squad.examples import SquadExample
from tasks.span.decoding import Decoded

THRESHOLD_FILE = "null_threshold.json"

_NBEST_NAMES = ("text", "probability", "start_logit", "end_logit")
_TEXT = json.encoder.encode_basestring_ascii
_LINE = json.JSONEncoder(ensure_ascii=False)

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
            predictions(example.qas_id, _TEXT(decoded.answer(threshold).text))
            nbest(example.qas_id, nbest_json(decoded))
            if odds is not None:
                odds(example.qas_id, json.dumps(decoded.null_odds))
            lines.write(_LINE.encode(answer_line(example, decoded, threshold)) + "\n")

        yield write


def nbest_json(decoded: Decoded) -> str:
    """The n-best list under upstream's names: the bytes of `json.dumps` with an indentation of 4, as a member.

    An indentation makes `json` leave its C encoder; this is many times as fast.
    """
    entries = decoded.entries
    starts, ends = entries.start_logits, entries.end_logits
    number = float.__repr__
    if not math.isfinite(sum(starts) + sum(ends)):
        number = json.dumps  # which has names for Infinity and NaN
    numbers = map(number, entries.probabilities), _each_once(number, starts), _each_once(number, ends)
    columns = (map(_TEXT, entries.texts), *numbers)
    return _nbest_template(len(entries)) % tuple(itertools.chain.from_iterable(zip(*columns, strict=True)))


def _each_once(number: Callable[[float], str], values: Sequence[float]) -> Iterable[str]:
    """`map(number, values)`, each value worked out once: most spans share their start or end with others."""
    texts = {value: number(value) for value in set(values)}
    # 0.0 and -0.0 are the same key.
    return map(number, values) if 0.0 in texts else map(texts.__getitem__, values)


@functools.cache
def _nbest_template(count: int) -> str:
    """An n-best list with `%s` in place of each value; the text of a float is what JSON has."""
    members = ",\n".join(f'            "{name}": %s' for name in _NBEST_NAMES)
    return "[\n" + ",\n".join([f"        {{\n{members}\n        }}"] * count) + "\n    ]"


def answer_line(example: SquadExample, decoded: Decoded, threshold: float) -> dict[str, Any]:
    """One answer for people; `start`, `end` (characters of the context) and `window` are null without an answer."""
    entry = decoded.answer(threshold)
    start, end = entry.place or (None, None)
    return {
        "id": example.qas_id,
        "question": example.question_text,
        "answer": entry.text,
        "start": start,
        "end": end,
        "probability": entry.probability,
        "no_answer_probability": decoded.null.probability,
        "window": None if start is None else entry.window,
    }


@contextlib.contextmanager
def json_object(path: Path) -> Iterator[Callable[[str, str], None]]:
    """Writes a JSON object member by member: the bytes of `json.dumps(whole, indent=4)` and a line end.

    Returns:
      A function of a key and its value as it stands in that text, indented but for the first line.
    """
    with atomic_writer(path) as stream:
        write = _member_writer(stream)
        yield write
        stream.write("\n}\n" if stream.tell() else "{}\n")


def _member_writer(stream: IO[str]) -> Callable[[str, str], None]:
    opening = ["{\n"]

    def write(key: str, value: str) -> None:
        stream.write(f"{opening[0]}    {_TEXT(key)}: {value}")
        opening[0] = ",\n"

    return write


def store_threshold(folder: Path, threshold: float, f1: float, tuned_with: Mapping[str, Any]) -> None:
    """Keeps a tuned threshold beside the weights it belongs to.

    Args:
      folder: the output directory.
      threshold: of the null odds.
      f1: with it.
      tuned_with: settings of the decoding by their flags, on which the threshold depends.
    """
    content = {"null_score_diff_threshold": threshold, "eval_best_f1": f1, "tuned_with": dict(tuned_with)}
    write_atomically(folder / THRESHOLD_FILE, json.dumps(content, indent=2) + "\n")


def stored_threshold(folder: Path, decoding: Mapping[str, Any] | None = None) -> float | None:
    """The threshold that an evaluation in `folder` has found; None without one.

    Args:
      folder: the output directory.
      decoding: settings of the decoding now, by their flags.

    Raises:
      DataError: the file does not hold one, or it was found with other settings.
    """
    path = folder / THRESHOLD_FILE
    if not path.is_file():
        return None
    try:
        content = files.json_object(path.read_bytes())
        found = content.get("null_score_diff_threshold")
        if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
            raise ValueError("has no number null_score_diff_threshold")
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: {error}; give --null_score_diff_threshold, or remove the file and evaluate with "
            "--tune_null_threshold again"
        ) from None
    tuned_with = content.get("tuned_with")
    for name, value in (tuned_with if isinstance(tuned_with, dict) else {}).items():
        if decoding is not None and name in decoding and decoding[name] != value:
            raise DataError(
                f"{path}: its threshold was found with --{name}={value}, now --{name}={decoding[name]}; give "
                f"--{name}={value}, or --null_score_diff_threshold, or evaluate with --tune_null_threshold again"
            )
    return float(found)
