"""Tokens as text again: what people write, and the same in Python and in a graph."""

import random

import pytest
import tensorflow as tf

from processors.graph.natural_text import natural_text as in_graph
from tokenization import BasicTokenizer
from tokenization.natural_text import natural_text

AS_PRINTED = [
    "He didn't pay $1,000 (in cash).",
    '"Hello," she said, "it\'s me!"',
    "A well-known player's 3.5% share: 1,234,567 votes at 10:30?",
    "The U.S. president's visit; see [2] and {3}.",
    "我爱北京，天安门。《三国》很好！",
    "他在2003年买了BERT模型。",
    "In 2003, 40 people came… and left.",
    "Müller's café isn't open/closed.",
]


@pytest.mark.parametrize("text", AS_PRINTED)
def test_text_comes_back_as_it_was_printed(text):
    assert natural_text(BasicTokenizer(do_lower_case=False).tokenize(text)) == text


def test_pieces_of_a_word_are_joined():
    assert natural_text(["##un", "play", "##er", "##s", "won", "."]) == "un players won."
    assert natural_text([]) == ""


def test_a_graph_writes_the_same():
    generator = random.Random(0)
    pieces = [
        *"abcXYZ0123456789.,!?;:()[]{}%$#\"'’-/«»“”…我爱，。（）《》ーカ",
        "##s",
        "##1",
        "don",
        "t",
        "re",
        "2003",
        "é",
        "ß",
    ]
    rows = [[generator.choice(pieces) for _ in range(generator.randrange(30))] for _ in range(400)]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = session.run(in_graph(tf.ragged.constant(rows, dtype=tf.string)))
    assert [text.decode() for text in found] == [natural_text(row) for row in rows]
