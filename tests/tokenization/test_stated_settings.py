"""What the files beside a vocabulary ask for is computed, refused, or warned of."""

import json
import logging

import pytest

from common.errors import VocabularyError
from tokenization import check_stated_settings

VOCAB = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "word": 5}


def write(folder, name="tokenizer_config.json", **settings):
    (folder / name).write_text(json.dumps(settings))


@pytest.mark.parametrize("title", ["BertTokenizer", "BertTokenizerFast", "ElectraTokenizer", "TokenizersBackend"])
def test_what_is_computed_passes(tmp_path, caplog, title):
    check_stated_settings(VOCAB, tmp_path / "vocab.txt")
    write(
        tmp_path, tokenizer_class=title, do_lower_case=True, strip_accents=None, tokenize_chinese_chars=True,
        never_split=None, clean_text=True, unk_token={"content": "[UNK]"}, cls_token="[CLS]",
        added_tokens_decoder={"0": {"content": "[PAD]", "special": True}, "x": {"content": "y"}, "5": 7},
    )  # fmt: skip
    check_stated_settings(VOCAB, tmp_path / "vocab.txt", ["ElectraTokenizer"])
    write(tmp_path, strip_accents=False, tokenize_chinese_chars=False)
    check_stated_settings(VOCAB, tmp_path / "vocab.txt")
    assert caplog.records == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"tokenize_chinese_chars": None}, "tokenize_chinese_chars is None, expected true or false"),
        ({"do_basic_tokenize": False}, "do_basic_tokenize is false, but punctuation always ends a word here"),
        ({"wordpieces_prefix": "▁"}, "wordpieces_prefix is '▁', but the rest of a word always begins with ##"),
        ({"clean_text": False}, "clean_text is false, but control characters are always removed here"),
        ({"never_split": ["a"]}, "never_split is ['a'], but every word is split here"),
        ({"tokenizer_class": "BertJapaneseTokenizer"}, "tokenizer_class is BertJapaneseTokenizer, expected BertTok"),
        ({"tokenizer_class": "RobertaTokenizer"}, "tokenizer_class is RobertaTokenizer, expected BertTokenizer or"),
        ({"unk_token": "<unk>"}, "unk_token is <unk>, expected [UNK]"),
        ({"mask_token": {"content": "<mask>"}}, "mask_token is <mask>, expected [MASK]"),
    ],
)
def test_what_is_not_computed_is_refused(tmp_path, settings, told):
    write(tmp_path, **settings)
    with pytest.raises(VocabularyError) as refused:
        check_stated_settings(VOCAB, tmp_path / "vocab.txt")
    assert str(refused.value).startswith(f"{tmp_path / 'tokenizer_config.json'}: {told}")
    assert str(refused.value).endswith("use another checkpoint, or remove this from the file to go on all the same")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("added_tokens.json", {"<e1>": 6, "<e2>": 7, "word": 5}),
        ("tokenizer_config.json", {"added_tokens_decoder": {"6": {"content": "<e1>"}, "7": {"content": "<e2>"}}}),
    ],
)
def test_added_tokens_are_a_warning(tmp_path, caplog, name, content):
    write(tmp_path, name, **content)
    with caplog.at_level(logging.WARNING):
        check_stated_settings(VOCAB, tmp_path / "vocab.txt")
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{tmp_path / name}: adds 2 tokens that the vocabulary does not have (<e1>, <e2>); they are read as any other "
        "text"
    )


@pytest.mark.parametrize("name", ["tokenizer_config.json", "added_tokens.json"])
@pytest.mark.parametrize(("content", "told"), [(b"{", "is not JSON ("), (b"\xff\xfe{}x", "is not"), (b"[]", "holds a")])
def test_files_that_cannot_be_read(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VocabularyError) as refused:
        check_stated_settings(VOCAB, tmp_path / "vocab.txt")
    assert str(refused.value).startswith(f"{tmp_path / name}: {told}")
    assert str(refused.value).endswith("; correct it or move it away")
