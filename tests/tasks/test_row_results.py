"""Scores of rows and of their resamplings, against NumPy, SciPy and intervals that are known."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from tasks.row_results import RowResults, agreement, interval, resampled


def test_hits_are_scored_by_their_fraction_and_numbers_by_their_correlation():
    assert RowResults.of_hits("accuracy", [True, False, True, True], []).score() == 0.75
    x, y = np.random.default_rng(1).normal(size=(2, 50))
    y += x
    assert RowResults.of_numbers(x, y).score() == pytest.approx(pearsonr(x, y)[0], abs=1e-12)
    assert np.isnan(RowResults.of_numbers([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).score())


def test_an_interval_is_about_that_of_a_binomial():
    hits = np.arange(400) < 300
    low, high = interval(resampled([RowResults.of_hits("accuracy", hits, [])])[0])
    spread = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - spread, 0.75 + spread), abs=0.004)


def test_models_are_compared_on_the_same_resamplings():
    hits = np.random.default_rng(2).random(200) < 0.8
    one, other = (RowResults.of_hits("accuracy", given, []) for given in (hits, hits))
    scores = resampled([one, other])
    np.testing.assert_array_equal(scores[0], scores[1])  # so that the difference has no spread


def test_agreement_is_of_answers_and_of_numbers_their_correlation():
    assert agreement(["a", "b", "a"], ["a", "a", "a"]) == pytest.approx(2 / 3)
    assert agreement([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(1.0)
