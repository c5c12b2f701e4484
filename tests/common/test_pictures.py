"""Pictures that are whole, legible, or left out with a line."""

import logging
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from common.pictures import font_for, save_picture, shortened
from estimator.score_table import brief, lines
from tasks.classification.confusion import write_confusion
from tasks.classification.metrics import single_label_scores


def test_a_picture_never_costs_a_result(tmp_path, caplog):
    def fails(figure):
        raise RuntimeError("no such glyph")

    with caplog.at_level(logging.WARNING):
        assert not save_picture(tmp_path / "a.png", fails, (2, 2))
    assert "a.png: not drawn (RuntimeError: no such glyph); the results are complete" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_labels_are_text_and_not_mathematics(tmp_path):
    names = ["$x^$", "$\\frac{", "a_b^c"]
    write_confusion(np.array([0, 1, 2]), np.array([0, 1, 1]), names, tmp_path, "table, dev split, step 3")
    assert (tmp_path / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "confusion_matrix.csv").read_text().splitlines()[0] == "gold \\ predicted,$x^$,$\\frac{,a_b^c"


def test_names_that_no_font_has_are_numbers(tmp_path):
    assert font_for(["plain", "Größe"]) is not None
    assert font_for(["\U000e0fff"]) is None
    names = ["\U000e0fff", "b"]
    write_confusion(np.array([0, 1]), np.array([0, 1]), names, tmp_path, "title")
    assert (tmp_path / "confusion_matrix.png").is_file()


def test_many_classes_are_drawn_as_their_confusions(tmp_path):
    gold = np.arange(60) % 30
    write_confusion(gold, (gold + (gold > 20)) % 30, [f"class {n}" for n in range(30)], tmp_path, "title")
    assert (tmp_path / "confusion_matrix.png").is_file()
    assert len((tmp_path / "confusion_matrix.csv").read_text().splitlines()) == 31


@pytest.mark.slow
def test_very_many_classes_take_the_memory_of_the_pairs_that_occur(tmp_path):
    gold = np.arange(30_000)
    names = [f"class {n}" for n in range(30_000)]
    tracemalloc.start()
    write_confusion(gold, np.minimum(gold, 100), names, tmp_path, "title")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20
    lines = (tmp_path / "confusion_matrix.csv").read_text().splitlines()
    assert lines[:2] == ["gold,predicted,rows", "class 0,class 0,1"]
    assert (len(lines), lines[-1]) == (30_001, "class 29999,class 100,1")
    assert (tmp_path / "confusion_matrix.png").is_file()


@pytest.mark.parametrize("classes", [2, 3, 50])
def test_the_matthews_correlation_is_scikit_learns(classes):
    draws = np.random.default_rng(classes)
    gold, given = draws.integers(0, classes, (2, 400))
    probabilities = np.eye(classes)[np.where(draws.random(400) < 0.5, gold, given)]
    names = [str(n) for n in range(classes)]
    expected = matthews_corrcoef(gold, probabilities.argmax(-1))
    assert single_label_scores(gold, probabilities, names)["eval_mcc"] == pytest.approx(expected, rel=1e-12)
    assert single_label_scores(gold, np.eye(classes)[[0] * 400], names)["eval_mcc"] == 0


def test_long_names_are_shortened():
    assert shortened("a" * 40) == "a" * 27 + "…"
    assert shortened("short") == "short"


def test_scores_as_a_table():
    scores = {
        "eval_accuracy": 0.75, "loss": 0.5, "global_step": 8, "eval_precision[pos]": 1.0, "eval_precision[a, b]": 0.5,
        "eval_recall[pos]": 0.6, "eval_recall[a, b]": 0.7, "eval_majority_baseline": 0.5, "eval_brier": 0.1,
    }  # fmt: skip
    assert [line.split() for line in lines(scores, 8)] == [
        ["evaluation", "of", "step", "8:"],
        ["accuracy", "0.75"],
        ["majority", "baseline", "0.5"],
        ["loss", "0.5"],
        ["brier", "0.1"],
        ["precision", "recall"],
        ["pos", "1", "0.6"],
        ["a,", "b", "0.5", "0.7"],
    ]
    assert brief(scores, 8) == "evaluation of step 8: accuracy 0.75, loss 0.5"
