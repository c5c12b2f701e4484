"""The tokenizer of TensorFlow operations gives what the specification gives."""

import json
from itertools import chain

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.errors import ExportError
from processors.graph.code_points import SELF, expansions
from processors.graph.tokenizer import in_graph
from processors.graph.wordpiece import GraphTokenizer
from tests.support import chinese_texts, tokenization_texts
from tokenization import CONTEXT_MARK, BasicTokenizer, BulkTokenizer, CodePointTable, FullTokenizer, load_vocab

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


CASINGS = [
    pytest.param((True, True, True), id="lower"),
    pytest.param((False, False, True), id="cased"),
    pytest.param((True, False, True), id="lower with accents", marks=pytest.mark.slow),
    pytest.param((False, True, True), id="cased without accents", marks=pytest.mark.slow),
    pytest.param((True, True, False), id="lower with Chinese words", marks=pytest.mark.slow),
    pytest.param((False, False, False), id="cased with Chinese words", marks=pytest.mark.slow),
]
"""Whether text is lower-cased, accents are dropped, and Chinese characters are set apart."""


def letters_of(*casing: bool) -> list[str]:
    """Every letter of the texts of the property tests, so that pieces spell out what a text became."""
    basic = BasicTokenizer(*casing)
    texts = chain(*(value for name, value in vars(tokenization_texts).items() if name.isupper()))
    letters = {letter for text in texts for word in basic.tokenize(text) for letter in word} | set("ςσtheruning")
    return sorted(letters - {"\uffff", "\U0010ffff"})


@pytest.fixture(scope="module", params=CASINGS)
def tokenizers(request, tmp_path_factory):
    """The specification, and a function of texts to lists of ids that runs the graph; over one vocabulary."""
    letters = letters_of(*request.param)
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    pieces = [*SPECIAL, "the", "un", "##aff", *letters, *("##" + letter for letter in letters)]
    path.write_text("\n".join(pieces), encoding="utf-8")
    full = FullTokenizer(path, *request.param)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        texts = tf.compat.v1.placeholder(tf.string, [None])
        ids = GraphTokenizer(full.vocab, *request.param)(texts)
        assert ids.dtype == tf.int32
        yield full, lambda batch: session.run(ids, {texts: batch}).to_list()


def spec(full: FullTokenizer, batch: list) -> list[list[int]]:
    return [full.convert_tokens_to_ids(full.tokenize(text)) for text in batch]


@pytest.mark.parametrize(
    ("name", "do_lower_case"),
    [("uncased", True), pytest.param("cased", False, marks=pytest.mark.slow), ("chinese", True)],
)
def test_golden(golden, vocab_dir, name, do_lower_case):
    rows = [json.loads(line) for line in (golden / "tokenization.jsonl").read_bytes().split(b"\n") if line]
    vocab = load_vocab(vocab_dir / f"bert-base-{name}" / "vocab.txt")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ids = session.run(GraphTokenizer(vocab, do_lower_case)(tf.constant([row["text"] for row in rows]))).to_list()
    assert [
        row["text"] for row, got in zip(rows, ids, strict=True) if got != [vocab[piece] for piece in row[name]]
    ] == []


def test_property_same_ids(tokenizers):
    full, run = tokenizers

    @settings(max_examples=100, deadline=None)
    @given(st.lists(tokenization_texts.texts, min_size=1, max_size=8))
    @example(["Σ", "ΑΣ", "Α", "Σ.Α ΑΣ.Α ΑΣ. .Σ"])
    @example(["a\u302e\u1b44", "\u1b44\u302e", "a\u302e\u034f\u1b44\u0301", "\u302e", "\u1b44"])
    @example(["\u302e\u0f73\u1b44\u302e\x00\u1b44\U0001d15e"])
    def same(batch):
        assert run([text.encode() for text in batch]) == spec(full, batch)

    same()


def test_property_invalid_bytes_are_dropped(tokenizers):
    full, run = tokenizers
    fragment = st.one_of(st.binary(max_size=4), st.sampled_from([b"the", b"\xe4\xb8", b"\xed\xa0\x80", "中Σ".encode()]))

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.lists(fragment, max_size=8).map(b"".join), min_size=1, max_size=8))
    @example([b"a\xe4\xb8a", b"\xed\xa0\x80a", b"\xf4\x90\x80\x80a", b"a\xff", b"\xc0\x80a"])
    def same(batch):
        assert run(batch) == spec(full, batch)

    same()


def test_marks_in_every_order(tokenizers):
    full, run = tokenizers
    marks = ["\u302e", "\u1b44", "\U00016ff0", "\u034f", "\u0301", "\u0f73", "\U0001d15e", "\u200b", ".", "中"]
    batch = [f"a{x}{y}{z}" for x in marks for y in marks for z in marks]
    assert run([text.encode() for text in batch]) == spec(full, batch)


def test_sigma_between_every_kind_of_neighbours(tokenizers):
    full, run = tokenizers
    around = ["", " ", "Α", ".", "\u00ad", "\u0345", "ʰ", "ª", "中", "5", "'", "ǅ", "\u2028", "Σ", "\x07"]
    batch = [f"{w}{x}Σ{y}{z}" for w in around for x in around for y in around for z in around[:6]]
    assert run([text.encode() for text in batch]) == spec(full, batch)


def test_nothing_gives_nothing(tokenizers):
    _, run = tokenizers
    assert run([]) == []
    assert run([b"", b" \t", b"\xef\xbf\xbd\x00"]) == [[], [], []]


def test_words_are_limited_by_characters(tokenizers):
    full, run = tokenizers
    batch = ["t" * 200, "t" * 201, "中" * 201, "😀" * 200, "😀" * 201, "ʰ" * 200, "h" * 5000 + " the"]
    assert run([text.encode() for text in batch]) == spec(full, batch)


@pytest.mark.parametrize(
    ("do_lower_case", "strips"), [(True, None), pytest.param(False, False, marks=pytest.mark.slow)]
)
def test_chinese_characters_as_letters_of_words(do_lower_case, strips, tmp_path):
    basic = BasicTokenizer(do_lower_case, strips, tokenize_chinese_chars=False)
    batch = [*chinese_texts.TEXTS, "中" * 100, "中" * 101, "Σ中Σ 中Σ. ΑΣ中", "\uf900\u302e\u1b44中"]
    letters = sorted({letter for text in batch for word in basic.tokenize(text) for letter in word} | set("Σσς"))
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL, *letters, *("##" + letter for letter in letters)]), encoding="utf-8")
    full = FullTokenizer(path, do_lower_case, strips, tokenize_chinese_chars=False)
    tokenizer = in_graph(BulkTokenizer(path, do_lower_case, strip_accents=strips, tokenize_chinese_chars=False))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        assert session.run(tokenizer(tf.constant(batch))).to_list() == spec(full, batch)


def test_pieces_that_no_text_has_keep_their_ids():
    vocab = {piece: index for index, piece in enumerate([*SPECIAL, "", "blank", "5", "\ufffd"])}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ids = GraphTokenizer(vocab)(tf.constant(["\u2028", "blank 5", "blank\u20285", "\uffff", "\ufffd"]))
        assert session.run(ids).to_list() == [[], [6, 7], [6, 7], [1], []]


def test_of_a_repeated_token_the_last_id_counts_as_in_the_specification(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join([*SPECIAL, "a", "b", "a", "c"]) + "\n")
    full = FullTokenizer(path)
    texts = ["a b c", "c a"]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        ids = session.run(GraphTokenizer(full.vocab)(tf.constant(texts))).to_list()
    assert ids == spec(full, texts) == BulkTokenizer(path).encode(texts)
    assert ids[1] == [len(SPECIAL) + 3, len(SPECIAL) + 2]


def test_a_kind_without_operations_is_named(tiny_model):
    tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
    tokenizer.kind = "letters"
    with pytest.raises(ExportError) as refused:
        in_graph(tokenizer)
    assert str(refused.value) == (
        "a letters tokenizer has no form in a graph, as TensorFlow has no operation for it; expected one of wordpiece, "
        "sentencepiece; tokenize outside of the graph"
    )


@pytest.mark.parametrize("casing", CASINGS)
def test_arrays_are_the_table(casing):
    arrays, table = expansions(*casing), CodePointTable(*casing)
    values, splits = arrays.values.tolist(), arrays.row_splits.tolist()
    block_of, row_of = arrays.row_of.block_of.tolist(), arrays.row_of.values.tolist()
    for code in chain(range(0xD800), range(0xE000, 0xE100), range(0xF900, 0x32400), range(0xE0000, 0xE0200)):
        row = row_of[block_of[code // 256] * 256 + code % 256]
        text = "".join(chr(code if value == SELF else value) for value in values[splits[row] : splits[row + 1]])
        assert text == table[code].removeprefix(CONTEXT_MARK)


def test_works_in_a_dataset_and_in_a_saved_model(tmp_path):
    pieces = [*SPECIAL, "un", "##aff", "##able", "α", "##ς", "!"]
    tokenizer = GraphTokenizer({piece: index for index, piece in enumerate(pieces)})
    expected = [[5, 6, 7, 10], [8, 9], []]
    texts = ["Unaffable!", "ΑΣ", ""]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        dataset = tf.data.Dataset.from_tensor_slices(texts).batch(2).map(tokenizer)
        iterator = tf.compat.v1.data.make_one_shot_iterator(dataset).get_next()
        assert session.run(iterator).to_list() + session.run(iterator).to_list() == expected
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        placeholder = tf.compat.v1.placeholder(tf.string, [None], "texts")
        ids = tf.identity(tokenizer(placeholder).to_tensor(), "ids")
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "model"), {"texts": placeholder}, {"ids": ids})
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "model"))
        assert session.run("ids:0", {"texts:0": texts}).tolist() == [[5, 6, 7, 10], [8, 9, 0, 0], [0, 0, 0, 0]]
