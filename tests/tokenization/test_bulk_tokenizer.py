"""The fast tokenizer gives what the specification gives, and knows where in the text it stands."""

import json
import multiprocessing
import os
import pickle
import subprocess
import sys

import pytest
from hypothesis import example, given, settings

from tests.support.tokenization_texts import texts
from tokenization import BasicTokenizer, BulkTokenizer, CodePointTable, FullTokenizer, is_context_dependent

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "un",
    "##want",
    "##ed",
    "want",
    "the",
    "a",
    "##a",
    "b",
    "x",
    "e",
]
PIECES += ["##e", "中", "文", ".", "[", "]", "mask", "é", "##é", "ς", "σ", "α", "##ς", "##σ"]


@pytest.fixture(scope="module")
def vocab_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(PIECES), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bulk(vocab_file):
    return BulkTokenizer(vocab_file)


@pytest.mark.parametrize(("name", "do_lower_case"), [("uncased", True), ("cased", False), ("chinese", True)])
def test_golden(golden, vocab_dir, name, do_lower_case):
    tokenizer = BulkTokenizer(vocab_dir / f"bert-base-{name}" / "vocab.txt", do_lower_case)
    rows = [json.loads(line) for line in (golden / "tokenization.jsonl").read_bytes().split(b"\n") if line]
    encoded = tokenizer.encode([row["text"] for row in rows])
    assert [
        row["text"] for row, ids in zip(rows, encoded, strict=True) if tokenizer.convert_ids_to_tokens(ids) != row[name]
    ] == []


RARE = [(True, False, True), (False, True, True), (True, True, False), (False, False, False)]
"""Case and accents treated apart, and Chinese characters as letters of words."""
CASINGS = pytest.mark.parametrize(
    ("do_lower_case", "strips", "apart"),
    [(True, True, True), (False, False, True), *(pytest.param(*casing, marks=pytest.mark.slow) for casing in RARE)],
)


@CASINGS
def test_every_code_point_but_private_ones_becomes_what_the_specification_says(do_lower_case, strips, apart):
    table, basic = CodePointTable(do_lower_case, strips, apart), BasicTokenizer(do_lower_case, strips, apart)
    points = [*range(0xD800), *range(0xF900, 0x32400), *range(0xE0000, 0xE0200)]
    plain = [point for point in points if not is_context_dependent(point, do_lower_case, strips)]
    assert len(points) - len(plain) in ((range(1, 100)) if do_lower_case or strips else (0,))
    for first in range(0, len(plain), 4096):
        text = " ".join(f"a{chr(point)}b" for point in plain[first : first + 4096])
        assert text.translate(table).split() == basic.tokenize(text)


@CASINGS
def test_property_same_words_and_pieces(vocab_file, do_lower_case, strips, apart):
    bulk = BulkTokenizer(vocab_file, do_lower_case, strip_accents=strips, tokenize_chinese_chars=apart)
    full = FullTokenizer(vocab_file, do_lower_case, strips, apart)
    table = CodePointTable(do_lower_case, strips, apart)

    @settings(max_examples=250, deadline=None)
    @given(texts)
    @example("ΑΣ.Α ΑΣ. Σ")
    @example("a\u302e\u1b44\u0301")
    def same(text):
        assert table.normalize(text).split() == full.basic_tokenizer.tokenize(text)
        assert bulk.tokenize(text) == full.tokenize(text)
        assert bulk.encode([text]) == [full.convert_tokens_to_ids(full.tokenize(text))]

    same()


@CASINGS
def test_property_offsets(vocab_file, do_lower_case, strips, apart):
    bulk = BulkTokenizer(vocab_file, do_lower_case, strip_accents=strips, tokenize_chinese_chars=apart)
    basic = BasicTokenizer(do_lower_case, strips, apart)

    @settings(max_examples=250, deadline=None)
    @given(texts)
    @example("한한 a\u0301 ΑΣ")
    def offsets(text):
        encoding = bulk.encode_with_offsets(text)
        assert encoding.tokens == bulk.tokenize(text)
        assert encoding.ids == bulk.convert_tokens_to_ids(encoding.tokens)
        assert encoding.starts == sorted(encoding.starts)
        assert encoding.ends == sorted(encoding.ends)
        for token, start, end in zip(encoding.tokens, encoding.starts, encoding.ends, strict=True):
            assert 0 <= start < end <= len(text)
            if token != "[UNK]":
                piece = "".join(basic.tokenize(text[start:end]))
                # Out of its word a sigma may be final that was not.
                assert piece.replace("ς", "σ") == token.removeprefix("##").replace("ς", "σ")

    offsets()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Unwanted!the", [("un", "Un"), ("##want", "want"), ("##ed", "ed"), ("[UNK]", "!"), ("the", "the")]),
        ("E\u0301 the\u0301", [("e", "E\u0301"), ("the", "the\u0301")]),
        ("a\x00b", [("[UNK]", "a\x00b")]),
        ("中文.", [("中", "中"), ("文", "文"), (".", ".")]),
        ("qqq the", [("[UNK]", "qqq"), ("the", "the")]),
        ("ΑΣ ΑΣΑΣ", [("α", "Α"), ("##ς", "Σ"), ("[UNK]", "ΑΣΑΣ")]),
        ("", []),
        ("\u0301\u200b ", []),
        ("c" * 201, [("[UNK]", "c" * 201)]),
    ],
)
def test_offsets_point_into_the_original_text(bulk, text, expected):
    encoding = bulk.encode_with_offsets(text)
    spans = [text[start:end] for start, end in zip(encoding.starts, encoding.ends, strict=True)]
    assert list(zip(encoding.tokens, spans, strict=True)) == expected


def test_special_tokens_in_text_are_text(bulk):
    assert bulk.tokenize("[MASK]") == ["[", "mask", "]"]


def test_lone_surrogates_are_unknown_as_in_the_specification(bulk, vocab_file):
    for text in ["a\ud800b the", "ΑΣ \udfff"]:
        assert bulk.tokenize(text) == FullTokenizer(vocab_file).tokenize(text)


def test_more_texts_than_a_chunk_keep_their_order(bulk):
    many = [f"a b the {'a ' * (i % 7)}" for i in range(20000)]
    encoded = bulk.encode(many)
    assert [len(ids) for ids in encoded] == [3 + i % 7 for i in range(20000)]
    assert bulk.encode([]) == []


def test_forgetting_words_changes_nothing(vocab_file, monkeypatch):
    monkeypatch.setattr("tokenization.wordpiece.bulk._MOST_WORDS", 3)
    tokenizer, specification = BulkTokenizer(vocab_file), FullTokenizer(vocab_file)
    batches = [["unwanted a b", "the"], ["the the a", "x"], ["want 中文", "unwanted b"], []]
    for batch in batches:
        expected = [specification.convert_tokens_to_ids(specification.tokenize(text)) for text in batch]
        assert tokenizer.encode(batch) == expected


def test_answers_are_not_what_is_remembered(bulk):
    bulk.encode(["unwanted"])[0].append(0)
    assert bulk.encode(["unwanted", "unwanted unwanted"]) == [[5, 6, 7], [5, 6, 7, 5, 6, 7]]


def test_one_string_is_not_a_list_of_texts(bulk):
    with pytest.raises(TypeError) as raised:
        bulk.encode("the")
    assert "put it in a list" in str(raised.value)


def test_pickled_copy_is_equal(bulk):
    copy = pickle.loads(pickle.dumps(bulk))
    assert copy.encode(["Unwanted ΑΣ"]) == bulk.encode(["Unwanted ΑΣ"])
    assert copy.fingerprint() == bulk.fingerprint()


def test_fingerprint_tells_vocabularies_and_casing_apart(vocab_file, tmp_path, bulk):
    other = tmp_path / "vocab.txt"
    other.write_text("\n".join([*PIECES, "more"]), encoding="utf-8")
    prints = {bulk.fingerprint(), BulkTokenizer(vocab_file, False).fingerprint(), BulkTokenizer(other).fingerprint()}
    assert len(prints) == 3
    assert BulkTokenizer(str(vocab_file)).fingerprint() == bulk.fingerprint()


def test_forked_workers_encode_without_a_word(vocab_file):
    script = (
        "import multiprocessing, sys, tokenization\n"
        "bulk = tokenization.BulkTokenizer(sys.argv[1])\n"
        "rows = ['unwanted the'] * 64\n"
        "here = bulk.encode(rows)\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    assert pool.map(bulk.encode, [rows] * 4) == [here] * 4\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    env.pop("TOKENIZERS_PARALLELISM", None)
    done = subprocess.run(
        [sys.executable, "-c", script, str(vocab_file)],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_spawned_workers_encode(bulk):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(bulk.encode, (["the a"],)) == bulk.encode(["the a"])


def test_tokenization_does_not_import_tensorflow():
    code = "import sys, tokenization; sys.exit('tensorflow' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
