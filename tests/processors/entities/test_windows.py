"""Windows of long sentences: every word is in one, fits, and is answered once, where it sees most around it."""

import random

import pytest

from common.errors import DataError
from processors.entities.tagged_file import read_tagged
from processors.entities.windows import Window, cut_windows, join_windows, pieces_of_words, window_pieces
from tokenization import BulkTokenizer


def test_every_word_has_one_owner_that_holds_it_and_every_window_fits():
    rng = random.Random(1)
    for _ in range(300):
        capacity = rng.randint(1, 12)
        overlap = rng.randrange(capacity)
        lengths = [rng.choice((1, 1, 2, 3, 20)) for _ in range(rng.randint(0, 40))]
        cut = cut_windows(lengths, capacity, overlap)
        assert len(cut.owners) == len(lengths)
        pieces = [[f"{word}.{piece}" for piece in range(length)] for word, length in enumerate(lengths)]
        for window in cut.windows:
            tokens, starts = window_pieces(pieces, window, capacity)
            assert 0 < len(tokens) <= capacity
            assert [tokens[start] for start in starts] == [f"{word}.0" for word in range(*window)]
        ends = [window.end for window in cut.windows]
        assert ends == sorted(set(ends))
        values = [list(range(*window)) for window in cut.windows]
        assert join_windows(cut, values) == list(range(len(lengths)))


def test_a_sentence_that_fits_is_one_window():
    assert cut_windows([1, 2, 1], 4, 2) == ([Window(0, 3)], [0, 0, 0])
    assert cut_windows([], 4, 2) == ([], [])


def test_a_word_is_answered_where_its_context_is_widest():
    cut = cut_windows([1] * 12, 8, 4)
    assert cut.windows == [Window(0, 8), Window(4, 12)]
    # Word 5 has 2 pieces to its right in the first window and 1 to its left in the second; word 6 has 1 and 2.
    assert cut.owners == [0] * 6 + [1] * 6


def test_equal_contexts_go_to_the_larger_window_then_to_the_first():
    assert cut_windows([1] * 7, 5, 3) == ([Window(0, 5), Window(2, 7)], [0] * 4 + [1] * 3)
    assert cut_windows([1, 1, 1, 3], 4, 2) == ([Window(0, 3), Window(2, 4)], [0, 0, 1, 1])


def test_a_word_longer_than_a_window_is_answered_by_its_first_pieces():
    cut = cut_windows([1, 9, 1], 4, 2)
    assert cut.windows == [Window(0, 1), Window(1, 2), Window(2, 3)]
    assert window_pieces([["a"], list("bcdefghij"), ["k"]], cut.windows[1], 4) == (list("bcde"), [0])


def test_no_overlap_means_no_shared_word():
    assert cut_windows([2, 2, 2, 2], 4, 0).windows == [Window(0, 2), Window(2, 4)]


@pytest.mark.parametrize(("capacity", "overlap"), [(0, 0), (4, 4), (4, 5), (4, -1)])
def test_impossible_windows_are_errors(capacity, overlap):
    with pytest.raises(DataError, match=rf"windows hold {capacity} pieces and share {overlap}, expected room for one"):
        cut_windows([1], capacity, overlap)


def test_a_window_with_another_number_of_answers_is_refused():
    cut = cut_windows([1] * 6, 4, 2)
    with pytest.raises(ValueError, match="found 3 values for words 0 to 4, expected one each"):
        join_windows(cut, [[0] * 3, [0] * 4])


def test_a_word_of_dropped_characters_is_unknown(tiny_model):
    tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
    unknown = tokenizer.special_ids.unk
    found = pieces_of_words(["film", "\u200b", "film", "?"], tokenizer)
    assert found == {"film": [tokenizer.vocab["film"]], "\u200b": [unknown], "?": [unknown]}


@pytest.mark.parametrize("max_seq_length", [8, 32, 128])
def test_every_word_of_a_published_set_is_answered_at_any_length(shared, vocab_dir, max_seq_length):
    tokenizer = BulkTokenizer(vocab_dir / "bert-base-uncased" / "vocab.txt")
    capacity, answered = max_seq_length - 2, 0
    for sentence in read_tagged(shared / "data" / "wnut17" / "emerging.test.annotated", "iob2"):
        by_word = pieces_of_words(sentence.words, tokenizer)
        pieces = [by_word[word] for word in sentence.words]
        cut = cut_windows([len(word) for word in pieces], capacity, capacity // 2)
        firsts = []
        for window in cut.windows:
            tokens, starts = window_pieces(pieces, window, capacity)
            assert len(tokens) <= capacity
            firsts.append([tokens[start] for start in starts])
        assert join_windows(cut, firsts) == [word[0] for word in pieces]
        answered += len(cut.owners)
    assert answered == 23394
