"""Masking: how much, in what units, and what stands there instead."""

import random
from collections import Counter

import pytest

from processors.pretraining.masking import Alphabet, MaskingSettings, create_masked_lm_predictions, mask_pieces
from tokenization import WORDPIECE_TOKENS, BulkTokenizer

WORDS = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "dog", "cat", "##s"]
IDS = {word: index for index, word in enumerate(WORDS)}
TOKENIZER = BulkTokenizer.of_tokens(WORDS, True, WORDPIECE_TOKENS)
TOKENS = ["[CLS]", "dog", "##s", "un", "##aff", "##able", "[SEP]", "cat", "##s", "dog", "[SEP]"]


@pytest.mark.parametrize(("share", "limit", "expected"), [(0.15, 20, 2), (0.5, 20, 6), (0.5, 3, 3), (0.0, 20, 1)])
def test_number_of_guesses(share, limit, expected):
    _, positions, labels = create_masked_lm_predictions(TOKENS, share, limit, WORDS, random.Random(1))
    assert len(positions) == len(labels) == expected


def test_labels_are_what_stood_there_and_the_rest_is_untouched():
    for seed in range(20):
        seen, positions, labels = create_masked_lm_predictions(TOKENS, 0.3, 20, WORDS, random.Random(seed))
        assert positions == sorted(set(positions))
        assert labels == [TOKENS[position] for position in positions]
        others = set(range(len(TOKENS))) - set(positions)
        assert all(seen[position] == TOKENS[position] for position in others)
        assert not {"[CLS]", "[SEP]"} & set(labels)


def test_four_fifths_are_hidden_and_half_of_the_others_stay():
    tokens = ["[CLS]", *["dog"] * 2000, "[SEP]"]
    words = [f"w{index}" for index in range(1000)]
    seen, positions, _ = create_masked_lm_predictions(tokens, 1.0, 5000, words, random.Random(3))
    kinds = Counter("random" if seen[p].startswith("w") else seen[p] for p in positions)
    assert len(positions) == 2000
    assert kinds["[MASK]"] == pytest.approx(1600, abs=60)
    assert kinds["dog"] == pytest.approx(200, abs=45)
    assert kinds["random"] == pytest.approx(200, abs=45)


def test_whole_words_are_masked_together_or_not_at_all():
    words = [{1, 2}, {3, 4, 5}, {7, 8}, {9}]
    sizes = set()
    for seed in range(40):
        _, positions, _ = create_masked_lm_predictions(TOKENS, 0.2, 20, WORDS, random.Random(seed), True)
        chosen = [word for word in words if word <= set(positions)]
        assert sum(map(len, chosen)) == len(positions) <= 2
        sizes.add(len(positions))
    assert sizes == {1, 2}


def test_ids_and_text_give_the_same():
    settings = MaskingSettings(0.4, 20, True)
    for seed in range(20):
        ids = mask_pieces([IDS[t] for t in TOKENS], Alphabet.of_ids(TOKENIZER), settings, random.Random(seed))
        seen, positions, labels = create_masked_lm_predictions(TOKENS, 0.4, 20, WORDS, random.Random(seed), True)
        assert ids == ([IDS[t] for t in seen], positions, [IDS[t] for t in labels])


def test_raised_ids_continue_a_word_and_come_out_plain():
    size = len(WORDS)
    pieces = [IDS["[CLS]"], IDS["dog"], IDS["cat"] + size, IDS["cat"], IDS["[SEP]"]]
    for seed in range(20):
        seen, positions, labels = mask_pieces(
            pieces, Alphabet.of_ids(TOKENIZER), MaskingSettings(0.5, 2, True), random.Random(seed)
        )
        assert (1 in positions) == (2 in positions)
        assert max(seen) < size
        assert labels == [{1: IDS["dog"], 2: IDS["cat"], 3: IDS["cat"]}[p] for p in positions]
