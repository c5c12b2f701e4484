"""Tokens of the user's in a vocabulary: where they go, and which are refused."""

import json
import logging
import pickle
import random
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from common.errors import VocabularyError
from tests.support import peers, tiny
from tokenization import BulkTokenizer, ByteBpeTokenizer, SentencePieceTokenizer
from tokenization.byte_bpe import BYTE_BPE_TOKENS
from tokenization.extra_tokens import extend_byte_bpe, extend_sentencepiece, extend_wordpiece
from tokenization.kinds import KINDS, Asked, of_assets

ROBERTA = Path(__file__).resolve().parents[1] / "data" / "families" / "roberta" / "tokenizer"
FURTHER = ["fabulous", "film", "<e1>", "Ünï", "two words", "中文", "e", "fab", "\u0120mark", "<mask>"]
"""Words, parts of words, one with a blank, some that are there before."""


@pytest.fixture
def tokenizer(tmp_path):
    tokens = [*tiny.TOKENS, "[unused1]", "café", "[unused2]"]
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    return BulkTokenizer(tmp_path / "vocab.txt")


def test_unused_tokens_give_way_first(tokenizer, tmp_path):
    path = tmp_path / "extra.txt"
    path.write_text("aspirin\n\ngood\n##itis \naspirin\ncovid19\n", encoding="utf-8")
    found = extend_wordpiece(tokenizer, path)
    assert found.tokenizer.tokens == [*tiny.TOKENS, "aspirin", "café", "##itis", "covid19"]
    assert str(found) == "2 in the places of unused tokens, 1 behind the last, 1 were there before"
    grown = BulkTokenizer.of_tokens(found.tokenizer.tokens, True, tokenizer.special_tokens)
    assert grown.tokenize("Aspirin gooditis COVID19") == ["aspirin", "good", "##itis", "covid19"]
    again = extend_wordpiece(grown, path)
    assert (again.tokenizer.tokens, again.placed, again.appended, again.present) == (found.tokenizer.tokens, 0, 0, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("good\nCOVID\n", ":2: the tokenizer makes covid of 'COVID', so that no text would ever have it; write it as"),
        ("über\n", ":1: the tokenizer makes uber of 'über', so that no text would ever have it; write it as uber"),
        ("[E1]\n", ":1: the tokenizer makes [ e1 ] of '[E1]', so that no text would ever have it; a token is one word"),
        ("new york\n", ":1: the tokenizer makes new york of 'new york', so that no text would ever have it; a token"),
        ("北京\n", ":1: the tokenizer makes 北 京 of '北京', so that no text would ever have it; a token is one word"),
        ("##\n", ":1: the tokenizer makes nothing of '##', so that no text would ever have it; a token is one word"),
        (
            "a" * 201,
            "has 201 characters, but words of more than 200 are not looked up, so that no text would",
        ),
        ("\n \n", " is empty, expected a token a line; fetch the file again"),
        ("\x00", ":1: the tokenizer makes nothing of"),
    ],
)
def test_a_token_that_no_text_has_is_refused(tokenizer, tmp_path, content, message):
    path = tmp_path / "extra.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(VocabularyError) as refused:
        extend_wordpiece(tokenizer, path)
    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)
    path.write_bytes(b"good\n\xff\n")
    with pytest.raises(VocabularyError, match=r"extra\.txt:2: byte 0xff at position 0 is not UTF-8"):
        extend_wordpiece(tokenizer, path)
    path.unlink()
    with pytest.raises(VocabularyError, match=r"--extra_tokens=.*extra\.txt cannot be read \(No such file.*; check it"):
        extend_wordpiece(tokenizer, path)


@pytest.fixture
def further(tmp_path):
    path = tmp_path / "further.txt"
    path.write_text("".join(f"{token}\n" for token in FURTHER), encoding="utf-8")
    return path


def mixed(count, seed=0):
    """Random texts of those tokens and what the vocabulary was learnt from."""
    parts = [
        *FURTHER,
        *[" ", "  ", "the", " film", "Fabulous", "fabu", "ünï", "two  words", "中", "\n", "é", "!", "s", " a"],
    ]
    chosen = random.Random(seed)
    return ["".join(chosen.choices(parts, k=chosen.randrange(1, 12))) for _ in range(count)]


def test_a_byte_level_vocabulary_finds_them_as_add_tokens_does(further, tmp_path, caplog):
    rust = Tokenizer.from_file(str(ROBERTA / "tokenizer.json"))
    rust.add_tokens(FURTHER[:-1])
    source = ByteBpeTokenizer(ROBERTA / "vocab.json")
    with caplog.at_level(logging.WARNING):
        found = extend_byte_bpe(source, further)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{further}:9: '\u0120mark' is found where a text has the letter \u0120; write the word alone if that is meant "
        "for a blank"
    )
    assert str(found) == "8 behind the last, 2 were there before"
    tokenizer = found.tokenizer
    assert tokenizer.tokens[: len(source.tokens)] == source.tokens
    assert tokenizer.tokens[len(source.tokens) :] == [token for token in FURTHER if token not in source.vocab]
    assert tokenizer.added_tokens == sorted(FURTHER[:-1])
    texts = mixed(300)
    expected = [rust.encode(text, add_special_tokens=False) for text in texts]
    assert tokenizer.encode(texts) == [one.ids for one in expected]
    for text, one in zip(texts, expected, strict=True):
        encoding = tokenizer.encode_with_offsets(text)
        assert list(zip(encoding.starts, encoding.ends, strict=True)) == one.offsets
    assert tokenizer.text(tokenizer.tokenize("Ünï 中文 of two words")) == "Ünï 中文 of two words"
    (folder := tmp_path / "run").mkdir()
    for name, content in {**found.files, **tokenizer.assets()}.items():
        (folder / name).write_text(content, encoding="utf-8")
    for again in (
        KINDS["byte_bpe"].load(folder / "tokenizer.json", Asked(), BYTE_BPE_TOKENS),
        of_assets(folder, json.loads(json.dumps(tokenizer.settings()))),
        pickle.loads(pickle.dumps(tokenizer)),
        extend_byte_bpe(tokenizer, further).tokenizer,
    ):
        assert again.fingerprint() == tokenizer.fingerprint() != source.fingerprint()
        assert again.encode(texts) == tokenizer.encode(texts)


_TRANSFORMERS = """
import json, sys, transformers
assert transformers.__version__.split(".")[0] == "5", transformers.__version__
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
texts, tokens = json.load(open(sys.argv[2]))
tokenizer.add_tokens(tokens)
print(len(tokenizer))
for text in texts:
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    print(json.dumps([found["input_ids"], found["offset_mapping"]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("written_here", [False, True])
def test_ids_and_offsets_are_those_of_transformers(further, tmp_path, written_here):
    found = extend_byte_bpe(ByteBpeTokenizer(ROBERTA / "tokenizer.json"), further)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "roberta"}')
    content = found.files["tokenizer.json"] if written_here else (ROBERTA / "tokenizer.json").read_text("utf-8")
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    texts = mixed(500, seed=1)
    (tmp_path / "texts.json").write_text(json.dumps([texts, [] if written_here else FURTHER[:-1]]))
    length, *lines = peers.run("transformers", _TRANSFORMERS, folder, tmp_path / "texts.json").splitlines()
    assert int(length) == len(found.tokenizer.tokens)
    for text, ids, line in zip(texts, found.tokenizer.encode(texts), lines, strict=True):
        encoding = found.tokenizer.encode_with_offsets(text)
        offsets = [list(pair) for pair in zip(encoding.starts, encoding.ends, strict=True)]
        assert [ids, offsets] == json.loads(line), text


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    return SentencePieceTokenizer(tiny.write_sentencepiece(tmp_path_factory.mktemp("model") / "spiece.model"))


def test_symbols_of_a_sentencepiece_model_are_found_before_the_rest_is_cut(pieces, tmp_path):
    path = tmp_path / "extra.txt"
    path.write_text("\u2581covid19\nitis\nnew york\n\u5317\u4eac\n", encoding="utf-8")
    found = extend_sentencepiece(pieces, path)
    assert str(found) == "4 behind the last"
    tokens = found.tokenizer.tokens
    assert tokens == [*pieces.tokens, "\u2581covid19", "itis", "new\u2581york", "\u5317\u4eac"]
    assert found.tokenizer.tokenize("Covid19") == ["\u2581covid19"]
    texts = ["the Covid19 gastritis, in New  York \u5317\u4eac!", "aaa aaa covid19 aaa aaa", "good", "", "itisitis"]
    for text, ids in zip(texts, found.tokenizer.encode(texts), strict=True):
        encoding = found.tokenizer.encode_with_offsets(text)
        assert encoding.ids == ids
        for index, start, end in zip(ids, encoding.starts, encoding.ends, strict=True):
            if index >= len(pieces.tokens):
                known = tokens[index].replace("\u2581", " ").strip()
                assert " ".join(text[start:end].lower().split()) == known
    assert sum(index >= len(pieces.tokens) for index in found.tokenizer.encode(texts[:1])[0]) == 4
    assert found.tokenizer.encode(["the film was good"]) == pieces.encode(["the film was good"])
    ((name, content),) = found.files.items()
    (tmp_path / name).write_bytes(content)
    again = KINDS["sentencepiece"].load(tmp_path / name, Asked(True), pieces.special_tokens)
    assert again.encode(texts) == found.tokenizer.encode(texts)
    assert again.fingerprint() == found.tokenizer.fingerprint() != pieces.fingerprint()
    repeated = extend_sentencepiece(again, path)
    assert (repeated.present, repeated.appended, repeated.tokenizer.fingerprint()) == (4, 0, again.fingerprint())


def test_a_symbol_that_stands_in_words_is_named(pieces, tmp_path, caplog):
    path = tmp_path / "extra.txt"
    word = next(
        token[1:] for token in pieces.tokens if token[:1] == "\u2581" and token[1:].isalpha() and len(token) > 3
    )
    path.write_text(f"{word}\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        extend_sentencepiece(pieces, path)
    assert f"{path}:1: '{word}' is found within words, and in place of \u2581{word}, too" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("COVID\n", ":1: the tokenizer makes covid of 'COVID', so that no text would ever have it; write it as covid"),
        ("\u00fcber\n", ":1: the tokenizer makes uber of"),
        ("ok\n\u200b\n", ":2: the tokenizer makes nothing of '\\u200b', so that no text would ever have it; remove it"),
        ("a1,\n", ":1: 'a1,' ends in a digit and a comma, which become tokens of their own; leave the comma out"),
    ],
)
def test_a_symbol_that_no_text_has_is_refused(pieces, tmp_path, content, message):
    path = tmp_path / "extra.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(VocabularyError) as refused:
        extend_sentencepiece(pieces, path)
    assert message in str(refused.value)
