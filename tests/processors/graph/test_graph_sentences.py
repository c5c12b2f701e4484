"""Words and windows in the graph: those of the host, for any text and length."""

import random

import numpy as np
import pytest
import tensorflow as tf

from processors.entities.featurizer import CUT, SentenceFeaturizer
from processors.entities.sentence import kind_of, sentence_of_text, split_words
from processors.graph import sentences
from processors.graph.code_points import BLOCK_SIZE
from processors.graph.parity_texts import PARITY_TEXTS
from tokenization import BulkTokenizer

WORDS = ["film", "goodsly", "filmlylylylylylyly", ".", "\u200b", "zz", "very", "a-b", "中文", "é\u0301"]


@pytest.mark.parametrize("by_character", [False, True])
def test_words_are_those_of_the_host(by_character):
    texts = [*PARITY_TEXTS, "", "  ", "\x1c a\x85b \x00", "x"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = session.run(sentences.split_words(tf.constant(texts), by_character))
    offsets = list(zip(found.starts.tolist(), found.ends.tolist(), strict=True))
    splits = found.words.row_splits.tolist()
    for row, text in enumerate(texts):
        expected = list(split_words(text, by_character))
        assert offsets[splits[row] : splits[row + 1]] == expected, text
        words = [word.decode() for word in found.words.values[splits[row] : splits[row + 1]]]
        assert words == [text[start:end] for start, end in expected]


def test_every_character_does_to_words_what_it_does_on_the_host():
    for by_character in (False, True):
        kinds = sentences._kinds(by_character)
        found = kinds.values[kinds.block_of[:, None] * BLOCK_SIZE + np.arange(BLOCK_SIZE)].reshape(-1)
        codes = [*range(0x3000), *range(0x1F000, 0x110000, 7)]
        assert [found[code] for code in codes] == [kind_of(chr(code), by_character) for code in codes]


@pytest.mark.parametrize(
    ("length", "overlap"),
    [(8, 5), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((3, 0), (6, 1), (12, None), (24, 20)))],
)
def test_windows_are_those_of_the_host(tiny_model, length, overlap):
    tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
    rng = random.Random(length)
    texts = [" ".join(rng.choices(WORDS, k=rng.choice((1, 2, 9, 40)))) for _ in range(40)]
    texts.insert(7, "  ")  # no word, one window
    featurizer = SentenceFeaturizer(tokenizer, length, ["O"], overlap)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        words = sentences.split_words(tf.constant(texts), False)
        made = sentences.make_windows(tokenizer, words.words, length, featurizer.overlap)
        found, splits = session.run([made, words.words.row_splits])
    row = 0
    for index, text in enumerate(texts):
        if not text.strip():
            assert found.features["input_mask"][row].sum() == 2
            row += 1
            continue
        (windows,) = featurizer.featurize([sentence_of_text(0, text)])
        cut = windows[0][CUT]
        assert (found.owners[splits[index] : splits[index + 1]] - row).tolist() == cut.owners
        places = [word - cut.windows[owner].start for word, owner in enumerate(cut.owners)]
        assert found.places[splits[index] : splits[index + 1]].tolist() == places
        for window in windows:
            for name, values in found.features.items():
                assert values[row][: len(window[name])].tolist() == window[name], name
                assert not values[row][len(window[name]) :].any()
            row += 1
    assert row == len(found.features["input_ids"])


def test_texts_without_a_word_at_all(tiny_model):
    tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        words = sentences.split_words(tf.constant([" ", ""]), False)
        found = session.run(sentences.make_windows(tokenizer, words.words, 8, 2))
    assert found.features["word_starts"].tolist() == [[0], [0]]
    assert found.features["input_mask"].tolist() == [[1, 1], [1, 1]]
    assert found.owners.size == 0
