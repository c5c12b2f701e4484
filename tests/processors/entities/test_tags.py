"""Tag schemes: every span survives every scheme, detection tells them apart, ill-formed tags are counted and kept."""

import itertools
import random

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from common.errors import DataError
from processors.entities.tags import (
    BILOU,
    BIOES,
    BMES,
    IOB1,
    IOB2,
    NONE,
    SchemeDetector,
    Span,
    allowed_transitions,
    ill_formed,
    spans_of_tags,
    tags_of_spans,
)

SPAN_SCHEMES = (IOB1, IOB2, BIOES, BILOU, BMES)


def random_spans(rng, length):
    spans, position = [], 0
    while position < length:
        end = rng.randint(position + 1, length)
        if rng.random() < 0.6:
            spans.append(Span(position, end, rng.choice(("person", "creative-work"))))
        position = end
    return spans


@pytest.mark.parametrize("scheme", SPAN_SCHEMES)
def test_spans_survive_every_scheme(scheme):
    rng = random.Random(1)
    for length in [*range(1, 12)] * 20:
        spans = random_spans(rng, length)
        tags = tags_of_spans(spans, length, scheme)
        assert list(spans_of_tags(tags)) == spans
        assert ill_formed(tags, scheme) == 0


def test_the_schemes_write_what_they_are_known_for():
    spans = [Span(0, 3, "a"), Span(3, 4, "a"), Span(5, 7, "b")]
    assert tags_of_spans(spans, 7, IOB1) == ["I-a", "I-a", "I-a", "B-a", "O", "I-b", "I-b"]
    assert tags_of_spans(spans, 7, IOB2) == ["B-a", "I-a", "I-a", "B-a", "O", "B-b", "I-b"]
    assert tags_of_spans(spans, 7, BIOES) == ["B-a", "I-a", "E-a", "S-a", "O", "B-b", "E-b"]
    assert tags_of_spans(spans, 7, BILOU) == ["B-a", "I-a", "L-a", "U-a", "O", "B-b", "L-b"]
    assert tags_of_spans(spans, 7, BMES) == ["B-a", "M-a", "E-a", "S-a", "O", "B-b", "E-b"]
    assert tags_of_spans([Span(0, 2, "")], 2, BMES) == ["B", "E"]


@pytest.mark.parametrize("letters", ["BI", "BIES"])
def test_ill_formed_tags_are_read_as_conlleval_does(letters):
    tags = ["O", *(f"{letter}-{kind}" for letter in letters for kind in "ab")]
    for sentence in itertools.product(tags, repeat=4):
        expected = [Span(start, end + 1, kind) for kind, start, end in get_entities(list(sentence))]
        assert list(spans_of_tags(sentence)) == expected, sentence


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        ([["B-a", "I-a", "O"]], IOB2),
        ([["O"]], IOB2),
        ([["I-a", "I-a", "O"]], IOB1),
        ([["I-a", "B-a", "O"], ["I-b", "O", "I-a"]], IOB1),
        ([["B-a", "I-a"], ["B-a", "O"], ["O", "I-a"]], IOB2),
        ([["S-a", "O", "B-a", "E-a"]], BIOES),
        ([["U-a", "O", "B-a", "L-a"]], BILOU),
        ([["O", "U-a"]], BILOU),
        ([["B", "M", "E", "S"]], BMES),
        ([["B", "E", "S"]], BMES),
        ([["B-a", "I-a", "E-a"]], BIOES),
    ],
)
def test_the_scheme_is_detected(sentences, scheme):
    detector = SchemeDetector()
    for tags in sentences:
        detector.observe(tags)
    assert detector.scheme() == scheme


@pytest.mark.parametrize(
    ("tags", "is_ambiguous"),
    [
        (["B", "E", "S"], True), (["S-a", "O"], True), (["B", "M", "E"], False), (["B", "I", "E"], False),
        (["B", "L"], False), (["B", "O"], False),
    ],
)  # fmt: skip
def test_spans_of_two_words_do_not_tell_bioes_from_bmes(tags, is_ambiguous):
    detector = SchemeDetector()
    detector.observe(tags)
    assert detector.is_ambiguous == is_ambiguous


def test_what_is_read_in_letters_of_bilou_and_of_bioes_is_the_same():
    assert ill_formed(["B-a", "E-a", "U-a"], BILOU) == ill_formed(["B-a", "E-a", "U-a"], BIOES) == 0


@pytest.mark.parametrize("tags", [["B-a", "M-a", "I-a"], ["S-a", "U-a"], ["B-a", "M-a", "L-a"]])
def test_letters_of_two_schemes_are_refused(tags):
    detector = SchemeDetector()
    detector.observe(tags)
    with pytest.raises(DataError, match="letters of several schemes; expected IOB1"):
        detector.scheme()


@pytest.mark.parametrize(
    ("tags", "scheme", "count"),
    [
        (["O", "I-a", "I-b"], IOB2, 2),
        (["I-a"], IOB2, 1),
        (["B-a", "I-a"], IOB1, 1),
        (["B-a", "O"], BIOES, 1),
        (["B-a"], BIOES, 1),
        (["E-a"], BMES, 1),
        (["NN", "VB"], NONE, 0),
    ],
)
def test_ill_formed_places_are_counted(tags, scheme, count):
    assert ill_formed(tags, scheme) == count


@pytest.mark.parametrize("tag", ["NN", "X-a", "B-", "O-a", "", "b-a"])
def test_a_tag_outside_of_every_scheme_is_an_error(tag):
    with pytest.raises(DataError, match="expected O, or B, I, E, S, M, L or U with -TYPE; --tag_scheme=none"):
        list(spans_of_tags(["O", tag]))


def test_a_tag_of_another_scheme_is_an_error():
    with pytest.raises(
        DataError, match=r"found tag 'S-a', expected a letter of iob2: O, B, I; write all files in one scheme"
    ):
        ill_formed(["O", "S-a"], IOB2)


def test_overlaps_and_places_outside_the_sentence_are_errors():
    with pytest.raises(DataError, match="entities 'a' and 'b' overlap at word 1, expected one at most"):
        tags_of_spans([Span(1, 3, "b"), Span(0, 2, "a")], 3)
    with pytest.raises(DataError, match="entity 'a' covers words 1 to 4 of 3"):
        tags_of_spans([Span(1, 4, "a")], 3)


def test_the_table_of_transitions_has_the_edges_of_a_sentence():
    table = allowed_transitions(["O", "B-a", "I-a"], IOB2)
    assert table[3] == [True, True, False, True]  # from the start
    assert table[2] == [True, True, True, True]  # from I-a, to the end too
    closed = allowed_transitions(["O", "B-a", "I-a", "E-a", "S-a"], BIOES)
    assert closed[1] == [False, False, True, True, False, False]  # B-a must be closed
    assert closed[5] == [True, True, False, False, True, True]
