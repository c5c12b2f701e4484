"""Decoding on the host: the best path and its probabilities over all paths, one by one, and as the graph finds it."""

import itertools

import numpy as np
import pytest

from processors.entities.tags import allowed_transitions
from tasks.entities import decoding
from tasks.entities.decoding import Transitions, decode

LABELS = ["O", "B-x", "I-x"]


def random_table(seed, tags=3, constrained=False):
    table = np.random.default_rng(seed).normal(0, 2, (tags + 2, tags)).astype(np.float32)
    if constrained:
        allowed = np.array(allowed_transitions(LABELS, "iob2"))
        table[:tags][~allowed[:-1, :-1]] = -10000
        table[tags][~allowed[-1, :-1]] = -10000
    return table


def random_sentences(seed, lengths, tags=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 2, (length, tags)).astype(np.float32) for length in lengths]


def weights_of_paths(scores, table):
    between, start, end = table[:-2].astype(float), table[-2].astype(float), table[-1].astype(float)
    found = {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        score = start[path[0]] + end[path[-1]] + sum(float(scores[word, tag]) for word, tag in enumerate(path))
        found[path] = np.exp(score + sum(between[pair] for pair in itertools.pairwise(path)))
    return found


@pytest.mark.parametrize("constrained", [False, True])
def test_best_path_and_probabilities_equal_those_over_all_paths(constrained):
    table = random_table(1, constrained=constrained)
    sentences = random_sentences(2, [3, 1, 5, 4, 2])
    for scores, decoded in zip(sentences, decode(sentences, Transitions.of(table)), strict=True):
        weights = weights_of_paths(scores, table)
        total = sum(weights.values())
        best = max(weights, key=weights.__getitem__)
        assert tuple(decoded.tags) == best
        for word, probability in enumerate(decoded.probabilities):
            expected = sum(weight for path, weight in weights.items() if path[word] == best[word])
            assert probability == pytest.approx(expected / total, rel=1e-6)
        for start, end in itertools.combinations(range(len(scores) + 1), 2):
            expected = sum(weight for path, weight in weights.items() if path[start:end] == best[start:end])
            assert decoded.probability(start, end) == pytest.approx(expected / total, rel=1e-6)


def test_without_transitions_every_word_is_tagged_on_its_own():
    (scores,) = random_sentences(3, [6])
    (decoded,) = decode([scores], None)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert decoded.tags.tolist() == scores.argmax(axis=1).tolist()
    np.testing.assert_allclose(decoded.probabilities, probabilities.max(axis=1), rtol=1e-5)
    assert decoded.probability(1, 4) == pytest.approx(float(probabilities.max(axis=1)[1:4].prod()), rel=1e-5)


def test_sentences_decoded_together_have_the_answers_they_have_alone(monkeypatch):
    table = Transitions.of(random_table(4))
    sentences = random_sentences(5, [2, 9, 1, 30, 4, 4])
    monkeypatch.setattr(decoding, "CELLS_AT_ONCE", 20)
    together = decode(sentences, table)
    for scores, decoded in zip(sentences, together, strict=True):
        (alone,) = decode([scores], table)
        assert decoded.tags.tolist() == alone.tags.tolist()
        np.testing.assert_allclose(decoded.probabilities, alone.probabilities, rtol=1e-9)


def test_the_graph_finds_the_same_paths():
    import tensorflow as tf

    from modeling.heads import crf

    table = random_table(6, constrained=True)
    sentences = random_sentences(7, [40, 3, 17, 1])
    dense = np.zeros((4, 40, 3), np.float32)
    for row, scores in enumerate(sentences):
        dense[row, : len(scores)] = scores
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        transitions = crf.Transitions(*map(tf.constant, (table[:-2], table[-2], table[-1])))
        paths = session.run(crf.best_paths(tf.constant(dense), tf.constant([40, 3, 17, 1]), transitions)[0])
    for path, decoded in zip(paths, decode(sentences, Transitions.of(table)), strict=True):
        assert path[: len(decoded.tags)].tolist() == decoded.tags.tolist()
        names = [LABELS[tag] for tag in decoded.tags]
        assert all(after != "I-x" or before != "O" for before, after in itertools.pairwise(["O", *names]))
