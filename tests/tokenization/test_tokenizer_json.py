"""WordPiece from a folder that holds `tokenizer.json` alone, as Hugging Face's library writes folders now."""

import json
import pickle

import pytest
from tokenizers import Tokenizer

from common.errors import FlagError, VocabularyError
from tests.support import tiny
from tokenization import WORDPIECE_TOKENS, BulkTokenizer, FullTokenizer
from tokenization.byte_bpe import BYTE_BPE_TOKENS
from tokenization.kinds import KINDS, Asked, kind_of_file
from tokenization.sentencepiece import SENTENCEPIECE_TOKENS

KIND = KINDS["wordpiece"]


@pytest.fixture
def path(tmp_path):
    return tiny.write_tokenizer_json(tmp_path / "tokenizer.json")


def changed(path, part, **values):
    content = json.loads(path.read_text())
    content[part] = {**(content[part] or {}), **values}
    path.write_text(json.dumps(content))


def refusal(path, error=VocabularyError) -> str:
    with pytest.raises(error) as raised:
        KIND.load(path, Asked(), WORDPIECE_TOKENS)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_tokenizer_is_that_of_a_vocabulary_file(path, tmp_path):
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    found = KIND.load(path, Asked(), WORDPIECE_TOKENS)
    assert found.fingerprint() == BulkTokenizer(tmp_path / "vocab.txt").fingerprint()
    texts = ["The film was very good!", "Böse nastyly"]
    assert found.encode(texts) == BulkTokenizer(tmp_path / "vocab.txt").encode(texts)
    assert found.encode(texts) == [Tokenizer.from_file(str(path)).encode(text).ids for text in texts]
    assert kind_of_file(path) is KIND
    assert KIND.files(path) == {"tokenizer.json": path}


def test_casing_is_that_of_the_file(path):
    with pytest.raises(FlagError, match="says that the model is lower-cased; set --do_lower_case=true"):
        KIND.load(path, Asked(False), WORDPIECE_TOKENS)
    changed(path, "normalizer", lowercase=False)
    assert "--do_lower_case=true, but" in refusal(path, FlagError)
    assert KIND.load(path, Asked(False), WORDPIECE_TOKENS).do_lower_case is False


ACCENTS = ["The Café was très Good!", "cafe\u0301 élève İstanbul", "Ünder ÅNGSTRÖM ñ 한국 è́"]


@pytest.mark.parametrize(("lower", "strips"), [(True, False), (False, True), (True, True), (False, None), (True, None)])
def test_accents_are_those_of_the_file(path, tmp_path, lower, strips):
    """As the Rust library computes them, and the specification."""
    changed(path, "normalizer", lowercase=lower, strip_accents=strips)
    letters = sorted({letter for text in ACCENTS for form in (text, text.lower()) for letter in form if letter != " "})
    letters += [letter for letter in "eoauniIAON" if letter not in letters]
    vocab = {token: index for index, token in enumerate([*tiny.TOKENS, *letters, *(f"##{one}" for one in letters)])}
    changed(path, "model", vocab={token: index for index, token in enumerate(dict.fromkeys(vocab))})
    found = KIND.load(path, Asked(lower), WORDPIECE_TOKENS)
    assert found.strip_accents == (lower if strips is None else strips)
    expected = [Tokenizer.from_file(str(path)).encode(text, add_special_tokens=False).ids for text in ACCENTS]
    assert found.encode(ACCENTS) == expected
    assert [found.encode_with_offsets(text).ids for text in ACCENTS] == expected
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in found.tokens))
    full = FullTokenizer(tmp_path / "vocab.txt", lower, strips)
    assert [full.tokenize(text) for text in ACCENTS] == [found.tokenize(text) for text in ACCENTS]
    other = not found.strip_accents
    with pytest.raises(FlagError) as refused:
        KIND.load(path, Asked(lower, other), WORDPIECE_TOKENS)
    assert str(refused.value) == (
        f"--strip_accents={str(other).lower()}, but {path} says that the model "
        f"{'keeps accents' if other else 'reads text without accents'}; set --strip_accents={str(not other).lower()}"
    )
    again = KIND.restored(tmp_path, found.settings(), WORDPIECE_TOKENS)
    assert again.fingerprint() == found.fingerprint()
    assert pickle.loads(pickle.dumps(found)).encode(ACCENTS) == expected


def test_accents_are_those_of_the_settings_beside_a_vocabulary(tmp_path):
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in [*tiny.TOKENS, "café", "cafe"]))
    vocab_file = tmp_path / "vocab.txt"
    assert KIND.load(vocab_file, Asked(), WORDPIECE_TOKENS).tokenize("Café") == ["cafe"]
    assert KIND.load(vocab_file, Asked(True, False), WORDPIECE_TOKENS).tokenize("Café") == ["café"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"strip_accents": False}))
    kept = KIND.load(vocab_file, Asked(), WORDPIECE_TOKENS)
    assert kept.tokenize("Café") == ["café"]
    assert KIND.stated(kept)["strip_accents"] is False
    with pytest.raises(FlagError, match=r"tokenizer_config\.json says that the model keeps accents; set --strip_acc"):
        KIND.load(vocab_file, Asked(True, True), WORDPIECE_TOKENS)
    with pytest.raises(FlagError, match="always keep accents; leave the flag out"):
        KINDS["byte_bpe"].load(tmp_path / "vocab.json", Asked(None, True), BYTE_BPE_TOKENS)
    with pytest.raises(FlagError, match="always drop accents; leave the flag out"):
        KINDS["sentencepiece"].load(tmp_path / "spiece.model", Asked(None, False), SENTENCEPIECE_TOKENS)


@pytest.mark.parametrize(
    ("part", "values", "told"),
    [
        ("normalizer", {"handle_chinese_chars": None}, "normalizer.handle_chinese_chars is None, expected True"),
        ("normalizer", {"clean_text": False}, "normalizer.clean_text is False, expected True"),
        ("normalizer", {"type": "Sequence"}, "normalizer.type is 'Sequence', expected 'BertNormalizer'"),
        ("pre_tokenizer", {"type": "Whitespace"}, "pre_tokenizer.type is 'Whitespace', expected 'BertPreTokenizer'"),
        ("model", {"continuing_subword_prefix": ""}, "model.continuing_subword_prefix is '', expected '##'"),
        ("model", {"type": "Unigram"}, "holds a tokenizer of type 'Unigram', expected WordPiece"),
        ("model", {"vocab": {"a": 1}}, "the ids of its 1 tokens are not 0, 1, 2, ..."),
        ("model", {"vocab": {"a": 0}}, "[UNK], [CLS], [SEP] not among its 1 tokens"),
        ("model", {"vocab": []}, "expected an id for each of its tokens"),
    ],
)
def test_another_tokenizer_is_refused(path, part, values, told):
    changed(path, part, **values)
    assert refusal(path).startswith(f"{path}: {told}")


def test_a_vocabulary_file_goes_first():
    assert KIND.names == ("vocab.txt", "tokenizer.json")
