"""SentencePiece as TensorFlow operations, and tokenizers that a graph calls, give what the tokenizers give."""

import json

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.errors import ExportError
from processors.graph.tokenizer import in_graph, in_process, why_not_in_graph
from tests.support import tiny, tokenization_texts
from tests.tokenization.test_byte_bpe import FOLDER
from tokenization import ByteBpeTokenizer, SentencePieceTokenizer

NO_CHARACTERS = dict.fromkeys(
    [*range(0xFDD0, 0xFDF0), *(plane << 16 | 0xFFFE | odd for plane in range(17) for odd in (0, 1))]
)
"""The 66 non-characters of Unicode, as `str.translate` deletes them."""


def runner(tokenizer, session):
    texts = tf.compat.v1.placeholder(tf.string, [None])
    ids = in_graph(tokenizer)(texts)
    assert ids.dtype == tf.int32
    return lambda batch: session.run(ids, {texts: batch}).to_list()


@pytest.fixture(scope="module", params=[True, False], ids=["lower", "cased"])
def tokenizers(request, tmp_path_factory):
    path = tiny.write_sentencepiece(tmp_path_factory.mktemp("model") / "spiece.model")
    tokenizer = SentencePieceTokenizer(path, request.param)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        yield tokenizer, runner(tokenizer, session)


def test_golden(golden, vocab_dir):
    lines = (golden / "families" / "albert" / "tokenization.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    tokenizer = SentencePieceTokenizer(vocab_dir / "albert-base-en" / "30k-clean.model")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = runner(tokenizer, session)([row["text"] for row in rows])
    assert [row["text"] for row, ids in zip(rows, found, strict=True) if ids != row["ids"]] == []


def test_symbols_of_the_users_are_found_alike(tokenizers):
    tokenizer, _ = tokenizers
    extended = tokenizer.with_symbols(["\u2581covid", "itis", "new\u2581york", "\u5317\u4eac"])
    texts = ["in new  york: covid gastritis", "itisitis\u5317\u4eac covidcovid", "a new day", ""]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = runner(extended, session)(texts)
    assert found == extended.encode(texts)
    assert max(map(max, filter(None, found))) >= len(tokenizer.tokens)


def test_property_same_ids(tokenizers):
    tokenizer, run = tokenizers

    @settings(max_examples=100, deadline=None)
    @given(st.lists(tokenization_texts.texts, min_size=1, max_size=8))
    @example(["in 10, and 20,000", "aaa day day day day", "\u1112\u1161\u11ab", "ΑΣ Σ", "\u00a8a\u00a8"])
    @example(["[MASK]aaa", "x [CLS]", "<pad>aaa"])
    @example(["", " ", "\u200b\u200b\u200b", "\u0301", "\x00a\x00", "\ufdd0", "a\U0003fffeb"])
    def same(batch):
        # TensorFlow takes the non-characters for invalid bytes.
        batch = [text.translate(NO_CHARACTERS) for text in batch]
        assert run([text.encode() for text in batch]) == tokenizer.encode(batch)

    same()


def test_sigma_between_every_kind_of_neighbours(tmp_path, vocab_dir):
    tokenizer = SentencePieceTokenizer(vocab_dir / "albert-base-en" / "30k-clean.model")
    around = ["", " ", "Α", ".", "\u00ad", "\u0345", "ʰ", "ª", "中", "5", "'", "ǅ", "\u2028", "Σ", "\x07"]
    batch = [f"{w}{x}Σ{y}{z}" for w in around for x in around for y in around for z in around[:6]]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        assert runner(tokenizer, session)(batch) == tokenizer.encode(batch)


def test_nothing_gives_nothing(tokenizers):
    _, run = tokenizers
    assert run([]) == []
    assert run([b"", b" \t"]) == [[], []]


def test_a_tokenizer_without_operations_is_called_where_the_graph_runs():
    tokenizer = ByteBpeTokenizer(FOLDER / "vocab.json")
    assert why_not_in_graph(tokenizer) == (
        "a byte_bpe tokenizer has no form in a graph, as TensorFlow has no operation for it; expected one of "
        "wordpiece, sentencepiece"
    )
    with pytest.raises(ExportError):
        in_graph(tokenizer)
    texts, words = ["the film", "", "Größe 中"], ["film", "é"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ids = session.run(in_graph(in_process(tokenizer))(tf.constant(texts), tf.constant(words))).to_list()
        nothing = session.run(in_graph(in_process(tokenizer))(tf.zeros([0], tf.string))).to_list()
    assert ids == tokenizer.encode(texts) + tokenizer.encode_words(words)
    assert nothing == []
