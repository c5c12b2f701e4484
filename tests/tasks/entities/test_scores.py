"""Scores of entities: equal to seqeval's, which equal conlleval's, in both readings."""

import random
import warnings

import pytest

from tasks.entities.scores import entity_scores, strict_spans, types_of_words, word_scores

LABELS = ["O", "B-x", "I-x", "B-y", "I-y", "B-a-b", "I-a-b"]


def random_pairs(seed, count=60):
    rng = random.Random(seed)
    pairs = []
    for _ in range(count):
        gold = rng.choices(LABELS, [4, 1, 1, 1, 1, 1, 1], k=rng.randint(1, 12))
        predicted = [tag if rng.random() < 0.6 else rng.choice(LABELS) for tag in gold]
        pairs.append((gold, predicted))
    return pairs


@pytest.mark.parametrize("mode", ["", "strict_"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scores_equal_those_of_seqeval(mode, seed):
    from seqeval.metrics import accuracy_score, sequence_labeling, v1
    from seqeval.scheme import IOB2

    metrics = v1 if mode else sequence_labeling
    strictly = {"scheme": IOB2} if mode else {}
    pairs = random_pairs(seed)
    gold, predicted = map(list, zip(*pairs, strict=True))
    found = entity_scores(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for average, suffix in (("micro", ""), ("macro", "_macro")):
            expected = metrics.precision_recall_fscore_support(gold, predicted, average=average, **strictly)
            for name, value in zip(("precision", "recall", "f1"), expected[:3], strict=True):
                assert found[f"eval_{mode}{name}{suffix}"] == pytest.approx(value), (name, suffix)
        if not mode:
            by_type = metrics.precision_recall_fscore_support(gold, predicted, average=None)
            for index, kind in enumerate(("a-b", "x", "y")):
                assert found[f"eval_f1[{kind}]"] == pytest.approx(by_type[2][index])
                assert found[f"eval_entities[{kind}]"] == by_type[3][index]
    assert found["eval_accuracy"] == pytest.approx(accuracy_score(gold, predicted))


def test_what_continues_nothing_is_an_entity_for_conlleval_and_none_strictly():
    found = entity_scores([(["B-x", "O", "O"], ["I-x", "O", "I-x"])])
    assert (found["eval_precision"], found["eval_recall"]) == (0.5, 1.0)
    assert (found["eval_strict_precision"], found["eval_strict_recall"]) == (0.0, 0.0)
    assert list(strict_spans(["I-x", "B-y", "I-x"])) == [(1, 2, "y")]


def test_nothing_to_find_and_nothing_found_is_zero_not_an_error():
    found = entity_scores([(["O"], ["O"])])
    assert found["eval_f1"] == found["eval_f1_macro"] == found["eval_strict_f1"] == 0.0
    assert found["eval_accuracy"] == 1.0
    assert word_scores([]) == {"eval_accuracy": 0.0}


def test_a_type_without_a_name_has_seqevals():
    assert entity_scores([(["B", "I"], ["B", "I"])])["eval_f1[_]"] == 1.0


def test_sentences_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="zip"):
        word_scores([(["O", "O"], ["O"])])


def test_words_are_of_the_type_of_their_entity():
    names, gold, predicted = types_of_words([(["B-x", "I-x", "O"], ["I-x", "B-y", "B"])], "iob2")
    assert names == ["O", "_", "x", "y"]
    assert (gold.tolist(), predicted.tolist()) == ([2, 2, 0], [2, 3, 1])
    names, gold, _ = types_of_words([(["NN", "B-x"], ["NN", "NN"])], "none")
    assert (names, gold.tolist()) == (["B-x", "NN"], [1, 0])
