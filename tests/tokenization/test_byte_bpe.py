"""Byte-level BPE: the ids and offsets of Hugging Face's RobertaTokenizer, from either form of its files."""

import json
import pickle
import shutil
from pathlib import Path

import pytest

from common.errors import FlagError, VocabularyError
from processors.records.pair_layout import PairLayout
from tokenization import ByteBpeTokenizer
from tokenization.byte_bpe import BYTE_BPE_TOKENS
from tokenization.kinds import KINDS, Asked, of_assets

FOLDER = Path(__file__).resolve().parents[1] / "data" / "families" / "roberta" / "tokenizer"
ROWS = [json.loads(line) for line in (FOLDER / "expected.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module", params=["vocab.json", "tokenizer.json"])
def tokenizer(request):
    return ByteBpeTokenizer(FOLDER / request.param)


def refusal(path) -> str:
    with pytest.raises(VocabularyError) as raised:
        ByteBpeTokenizer(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(FOLDER, tmp_path / "tokenizer"))


def test_ids_are_those_of_transformers(tokenizer):
    assert tokenizer.encode([row["text"] for row in ROWS]) == [row["ids"] for row in ROWS]


def test_offsets_are_those_of_transformers(tokenizer):
    for row in ROWS:
        encoding = tokenizer.encode_with_offsets(row["text"])
        assert encoding.ids == row["ids"]
        assert [[a, b] for a, b in zip(encoding.starts, encoding.ends, strict=True)] == row["offsets"]


def test_pairs_are_those_of_transformers(tokenizer):
    layout = PairLayout.of(tokenizer)
    (second,) = tokenizer.encode(["it was good"])
    for row, first in zip(ROWS, tokenizer.encode([row["text"] for row in ROWS]), strict=True):
        assert layout.join(first, second) == (row["pair"], [0] * len(row["pair"]))


def test_words_are_cut_as_within_a_text(tokenizer):
    for row in ROWS:
        words = row["text"].split()
        assert [index for ids in tokenizer.encode_words(words) for index in ids] == row["words"]


def test_offsets_of_a_word_are_within_the_word(tokenizer):
    encoding = tokenizer.word_with_offsets("film")
    assert [encoding.ids] == tokenizer.encode_words(["film"])
    assert (encoding.starts[0], encoding.ends[-1]) == (0, 4)


def test_tokens_and_text_go_back(tokenizer):
    text = "The Film's Größe 中"
    tokens = tokenizer.tokenize(text)
    assert tokenizer.text(tokens) == text
    assert tokenizer.convert_tokens_to_ids(tokens) == tokenizer.encode([text])[0]
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode([text])[0]) == tokens
    assert tokenizer.letters("\u0120film") == "film"
    assert [tokenizer.continues_word(token) for token in ("\u0120film", "s")] == [False, True]


def test_special_ids(tokenizer):
    ids = tokenizer.special_ids
    assert (ids.cls, ids.pad, ids.sep, ids.unk, ids.mask) == (0, 1, 2, 3, 4)
    assert tokenizer.do_lower_case is False


def test_copies_are_alike(tokenizer, tmp_path):
    for name, content in tokenizer.assets().items():
        (tmp_path / name).write_text(str(content), encoding="utf-8")
    for copy in (pickle.loads(pickle.dumps(tokenizer)), ByteBpeTokenizer(tmp_path / "vocab.json")):
        assert copy.fingerprint() == tokenizer.fingerprint()
        assert copy.encode(["the film"]) == tokenizer.encode(["the film"])


def test_a_blank_before_each_text_is_another_tokenizer(tokenizer):
    other = ByteBpeTokenizer(FOLDER / "vocab.json", add_prefix_space=True)
    assert other.encode(["film"]) == tokenizer.encode([" film"])
    assert other.fingerprint() != tokenizer.fingerprint()
    assert other.settings()["add_prefix_space"] is True


def test_tokens_that_a_file_adds_keep_their_flags(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"][4]["lstrip"] = True
    content["added_tokens"].append({"id": 300, "content": "great", "special": False})
    path.write_text(json.dumps(content))
    tokenizer = ByteBpeTokenizer(path)
    assert tokenizer.encode(["a <mask>", "agreat"]) == [[69, 4], [69, 300]]
    assert len(tokenizer.tokens) == 301
    assets = folder / "assets"
    assets.mkdir()
    for name, text in tokenizer.assets().items():
        (assets / name).write_text(str(text), encoding="utf-8")
    copy = of_assets(assets, json.loads(json.dumps(tokenizer.settings())))
    assert copy.fingerprint() == tokenizer.fingerprint()
    with pytest.raises(ValueError, match="does not describe a tokenizer"):
        of_assets(assets, {"do_lower_case": True})


def test_a_lone_surrogate_is_a_replacement_character(tokenizer):
    assert tokenizer.encode(["a\ud800b"]) == tokenizer.encode(["a\ufffdb"])


def test_one_text_is_a_mistake(tokenizer):
    with pytest.raises(TypeError):
        tokenizer.encode("the film")


def test_files_that_are_none(folder):
    (folder / "merges.txt").write_text("a b\nabc\n")
    assert refusal(folder / "vocab.json").startswith(f"{folder / 'merges.txt'}:2: 'abc', expected two tokens with a ")
    (folder / "merges.txt").write_text("the zzz\n")
    assert "its merges do not fit its vocabulary" in refusal(folder / "vocab.json")
    (folder / "merges.txt").write_bytes(b"\xff")
    assert refusal(folder / "vocab.json").startswith(f"{folder / 'merges.txt'}: is not UTF-8")
    (folder / "merges.txt").unlink()
    assert "a byte-level vocabulary needs it beside vocab.json" in refusal(folder / "vocab.json")
    (folder / "vocab.json").write_text('{"a": "b"}')
    assert "expected an id for each of its tokens" in refusal(folder / "vocab.json")
    (folder / "vocab.json").write_text("[")
    assert "is not JSON" in refusal(folder / "vocab.json")
    assert "cannot be read (No such file or directory)" in refusal(folder / "none.json")


def test_special_tokens_have_to_be_there(folder):
    (folder / "vocab.json").write_text('{"a": 0, "<s>": 1}')
    (folder / "merges.txt").write_text("")
    assert refusal(folder / "vocab.json").startswith(
        f"{folder / 'vocab.json'}: <unk>, </s> not among its 2 tokens, expected <unk>, <s>, </s>; take "
    )


def test_a_tokenizer_of_another_kind_is_refused(folder):
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"normalizer": {"type": "NFC"}}))
    assert "texts are cut by 'ByteLevel' after {'type': 'NFC'}, expected ByteLevel after None" in refusal(path)
    path.write_text(json.dumps(content | {"model": {"type": "WordPiece"}}))
    assert "holds a tokenizer of type 'WordPiece', expected BPE" in refusal(path)
    path.write_text(json.dumps(content | {"model": content["model"] | {"ignore_merges": True}}))
    assert f"{path}: model.ignore_merges is not as in RoBERTa's tokenizer" in refusal(path)
    path.write_text(json.dumps(content | {"pre_tokenizer": content["pre_tokenizer"] | {"use_regex": False}}))
    assert f"{path}: pre_tokenizer.use_regex is not as in RoBERTa's tokenizer" in refusal(path)


def test_what_a_folder_asks_for(folder):
    kind = KINDS["byte_bpe"]
    config = folder / "tokenizer_config.json"
    config.write_text('{"add_prefix_space": true}')
    loaded = kind.load(folder / "vocab.json", Asked(), BYTE_BPE_TOKENS)
    assert loaded.settings()["add_prefix_space"] is True
    kind.check(loaded, folder / "vocab.json", ["RobertaTokenizer"])
    assert sorted(kind.files(folder / "vocab.json")) == ["merges.txt", "tokenizer_config.json", "vocab.json"]
    config.write_text('{"mask_token": "[MASK]"}')
    with pytest.raises(VocabularyError) as raised:
        kind.check(loaded, folder / "vocab.json", ["RobertaTokenizer"])
    assert f"{config}: mask_token is [MASK], expected <mask>" in str(raised.value)
    config.write_text('{"tokenizer_class": "GPT2TokenizerFast"}')
    with pytest.raises(VocabularyError) as raised:
        kind.check(loaded, folder / "vocab.json", ["RobertaTokenizer"])
    assert f"{config}: tokenizer_class is GPT2TokenizerFast, expected RobertaTokenizer or one" in str(raised.value)
    with pytest.raises(FlagError) as wrong:
        kind.load(folder / "vocab.json", Asked(True), BYTE_BPE_TOKENS)
    assert "is a byte-level vocabulary, which keeps case; leave the flag out" in str(wrong.value)
