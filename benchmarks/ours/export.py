"""Requests to an export: raw text in, label and probabilities out."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the operations that an export tokenizes with

from benchmarks.latency import Answer, Row, first_answer, latency_rounds
from benchmarks.ours import classifier, script
from benchmarks.protocol import ROWS_FILE, Rounds, Settings
from serving.predictor import Predictor
from tasks.base import TEST

REQUESTED = 1024
"""Rows of the test set that are asked for."""


def load(settings: Settings) -> Rounds:
    """Trains a step and exports; the rows are left for the peer."""
    output_dir = settings.folder / "run"
    script.train(settings, output_dir, 32, *script.first_rows(32, 1), "--do_export", "--export_frozen_graph")
    export = next((output_dir / "export").iterdir())
    examples = classifier.task(settings).examples(TEST)
    rows = [{"text_a": one.text_a, "text_b": one.text_b or ""} for one in itertools.islice(examples, REQUESTED)]
    (settings.folder / ROWS_FILE).write_text(json.dumps(rows), encoding="utf-8")
    answers: dict[str, Answer] = {
        "Predictor": Predictor(export).answer,
        "frozen graph": frozen(export),
    }
    for few in (rows[:1], rows[:8]):  # a single one first: see "Exports" in BUILD.md
        _check_equal(answers, few)
    return latency_rounds(answers, rows, settings.effort.calls) | first_answer(lambda: Predictor(export).answer, rows)


def frozen(export: Path) -> Answer:
    """Answers from `frozen_graph_text.pb`, with nothing of ours: labels and probabilities."""
    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString((export / "frozen_graph_text.pb").read_bytes())
    ends = json.loads((export / "frozen_graph_text.json").read_text(encoding="utf-8"))["text"]
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        tf.import_graph_def(definition, name="")
    names = ("label", "probabilities")
    run = session.make_callable(
        [ends["outputs"][name] for name in names], [ends["inputs"][name] for name in ("text_a", "text_b")]
    )

    def answer(rows: Sequence[Row]) -> list[dict[str, Any]]:
        feeds = [np.array([row[name] for row in rows], dtype=object) for name in ("text_a", "text_b")]
        labels, probabilities = run(*feeds)
        return [
            {"label": label.decode(), "probabilities": row} for label, row in zip(labels, probabilities, strict=True)
        ]

    return answer


def _check_equal(answers: dict[str, Answer], rows: Sequence[Row]) -> None:
    labels = [[one["label"] for one in answer(rows)] for answer in answers.values()]
    if any(other != labels[0] for other in labels[1:]):
        raise ValueError(f"the exports answer differently: {labels}")
