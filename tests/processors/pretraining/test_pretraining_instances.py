"""Documents to instances: upstream's exactly, pairs, packs, and the corner cases upstream gets wrong."""

import random

import pytest

from processors.pretraining.instances import (
    InstanceSettings,
    create_instances_from_document,
    create_training_instances,
    make_instances,
    truncate_seq_pair,
)
from processors.pretraining.masking import Alphabet, MaskingSettings
from tokenization import FullTokenizer

VOCAB = {word: index for index, word in enumerate(["[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"])}
WORDS = list(VOCAB)
NO_MASKS = MaskingSettings(0.0, 1)


def document(letter, lengths):
    """Sentences such as a0 a0 | a1 a1 a1, so that every piece says where it comes from."""
    return [[f"{letter}{number}"] * length for number, length in enumerate(lengths)]


def unmasked(instance):
    tokens = list(instance.tokens)
    for position, label in zip(instance.masked_lm_positions, instance.masked_lm_labels, strict=True):
        tokens[position] = label
    return tokens


def pair_of(instance):
    tokens = unmasked(instance)
    middle = tokens.index("[SEP]")
    assert tokens[0] == "[CLS]"
    assert tokens[-1] == "[SEP]"
    assert instance.segment_ids == [0] * (middle + 1) + [1] * (len(tokens) - middle - 1)
    return tokens[1:middle], tokens[middle + 1 : -1]


@pytest.mark.parametrize(("name", "whole_words"), [("pretrain", False), ("pretrain_wwm", True)])
def test_instances_of_text_are_upstreams(shared, golden, vocab_dir, name, whole_words):
    import tensorflow as tf

    tokenizer = FullTokenizer(str(vocab_dir / "bert-base-uncased" / "vocab.txt"))
    corpus = shared / "data" / "sample-text" / "sample_text.txt"
    instances = create_training_instances(
        [corpus], tokenizer, 64, 2, 0.1, 0.15, 10, random.Random(20261120), do_whole_word_mask=whole_words
    )
    records = [
        tf.train.Example.FromString(record.numpy()).features.feature
        for record in tf.data.TFRecordDataset(str(golden / f"{name}.tf_record"))
    ]
    assert len(instances) == len(records) > 30
    for instance, record in zip(instances, records, strict=True):
        length, guesses = sum(record["input_mask"].int64_list.value), len(instance.masked_lm_labels)
        assert tokenizer.convert_tokens_to_ids(instance.tokens) == record["input_ids"].int64_list.value[:length]
        assert instance.segment_ids == record["segment_ids"].int64_list.value[:length]
        assert instance.masked_lm_positions == record["masked_lm_positions"].int64_list.value[:guesses]
        labels = tokenizer.convert_tokens_to_ids(instance.masked_lm_labels)
        assert labels == record["masked_lm_ids"].int64_list.value[:guesses]
        assert sum(record["masked_lm_weights"].float_list.value) == guesses
        assert [int(instance.is_random_next)] == record["next_sentence_labels"].int64_list.value


def test_a_pair_is_cut_from_the_longer_side_at_either_end():
    cut = set()
    for seed in range(50):
        first, second = list(range(5)), list("xyz")
        truncate_seq_pair(first, second, 5, random.Random(seed))
        assert len(first) == 3
        assert len(second) == 2
        assert first in ([0, 1, 2], [1, 2, 3], [2, 3, 4])
        cut.add((first[0], second[0]))
    assert len(cut) > 3


def test_random_next_sentences_come_from_other_documents_and_true_ones_follow():
    documents = [document(letter, [3, 4, 2, 5, 3, 4]) for letter in "abcdef"]
    kinds = set()
    for seed in range(30):
        for instance in create_instances_from_document(documents, 0, 16, 0.1, 0.15, 3, WORDS, random.Random(seed)):
            first, second = pair_of(instance)
            kinds.add(instance.is_random_next)
            assert {piece[0] for piece in first} == {"a"}
            assert ("a" not in {piece[0] for piece in second}) == instance.is_random_next
            if not instance.is_random_next:
                assert int(first[-1][1]) <= int(second[0][1])
    assert kinds == {True, False}


def test_every_sentence_is_used_in_every_pass():
    documents = [document(letter, [3, 4, 2, 5, 3, 4, 1]) for letter in "abc"]
    settings = InstanceSettings(16, dupe_factor=1, short_seq_prob=0.0, masking=NO_MASKS)
    made = make_instances(documents, Alphabet.of_tokens(WORDS), settings, random.Random(1))
    firsts = [piece for instance in made for piece in pair_of(instance)[0]]
    assert {f"{letter}0" for letter in "abc"} <= set(firsts)


def test_one_document_alone_has_no_random_next_sentence():
    settings = InstanceSettings(16, dupe_factor=20, masking=NO_MASKS)
    made = list(make_instances([document("a", [4] * 8)], Alphabet.of_tokens(WORDS), settings, random.Random(1)))
    assert len(made) > 20
    assert not any(instance.is_random_next for instance in made)
    for instance in made:
        first, second = pair_of(instance)
        assert int(second[0][1]) in (int(first[-1][1]), int(first[-1][1]) + 1)


def test_one_long_sentence_alone_makes_no_pair():
    settings = InstanceSettings(16, dupe_factor=3)
    assert not list(make_instances([document("a", [40])], Alphabet.of_tokens(WORDS), settings, random.Random(1)))


def test_pairs_of_sentence_order_are_neighbours_in_either_order():
    documents = [document("a", [3] * 9), document("b", [2, 2, 2])]
    settings = InstanceSettings(20, 8, 0.3, NO_MASKS, sentence_order=True)
    made = list(make_instances(documents, Alphabet.of_tokens(WORDS), settings, random.Random(3)))
    labels = {instance.is_random_next for instance in made}
    assert labels == {True, False}
    for instance in made:
        first, second = pair_of(instance)
        before, after = (second, first) if instance.is_random_next else (first, second)
        assert before[-1][0] == after[0][0]  # of one document
        assert int(before[-1][1:]) + 1 == int(after[0][1:])
    alone = [document("a", [5])]
    assert list(make_instances(alone, Alphabet.of_tokens(WORDS), settings, random.Random(3))) == []


def test_packing_keeps_every_piece_in_order_and_separates_documents():
    documents = [document("a", [3, 4]), document("b", [2, 30, 5]), document("c", [1])]
    settings = InstanceSettings(16, 1, 0.0, NO_MASKS, next_sentence=False)
    made = list(make_instances(documents, Alphabet.of_tokens(WORDS), settings, random.Random(1)))
    text = [piece for instance in made for piece in unmasked(instance) if piece[0] != "["]
    assert text == [piece for one in documents for sentence in one for piece in sentence]
    assert all(len(instance.tokens) <= 16 and set(instance.segment_ids) == {0} for instance in made)
    assert all(instance.is_random_next is None for instance in made)
    first = unmasked(made[0])
    assert first == ["[CLS]", *["a0"] * 3, *["a1"] * 4, "[SEP]", *["b0"] * 2, "[SEP]"]


def test_packs_are_short_now_and_then():
    documents = [document("a", [1] * 200)]
    settings = InstanceSettings(16, 5, 0.5, NO_MASKS, next_sentence=False)
    lengths = [len(i.tokens) for i in make_instances(documents, Alphabet.of_tokens(WORDS), settings, random.Random(1))]
    assert lengths.count(16) > 10
    assert sum(length < 16 for length in lengths) > 10
