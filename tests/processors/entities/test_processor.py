"""Tagged sentences from a class: what is used of its examples, and what is said of those that cannot be."""

import numpy as np
import pytest

from common.errors import DataError
from processors import SentenceProcessor, TaggedExample
from processors.entities.processor import ProcessorSentences
from processors.entities.report import Problems


class Given(SentenceProcessor):
    def __init__(self, examples, labels=("O", "B-x"), scheme="iob2"):
        self.examples, self.labels, self.tag_scheme = examples, labels, scheme

    def get_train_examples(self, data_dir):
        return self.examples

    def get_test_examples(self, data_dir):
        return self.examples

    def get_labels(self):
        return list(self.labels)


def read(examples, split="train", **options):
    return list(ProcessorSentences(Given(examples, **options), "").sentences(split))


def test_examples_become_sentences_in_iob2():
    source = ProcessorSentences(
        Given([TaggedExample("a", ("New", "York", "!"), ["B-city", "E-city", "O"])], ["S-city", "O"], "bioes"), ""
    )
    (sentence,) = source.sentences("train")
    assert (sentence.line, sentence.words, sentence.tags) == (1, ["New", "York", "!"], ["B-city", "I-city", "O"])
    assert source.labels == ["O", "B-city", "I-city"]
    assert source.description("train")["tag_scheme"] == "bioes"


def test_tags_that_are_no_spans_are_labels_as_they_are():
    labels = [np.int64(7), "NN"]
    (sentence,) = read([TaggedExample("a", ["x"], [7])], labels=labels, scheme="none")
    assert sentence.tags == ["7"]


def test_rows_to_predict_may_have_other_tags_or_none():
    first, second = read([TaggedExample("a", ["x"]), TaggedExample("b", ["y"], ["B-z"])], "test")
    assert (first.tags, second.tags) == (None, ["B-z"])


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ("text", "Given: train example 0 is a str without a list of words, expected guid, words and tags"),
        (TaggedExample("a", "word", ["O"]), "Given: train example 'a' is a TaggedExample without a list of words"),
        (TaggedExample("a", [], []), "Given: train example 'a': has no words; leave it out, or correct it"),
        (TaggedExample("a", ["x", ""], ["O", "O"]), "Given: train example 'a': a word is empty; leave it out"),
        (TaggedExample("a", ["x", 3], ["O", "O"]), "Given: train example 'a': word 1 is 3, a int; expected text"),
        (TaggedExample("a", ["\ud83d"], ["O"]), "Given: train example 'a': word 0 has half a character (U+D83D)"),
        (TaggedExample("a", ["x", "y"], ["O"]), "Given: train example 'a': found 2 words and 1 tags, expected a tag"),
        (TaggedExample("a", ["x"]), "Given: train example 'a': found 1 words and None for tags, expected a tag"),
        (TaggedExample("a", ["x"], ["B-y"]), "Given: train example 'a': tag 'B-y' is not among the labels; "),
        (TaggedExample("a", ["x"], ["S-x"]), "Given: train example 'a': found tag 'S-x', expected a letter of iob2"),
    ],
)
def test_an_example_that_cannot_be_used_is_named(example, message):
    with pytest.raises(DataError) as refused:
        read([example])
    assert str(refused.value).startswith(message)
    problems = Problems()
    good = TaggedExample("b", ["x"], ["O"])
    source = ProcessorSentences(Given([example, good]), "", on_problem=problems)
    assert [sentence.words for sentence in source.sentences("train")] == [["x"]]
    assert list(problems.found) == [str(refused.value)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheme": "iob3"}, "Given.tag_scheme is 'iob3', expected one of iob1, iob2, bioes, bilou, bmes, none"),
        ({"labels": ["O", "E-x"]}, "Given.get_labels: found tag 'E-x', expected a letter of iob2: O, B, I"),
        (
            {"labels": ["O", "person"]},
            "Given.get_labels: found tag 'person', expected O, or B, I, E",
        ),
        ({"labels": ["O", "O"]}, "Given.get_labels: 'O' is there twice; give each label once"),
    ],
)
def test_labels_and_schemes_that_cannot_be(options, message):
    with pytest.raises(DataError) as refused:
        ProcessorSentences(Given([], **options), "")
    assert str(refused.value).startswith(message)
