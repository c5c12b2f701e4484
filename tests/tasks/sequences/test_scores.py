"""Scores of written texts against what the scores' own libraries say, and by hand."""

import math

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from tasks.sequences.scores import exact_match, perplexity, text_scores

WRITTEN = ["the cat sat on the mat.", "a dog barked at 3,000 birds", "nothing of the kind"]
REFERENCES = ["The cat sat on a mat.", "A dog barked at 3,000 birds", "something else"]


def test_english_scores_are_those_of_the_libraries():
    found = text_scores(WRITTEN, REFERENCES, lower_case=True)
    assert found["bleu"] == pytest.approx(sacrebleu.corpus_bleu(WRITTEN, [REFERENCES], lowercase=True).score)
    lower = [text.lower() for text in REFERENCES]
    assert found["chrf"] == pytest.approx(sacrebleu.corpus_chrf(WRITTEN, [lower]).score)
    scorer = RougeScorer(["rouge2", "rougeL"])
    for name in ("rouge2", "rougeL"):
        values = [scorer.score(one, other)[name].fmeasure for one, other in zip(REFERENCES, WRITTEN, strict=True)]
        assert found[name] == pytest.approx(100 * sum(values) / 3)
    cased = text_scores(WRITTEN, REFERENCES, lower_case=False)
    assert cased["bleu"] < found["bleu"]
    assert cased["bleu"] == pytest.approx(sacrebleu.corpus_bleu(WRITTEN, [REFERENCES]).score)


def test_chinese_characters_are_words():
    found = text_scores(["我爱北京天安门。"], ["我爱北京的天安门。"], lower_case=True)
    expected = sacrebleu.corpus_bleu(["我爱北京天安门。"], [["我爱北京的天安门。"]], tokenize="zh").score
    assert found["bleu"] == pytest.approx(expected)
    assert found["bleu"] > 40
    assert found["rouge1"] == pytest.approx(100 * 14 / 15)  # 7 characters of 7 and 8
    assert found["rouge2"] == pytest.approx(100 * 10 / 13)  # 5 pairs of 6 and 7
    mixed = text_scores(["他买了 bert 模型"], ["他买了BERT"], lower_case=True)
    assert mixed["rouge1"] == pytest.approx(100 * 8 / 10)


def test_texts_may_be_empty():
    found = text_scores(["", "one two"], ["one", "one two"], lower_case=True)
    assert 0 < found["rouge1"] == 50
    assert all(math.isfinite(value) for value in found.values())


def test_exact_match_and_perplexity_by_hand():
    assert exact_match([[1, 2], [3], []], [[1, 2], [4], [5]]) == pytest.approx(1 / 3)
    losses, tokens = np.array([2.0, 1.0], np.float32), np.array([2.0, 4.0], np.float32)
    assert perplexity(losses, tokens) == pytest.approx(math.exp(0.5))
