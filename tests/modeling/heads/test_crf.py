"""The CRF: equal to all paths added up one by one, to finite differences, and to another decoder."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text

from common.errors import ConfigError
from modeling.heads.crf import (
    Transitions,
    best_paths,
    constrained,
    log_likelihood,
    log_partition,
    path_score,
    path_sums,
    transition_variables,
)

v1 = tf.compat.v1

# O, B-a, I-a, B-b, I-b of IOB2; the last row is the start, the last column the end.
IOB2 = [[True] * 6 for _ in range(6)]
for inside, begin in ((2, 1), (4, 3)):
    for before in range(6):
        IOB2[before][inside] = before in (begin, inside)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def evaluate(*tensors):
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        return session.run(list(tensors))


def random_case(seed, lengths, tags=5, scale=2.0):
    rng = np.random.default_rng(seed)
    words = max(*lengths, 1)

    def normal(*shape):
        return rng.normal(0, scale, shape).astype(np.float32)

    transitions = Transitions(normal(tags, tags), normal(tags), normal(tags))
    path = rng.integers(0, tags, (len(lengths), words)).astype(np.int32)
    return normal(len(lengths), words, tags), path, np.array(lengths, np.int32), transitions


def as_tensors(case):
    scores, path, lengths, transitions = case
    return tf.constant(scores), tf.constant(path), tf.constant(lengths), Transitions(*map(tf.constant, transitions))


def score_of(path, scores, transitions):
    total = transitions.start[path[0]] + transitions.end[path[-1]]
    total += sum(scores[word, tag] for word, tag in enumerate(path))
    return total + sum(transitions.between[pair] for pair in itertools.pairwise(path))


def every_path(scores, transitions, is_allowed=lambda path: True):
    paths = itertools.product(range(scores.shape[1]), repeat=scores.shape[0])
    return {path: np.float64(score_of(path, scores, transitions)) for path in paths if is_allowed(path)}


def obeys(path):
    return IOB2[5][path[0]] and IOB2[path[-1]][5] and all(IOB2[left][right] for left, right in itertools.pairwise(path))


@pytest.mark.parametrize("seed", [1, 2])
def test_likelihood_and_best_path_equal_the_sum_and_the_best_over_all_paths(seed):
    scores, path, lengths, transitions = case = random_case(seed, [5, 1, 3, 2, 4])
    s, p, n, t = as_tensors(case)
    found = evaluate(log_partition(s, n, t), path_score(s, p, n, t), log_likelihood(s, p, n, t), *best_paths(s, n, t))
    for row, length in enumerate(lengths):
        paths = every_path(scores[row, :length], transitions)
        total = np.logaddexp.reduce(list(paths.values()))
        gold = paths[tuple(path[row, :length])]
        best = max(paths, key=paths.get)
        np.testing.assert_allclose([found[0][row], found[1][row]], [total, gold], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found[2][row], gold - total, rtol=1e-5, atol=1e-5)
        assert tuple(found[3][row, :length]) == best
        assert not found[3][row, length:].any()
        np.testing.assert_allclose(found[4][row], paths[best], rtol=1e-5)


def test_constrained_decoding_finds_the_best_path_that_the_scheme_allows():
    scores, _, lengths, transitions = case = random_case(3, [4] * 6 + [1, 2])
    s, _, n, t = as_tensors(case)
    free, _, tags, _ = evaluate(*best_paths(s, n, t), *best_paths(s, n, constrained(t, IOB2)))
    for row, length in enumerate(lengths):
        paths = every_path(scores[row, :length], transitions, obeys)
        assert tuple(tags[row, :length]) == max(paths, key=paths.get)
    assert not all(obeys(free[row, :length]) for row, length in enumerate(lengths))


def test_another_decoder_finds_the_same_paths_in_long_sentences():
    case = random_case(4, [60, 1, 37, 12, 59], scale=1.0)
    s, _, n, t = as_tensors(case)
    weights = np.zeros((6, 6), np.float32)
    weights[:5, :5], weights[5, :5], weights[:5, 5] = case[3]
    reference = tf_text.viterbi_constrained_sequence(
        s,
        n,
        allowed_transitions=tf.constant(IOB2),
        transition_weights=tf.constant(weights),
        use_log_space=True,
        use_start_and_end_states=True,
    )
    tags, expected = evaluate(best_paths(s, n, constrained(t, IOB2))[0], reference.to_tensor(0, shape=[5, 60]))
    np.testing.assert_array_equal(tags, expected)


def test_gradients_equal_finite_differences():
    case = random_case(5, [3, 1, 2], tags=3, scale=1.0)
    scores, path, lengths, transitions = case
    parts = [scores, *transitions]
    inputs = [v1.placeholder(tf.float32, part.shape) for part in parts]
    total = tf.reduce_sum(log_likelihood(inputs[0], tf.constant(path), tf.constant(lengths), Transitions(*inputs[1:])))
    gradients = tf.gradients(total, inputs)
    step = 1e-2
    with v1.Session() as session:
        found = session.run(gradients, dict(zip(inputs, parts, strict=True)))
        for place, (part, gradient) in enumerate(zip(parts, found, strict=True)):
            for index in np.ndindex(part.shape):
                moved = [[np.array(value) for value in parts] for _ in range(2)]
                moved[0][place][index] += step
                moved[1][place][index] -= step
                high, low = (session.run(total, dict(zip(inputs, values, strict=True))) for values in moved)
                np.testing.assert_allclose(gradient[index], (high - low) / (2 * step), atol=2e-3)
    assert not found[0][1, 1:].any()  # nothing flows into padding
    assert np.abs(found[1]).max() > 0.01


def test_padding_changes_nothing_and_is_never_read():
    scores, path, lengths, transitions = random_case(6, [3, 2])
    wide = np.full((2, 7, 5), 1e4, np.float32)
    wide[:, :3] = scores
    s, p, n, t = as_tensors((scores, path, lengths, transitions))
    w, wide_path = tf.constant(wide), tf.constant(np.pad(path, ((0, 0), (0, 4)), constant_values=4))
    short = evaluate(log_likelihood(s, p, n, t), *best_paths(s, n, t))
    long = evaluate(log_likelihood(w, wide_path, n, t), *best_paths(w, n, t))
    np.testing.assert_allclose(long[0], short[0], rtol=1e-6)
    np.testing.assert_array_equal(long[1][:, :3], short[1])
    assert not long[1][:, 3:].any()


def test_a_sentence_without_words_costs_nothing():
    case = random_case(7, [0, 2])
    s, p, n, t = as_tensors(case)
    likelihood = log_likelihood(s, p, n, t)
    found = evaluate(likelihood, tf.gradients(likelihood, s)[0], *best_paths(s, n, t))
    assert found[0][0] == 0
    assert found[0][1] < 0
    assert not found[1][0].any()
    assert not found[2][0].any()
    assert found[3][0] == 0


def test_half_precision_scores_are_added_up_in_float32():
    s, p, n, t = as_tensors(random_case(8, [60], scale=1.0))
    rounded = tf.cast(s, tf.bfloat16)
    found = evaluate(log_likelihood(rounded, p, n, t), log_likelihood(tf.cast(rounded, tf.float32), p, n, t))
    assert found[0].dtype == np.float32
    np.testing.assert_array_equal(found[0], found[1])


def test_lengths_and_widths_may_be_known_at_run_time_only():
    scores, path, lengths, _ = case = random_case(9, [4, 2])
    s, p, n, t = as_tensors(case)
    expected = evaluate(log_likelihood(s, p, n, t), best_paths(s, n, t)[0])
    loose = [v1.placeholder(tf.float32, [None, None, 5]), v1.placeholder(tf.int32, [None, None])]
    count = v1.placeholder(tf.int32, [None])
    wanted = [log_likelihood(*loose, count, t), best_paths(loose[0], count, t)[0]]
    with v1.Session() as session:
        found = session.run(wanted, {loose[0]: scores, loose[1]: path, count: lengths})
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    np.testing.assert_array_equal(found[1], expected[1])
    with v1.Session() as session:
        single = session.run(wanted, {loose[0]: scores[:, :1], loose[1]: path[:, :1], count: [1, 1]})
    assert single[1].shape == (2, 1)


def test_the_variables_have_stable_names_and_begin_without_a_preference():
    with v1.variable_scope("cls"):
        transitions = transition_variables(5)
    assert [variable.name for variable in transitions] == ["cls/crf/transitions:0", "cls/crf/start:0", "cls/crf/end:0"]
    between, start, end = evaluate(*transitions)
    assert between.shape == (5, 5)
    assert 0 < np.abs(between).max() < 2
    assert not start.any()
    assert not end.any()


def test_a_table_of_other_tags_is_refused():
    _, _, _, transitions = as_tensors(random_case(10, [2]))
    with pytest.raises(ConfigError, match=r"table of allowed transitions is \(2, 2\), expected \(6, 6\)"):
        constrained(transitions, [[True, True], [True, True]])


def test_sums_give_the_probability_of_every_tag():
    scores, _, lengths, transitions = case = random_case(7, [4, 1, 3], tags=3)
    with_tensors = as_tensors(case)
    before, after, total = evaluate(*path_sums(with_tensors[0], with_tensors[2], with_tensors[3]))
    for row, length in enumerate(lengths):
        paths = every_path(scores[row, :length], transitions)
        weights = {path: np.exp(value) for path, value in paths.items()}
        whole = sum(weights.values())
        np.testing.assert_allclose(total[row], np.log(whole), rtol=1e-5)
        for word, tag in itertools.product(range(length), range(3)):
            expected = sum(weight for path, weight in weights.items() if path[word] == tag) / whole
            found = np.exp(before[row, word, tag] + after[row, word, tag] - total[row])
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
