"""Chinese characters as letters of words, as `tokenize_chinese_chars: false` and `handle_chinese_chars: false` ask."""

import json
import pickle
import random

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from common.errors import FlagError, VocabularyError
from tests.support import chinese_texts, peers
from tokenization import WORDPIECE_TOKENS, BulkTokenizer, FullTokenizer
from tokenization.byte_bpe import BYTE_BPE_TOKENS
from tokenization.extra_tokens import extend_wordpiece
from tokenization.kinds import KINDS, Asked
from tokenization.sentencepiece import SENTENCEPIECE_TOKENS

KIND = KINDS["wordpiece"]
LONG = ["中" * 100, "中" * 101, "a" * 101 + "中"]
"""Words as long as words may be, and longer ones."""


@pytest.fixture
def vocab_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{token}\n" for token in chinese_texts.vocabulary()), encoding="utf-8")
    return path


def config(folder, **settings):
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def tokenizer_json(path, tokens, lower, sets_apart, strips=None):
    """A `tokenizer.json` as the Rust library writes it."""
    rust = Tokenizer(models.WordPiece({token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"))
    rust.normalizer = normalizers.BertNormalizer(True, sets_apart, strips, lower)
    rust.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    rust.save(str(path))
    return rust


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("sets_apart", [True, False])
def test_ids_and_offsets_are_those_of_the_rust_library(vocab_file, lower, sets_apart):
    path = vocab_file.parent / "alone" / "tokenizer.json"
    path.parent.mkdir()
    rust = tokenizer_json(path, chinese_texts.vocabulary(), lower, sets_apart)
    found = KIND.load(path, Asked(lower), WORDPIECE_TOKENS)
    assert found.tokenize_chinese_chars is sets_apart
    full = FullTokenizer(vocab_file, lower, None, sets_apart)
    texts = [*chinese_texts.TEXTS, *([] if sets_apart else LONG)]
    for text, ids in zip(texts, found.encode(texts), strict=True):
        expected = rust.encode(text)
        assert ids == expected.ids == full.convert_tokens_to_ids(full.tokenize(text))
        encoding = found.encode_with_offsets(text)
        assert encoding.ids == ids
        assert list(zip(encoding.starts, encoding.ends, strict=True)) == expected.offsets
    if not sets_apart:
        assert found.tokenize("北京大学abc") == ["北京", "##大学", "##a", "##b", "##c"]


def mixed(count, seed=0):
    """Random texts of Chinese, Japanese, Korean and Latin letters, digits, punctuation and blanks."""
    letters = [letter for text in chinese_texts.TEXTS for letter in text if letter not in "\x00\ufffd\u200b"]
    chosen = random.Random(seed)
    return ["".join(chosen.choices(letters, k=chosen.randrange(1, 60))) for _ in range(count)]


_TRANSFORMERS = """
import json, sys, transformers
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
assert transformers.__version__.split(".")[0] == "5", transformers.__version__
for text in json.load(open(sys.argv[2])):
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    print(json.dumps([found["input_ids"], found["offset_mapping"]]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"do_lower_case": True}, {"do_lower_case": False}, {"strip_accents": False}])
@pytest.mark.parametrize("sets_apart", [True, False])
def test_ids_and_offsets_are_those_of_transformers(vocab_file, settings, sets_apart):
    folder = vocab_file.parent
    config(folder, tokenizer_class="BertTokenizer", tokenize_chinese_chars=sets_apart, **settings)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    texts = [*chinese_texts.TEXTS, *mixed(500), *([] if sets_apart else LONG)]
    (folder / "texts.json").write_text(json.dumps(texts))
    lines = peers.run("transformers", _TRANSFORMERS, folder, folder / "texts.json").splitlines()
    lower = settings.get("do_lower_case", True)
    found = KIND.load(vocab_file, Asked(lower), WORDPIECE_TOKENS)
    full = FullTokenizer(vocab_file, lower, settings.get("strip_accents"), sets_apart)
    for text, ids, line in zip(texts, found.encode(texts), lines, strict=True):
        expected, offsets = json.loads(line)
        assert ids == expected == full.convert_tokens_to_ids(full.tokenize(text))
        encoding = found.encode_with_offsets(text)
        assert encoding.ids == ids
        assert [list(pair) for pair in zip(encoding.starts, encoding.ends, strict=True)] == offsets


def test_the_setting_stays_with_the_tokenizer(vocab_file):
    apart = KIND.load(vocab_file, Asked(), WORDPIECE_TOKENS)
    assert KIND.stated(apart)["tokenize_chinese_chars"] is apart.tokenize_chinese_chars is True
    config(vocab_file.parent, tokenize_chinese_chars=False)
    found = KIND.load(vocab_file, Asked(), WORDPIECE_TOKENS)
    KIND.check(found, vocab_file, ())
    assert KIND.stated(found)["tokenize_chinese_chars"] is False
    assert found.fingerprint() != apart.fingerprint()
    assert BulkTokenizer(vocab_file, tokenize_chinese_chars=False).fingerprint() == found.fingerprint()
    for again in (
        pickle.loads(pickle.dumps(found)),
        KIND.restored(vocab_file.parent, found.settings(), WORDPIECE_TOKENS),
        found.with_tokens(found.tokens),
    ):
        assert again.fingerprint() == found.fingerprint()
        assert again.encode(chinese_texts.TEXTS) == found.encode(chinese_texts.TEXTS)
    # Exports of before the setting was one say nothing of it.
    before = {name: value for name, value in apart.settings().items() if name != "tokenize_chinese_chars"}
    assert KIND.restored(vocab_file.parent, before, WORDPIECE_TOKENS).fingerprint() == apart.fingerprint()


def test_a_flag_that_contradicts_the_files_is_refused(vocab_file):
    asked = Asked(None, None, False)
    assert KIND.load(vocab_file, asked, WORDPIECE_TOKENS).tokenize("中文字") == ["中文", "##字"]
    config(vocab_file.parent, tokenize_chinese_chars=True)
    with pytest.raises(FlagError) as refused:
        KIND.load(vocab_file, asked, WORDPIECE_TOKENS)
    assert str(refused.value) == (
        f"--tokenize_chinese_chars=false, but {vocab_file.parent / 'tokenizer_config.json'} says that the model sets "
        "Chinese characters apart; set --tokenize_chinese_chars=true"
    )
    always = "always read Chinese characters as any others; leave the flag out"
    with pytest.raises(FlagError, match=always):
        KINDS["byte_bpe"].load(vocab_file, Asked(None, None, True), BYTE_BPE_TOKENS)
    with pytest.raises(FlagError, match=always):
        KINDS["sentencepiece"].load(vocab_file, Asked(None, None, True), SENTENCEPIECE_TOKENS)


@pytest.mark.parametrize("name", ["tokenize_chinese_chars", "strip_accents"])
def test_two_files_that_contradict_each_other_are_refused(tmp_path, name):
    path = tmp_path / "tokenizer.json"
    tokenizer_json(path, chinese_texts.vocabulary(), lower=True, sets_apart=False, strips=False)
    config(tmp_path, **{name: True})
    does = "keeps accents" if name == "strip_accents" else "reads Chinese characters as letters of words"
    with pytest.raises(VocabularyError) as refused:
        KIND.load(path, Asked(), WORDPIECE_TOKENS)
    assert str(refused.value) == (
        f"{path} says that the model {does}, but tokenizer_config.json beside it says {name} true; correct the one "
        "that is wrong"
    )


def test_another_limit_of_unbroken_text_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer_json(path, chinese_texts.vocabulary(), lower=True, sets_apart=False)
    content = json.loads(path.read_text())
    content["model"]["max_input_chars_per_word"] = 50
    path.write_text(json.dumps(content))
    with pytest.raises(VocabularyError, match=r"model\.max_input_chars_per_word is 50, expected 100"):
        KIND.load(path, Asked(), WORDPIECE_TOKENS)


def test_further_tokens_may_be_chinese_words(vocab_file, tmp_path):
    path = tmp_path / "extra.txt"
    path.write_text("天气\n##天气\n", encoding="utf-8")
    tokenizer = BulkTokenizer(vocab_file, tokenize_chinese_chars=False)
    assert extend_wordpiece(tokenizer, path).tokenizer.tokenize("天气今天天气") == [
        "天气",
        "##今",
        "##天",
        "##天气",
    ]
    with pytest.raises(VocabularyError, match="the tokenizer makes 天 气 of '天气'"):
        extend_wordpiece(BulkTokenizer(vocab_file), path)
    path.write_text("中" * 101, encoding="utf-8")
    with pytest.raises(VocabularyError, match="has 101 characters, but words of more than 100 are not looked up"):
        extend_wordpiece(tokenizer, path)
