"""Beam search, blocking and draws: on a decoder whose every text can be counted, and on random models."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.decoder import beam
from modeling.decoder.base import Decoder, State
from modeling.decoder.choices import Rules, drawn
from modeling.decoder.layers import KeysValues
from modeling.decoder.search import write
from modeling.decoder.settings import DECODERS, PREFIX, DecodingSettings, TokenIds
from modeling.heads.sequence import IDS, LOG_PROBABILITIES
from tests.modeling.decoder.test_decoders import CONFIG, LONGEST, TOKENS, Model, sources_of

v1 = tf.compat.v1
ANY = [[5, 3]]
SMALL = TokenIds(begin=0, end=3, pad=0, never=(0,))
LETTERS = (1, 2, 4, 5)
SIZE = 6


class Chain(Decoder):
    """Scores depend on the source, the last token, and the first token, which only the cache has.

    Args:
      tables: float32 `[B, 2, V, V]`, by last and by first token.
    """

    def __init__(self, tables):
        self.tables, self.tokens, self.config = tf.constant(tables, tf.float32), SMALL, BertConfig(SIZE)
        self.lengths = tf.ones([len(tables)], tf.int32)

    def _read(self):
        return []

    def taught(self, target_ids):
        raise NotImplementedError

    def begin(self, copies=1):
        self.sources = tf.repeat(tf.range(tf.size(self.lengths)), copies)
        nothing = tf.zeros([tf.size(self.sources), 1, 0, 1])
        rows = tf.gather(self.tables, self.sources)[:, 0, 0]
        return rows, State(tf.zeros([], tf.int32), (KeysValues(nothing, nothing),))

    def advance(self, ids, state):
        new = tf.cast(ids, tf.float32)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        known = state.written[0].followed_by(KeysValues(new, new))
        first = tf.cast(known.keys[:, 0, 0, 0], tf.int32)
        of_rows = tf.gather(self.tables, self.sources)
        rows = tf.gather(of_rows[:, 0], ids, batch_dims=1) + tf.gather(of_rows[:, 1], first, batch_dims=1)
        return rows, State(state.length + 1, (known,))


def log_probabilities(table, text):
    scores = table[0, text[-1]] + table[1, text[0]] if text else table[0, 0]
    scores = np.where(np.arange(SIZE) == 0, -1e9, scores)
    return scores - np.log(np.exp(scores - scores.max()).sum()) - scores.max()


def total(table, text):
    return sum(log_probabilities(table, text[:place])[token] for place, token in enumerate(text))


def beams_by_hand(table, settings):
    """The search in plain Python: texts put aside with their log probabilities, best first."""
    rank = lambda pair: pair[1] / len(pair[0]) ** settings.length_penalty  # noqa: E731
    alive, ended, width = [((), 0.0)], [], settings.beam_size
    for _ in range(settings.max_length):
        grown = [((*text, token), value + log_probabilities(table, text)[token]) for text, value in alive
                 for token in range(1, SIZE)]  # fmt: skip
        grown.sort(key=lambda pair: -pair[1])
        ended += [pair for pair in grown[:width] if pair[0][-1] == SMALL.end]
        alive = [pair for pair in grown if pair[0][-1] != SMALL.end][:width]
        ended = sorted(ended, key=rank, reverse=True)[:width]
        if len(ended) == width:
            return ended
    return sorted(ended + alive, key=rank, reverse=True)[:width]


def searched(tables, settings, how=write):
    with tf.Graph().as_default(), v1.Session() as session:
        decoder = Chain(tables)
        arguments = (Rules(SMALL, settings, SIZE), settings) if how is beam.search else (settings, {})
        found = session.run(how(decoder, lambda rows: rows, *arguments))
    texts = [[tuple(token for token in text if token) for text in row] for row in found.ids.tolist()]
    return texts, found.log_probabilities


@pytest.fixture(scope="module")
def tables():
    return np.random.default_rng(2).normal(size=[5, 2, SIZE, SIZE]) * 1.5


@pytest.mark.parametrize(("width", "penalty"), [(2, 1.0), (3, 0.0), (4, 0.6), (3, -1.0)])
def test_the_search_is_that_of_plain_python(tables, width, penalty):
    settings = DecodingSettings(max_length=6, beam_size=width, num_best=2, length_penalty=penalty)
    texts, values = searched(tables, settings)
    for row, table in enumerate(tables):
        expected = beams_by_hand(table, settings)[:2]
        assert texts[row] == [text for text, _ in expected]
        np.testing.assert_allclose(values[row], [value for _, value in expected], atol=1e-4)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_where_nothing_is_left_out_the_best_of_all_texts_is_found(tables, penalty):
    settings = DecodingSettings(max_length=3, beam_size=90, num_best=5, length_penalty=penalty)
    bodies = [body for size in range(3) for body in itertools.product(LETTERS, repeat=size)]
    every = [(*body, SMALL.end) for body in bodies] + list(itertools.product(LETTERS, repeat=3))
    texts, values = searched(tables, settings)
    for row, table in enumerate(tables):
        best = sorted(every, key=lambda text: total(table, text) / len(text) ** penalty, reverse=True)[:5]
        assert texts[row] == best
        np.testing.assert_allclose(values[row], [total(table, text) for text in best], atol=1e-4)


@pytest.mark.parametrize(
    ("width", "size"),
    [(1, 1), (3, 2), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, 2), (1, 3), (3, 1), (3, 3)))],
)
def test_no_tokens_in_a_row_come_twice(tables, width, size):
    free = DecodingSettings(max_length=12, beam_size=width, length_penalty=-1.0)
    blocked = DecodingSettings(max_length=12, beam_size=width, no_repeat_ngram=size, length_penalty=-1.0)
    tables = tables - 9.0 * (np.arange(SIZE) == SMALL.end)  # long texts
    repeats = lambda text: len(rows := list(zip(*(text[i:] for i in range(size)), strict=False))) > len(set(rows))  # noqa: E731
    assert any(repeats(row[0]) for row in searched(tables, free)[0])
    texts, values = searched(tables, blocked)
    assert not any(repeats(row[0]) for row in texts)
    assert max(len(row[0]) for row in texts) > size
    assert values.min() > -1e6


def drawn_texts(tables, ids, **settings):
    """Texts drawn for sources of ids, filled up with zeros."""
    with tf.Graph().as_default(), v1.Session() as session:
        features = {"input_ids": tf.constant(ids), "input_mask": tf.constant(np.sign(ids).tolist())}
        decoding = DecodingSettings(max_length=LONGEST, **settings)
        return session.run(write(Chain(tables), lambda rows: rows, decoding, features))


def test_draws_are_those_of_the_seed_whatever_the_batch(tables):
    ids = [[2, 5, 6, 7, 3], [2, 8, 3, 0, 0], [2, 6, 5, 7, 3], [2, 9, 8, 3, 0], [2, 7, 7, 3, 0]]
    found = drawn_texts(tables, ids, top_p=0.9, temperature=2.0, num_best=4, seed=5)
    alone = drawn_texts(tables[1:2], [[2, 8, 3]], top_p=0.9, temperature=2.0, num_best=4, seed=5).ids[0]
    np.testing.assert_array_equal(alone, found.ids[1][:, : alone.shape[1]])
    assert not found.ids[1][:, alone.shape[1] :].any()
    assert sum(len({tuple(text) for text in row.tolist()}) > 1 for row in found.ids) > 3
    assert (np.diff(found.log_probabilities, axis=1) <= 0).all()
    # Equal chances do not mean equal draws: the order of a source's tokens counts.
    same = drawn_texts(tables[[0, 0]], [ids[0], ids[2]], top_p=1.0, seed=5).ids
    assert not np.array_equal(same[0], same[1])
    other = drawn_texts(tables, ids, top_p=0.9, temperature=2.0, num_best=4, seed=1 << 40).ids
    assert other.shape != found.ids.shape or not np.array_equal(other, found.ids)
    sure = drawn_texts(tables, ids, top_p=1e-6).ids
    assert [[tuple(filter(None, row[0]))] for row in sure.tolist()] == searched(
        tables, DecodingSettings(max_length=LONGEST)
    )[0]


def test_a_draw_is_of_the_nucleus_in_proportion():
    probabilities = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
    numbers = (np.arange(1000) + 0.5) / 1000
    with tf.Graph().as_default(), v1.Session() as session:
        logs = tf.constant(np.tile(np.log(probabilities), [1000, 1]), tf.float32)
        chosen = drawn(logs, tf.constant(numbers, tf.float32), DecodingSettings(top_p=0.75))
        sharp = drawn(logs, tf.constant(numbers, tf.float32), DecodingSettings(top_p=1.0, temperature=0.5))
        counts, sharper = (np.bincount(one, minlength=5) for one in session.run((chosen, sharp)))
    # 0.4 and 0.3 do not reach 0.75, so the next one belongs to it, too.
    np.testing.assert_allclose(counts / 1000, [0, 0.4 / 0.85, 0, 0.3 / 0.85, 0.15 / 0.85], atol=2e-3)
    np.testing.assert_allclose(sharper / 1000, probabilities**2 / (probabilities**2).sum(), atol=2e-3)


def check_beam_of_one(model, count):
    settings = DecodingSettings(max_length=LONGEST)
    with model.graph.as_default(), v1.variable_scope("", reuse=True):
        decoder = model.head.decoder_over(model.encoder, model.features)
        scores = lambda rows: model.head.scores(model.encoder.get_embedding_table(), rows)  # noqa: E731
        found = beam.search(decoder, scores, Rules(TOKENS, settings, CONFIG.vocab_size), settings)
    model.outputs |= {"beam_ids": found.ids, "beam_logs": found.log_probabilities}
    found = model.run([IDS, LOG_PROBABILITIES, "beam_ids", "beam_logs"], sources_of(count), ANY * count)
    np.testing.assert_array_equal(found["beam_ids"], found[IDS])
    np.testing.assert_allclose(found["beam_logs"], found[LOG_PROBABILITIES], atol=1e-4)


@pytest.mark.parametrize("decoder", [PREFIX, pytest.param(DECODERS[1], marks=pytest.mark.slow)])
def test_a_beam_of_one_is_greedy(decoder):
    check_beam_of_one(Model(decoder), 24)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", DECODERS)
def test_a_beam_of_one_is_greedy_on_a_thousand_inputs(decoder):
    check_beam_of_one(Model(decoder), 1000)


def test_a_beam_of_one_is_greedy_on_a_chain(tables):
    settings = DecodingSettings(max_length=9)
    assert searched(tables, settings)[0] == searched(tables, settings, beam.search)[0]
