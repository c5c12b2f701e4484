"""Records of sentences: every word begins somewhere in its window, and has its tag there."""

import pytest

from common.errors import DataError, FlagError
from processors.entities.featurizer import CUT, SentenceFeaturizer, labels_of_types
from processors.entities.sentence import Sentence
from processors.records.input_fn import parse_batch
from tokenization import BulkTokenizer

LABELS = labels_of_types(["good"])


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return BulkTokenizer(tiny_model / "vocab.txt")


def windows_of(tokenizer, words, tags=None, length=8, **settings):
    featurizer = SentenceFeaturizer(tokenizer, length, LABELS, **settings)
    (windows,) = featurizer.featurize([Sentence(1, words, tags)])
    return featurizer, windows


def test_a_word_begins_where_its_first_token_is(tokenizer):
    words, tags = ["the", "goodsly", "film", "\u200b"], ["O", "B-good", "I-good", "O"]
    _, (window,) = windows_of(tokenizer, words, tags, length=16)
    tokens = tokenizer.convert_ids_to_tokens(window["input_ids"])
    assert tokens == ["[CLS]", "the", "good", "##s", "##ly", "film", "[UNK]", "[SEP]"]
    assert window["word_starts"] == [1, 2, 5, 6]
    assert window["label_ids"] == [0, 1, 2, 0]
    assert window["input_mask"] == [1] * 8


def test_tokens_that_continue_a_word_are_inside_of_its_entity(tokenizer):
    words, tags = ["the", "goodsly", "filmly"], ["O", "B-good", "I-good"]
    _, (window,) = windows_of(tokenizer, words, tags, length=16, label_all_tokens=True)
    assert window["token_label_ids"] == [-1, 0, 1, 2, 2, 2, 2, -1]


@pytest.mark.parametrize("length", [3, 5, 8])
def test_every_word_of_a_long_sentence_is_in_a_window_with_its_tag(tokenizer, length):
    words = ["the", "goodslylylyly", "film", "\u200b", "was", "very", "good", "."] * 3
    tags = ["O", "B-good", "I-good", "O", "O", "O", "B-good", "O"] * 3
    featurizer, windows = windows_of(tokenizer, words, tags, length)
    cut = windows[0][CUT]
    assert len(windows) == len(cut.windows) > 1
    for features, (start, end) in zip(windows, cut.windows, strict=True):
        assert len(features["input_ids"]) <= length
        assert [LABELS[label] for label in features["label_ids"]] == tags[start:end]
        assert len(features["word_starts"]) == end - start
        for place, word in zip(features["word_starts"], words[start:end], strict=True):
            expected = (tokenizer.encode([word])[0] or [tokenizer.special_ids.unk])[0]
            assert features["input_ids"][place] == expected
    assert len(cut.owners) == len(words)
    assert featurizer.spec.serialize(windows[0])


def test_tags_that_are_not_among_the_labels_leave_the_record_without(tokenizer):
    for tags in (None, ["B-other"]):
        _, (window,) = windows_of(tokenizer, ["film"], tags)
        assert "label_ids" not in window


def test_records_come_back_padded_each_field_to_its_own_length(tokenizer):
    featurizer = SentenceFeaturizer(tokenizer, 8, LABELS, label_all_tokens=True)
    sentences = [Sentence(1, ["film"], ["O"]), Sentence(2, ["goodsly", "film"], ["B-good", "O"])]
    records = featurizer.serialize(sentences)
    batch = parse_batch([*records, featurizer.spec.padding()], featurizer.spec)
    assert batch["word_starts"].numpy().tolist() == [[1, 0], [1, 4], [0, 0]]
    assert batch["label_ids"].numpy().tolist() == [[0, 0], [1, 0], [0, 0]]
    assert batch["token_label_ids"].numpy()[0].tolist() == [-1, 0, -1, -1, -1, -1]
    static = parse_batch(records, featurizer.spec, static_shapes=True)
    assert {name: static[name].shape[1] for name in ("input_ids", "word_starts")} == {"input_ids": 8, "word_starts": 6}
    assert set(featurizer.spec.token_fields()) == {"input_ids", "input_mask", "segment_ids", "token_label_ids"}


def test_records_hold_no_more_words_than_they_may(tokenizer):
    featurizer = SentenceFeaturizer(tokenizer, 8, LABELS, max_words=3)
    words = ["film", "was", "goodsly"]  # of 5 tokens
    records = featurizer.serialize([Sentence(1, words, ["O"] * 3)])
    static = parse_batch(records, featurizer.spec, static_shapes=True)
    assert {name: static[name].shape[1] for name in ("input_ids", "word_starts")} == {"input_ids": 8, "word_starts": 3}
    long = Sentence(7, ["the", *words, "good"], None)
    assert [len(window["word_starts"]) for window in next(featurizer.featurize([long]))] == [4, 1]  # as an export reads
    for file, where in (("a.conll", "a.conll:7"), ("", "sentence 7")):
        with pytest.raises(
            DataError, match=f"^{where}: a window of the .* has 4 words, expected at most --max_words=3"
        ):
            featurizer.serialize([long._replace(file=file)])


@pytest.mark.parametrize(
    ("length", "overlap", "message"),
    [
        (2, None, "--max_seq_length=2 leaves no room for a word beside the special tokens; expected at least 3"),
        (8, 6, "--window_overlap=6: windows of --max_seq_length=8 hold 6 tokens of text; expected 0 to 5"),
    ],
)
def test_impossible_lengths_are_refused(tokenizer, length, overlap, message):
    with pytest.raises(FlagError) as refused:
        SentenceFeaturizer(tokenizer, length, LABELS, overlap)
    assert str(refused.value) == message
