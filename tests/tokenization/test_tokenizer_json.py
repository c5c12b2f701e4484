"""WordPiece from a folder that holds `tokenizer.json` alone, as Hugging Face's library writes folders now."""

import json

import pytest
from tokenizers import Tokenizer

from common.errors import FlagError, VocabularyError
from tests.support import tiny
from tokenization import WORDPIECE_TOKENS, BulkTokenizer
from tokenization.kinds import KINDS, kind_of_file

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
        KIND.load(path, None, WORDPIECE_TOKENS)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_tokenizer_is_that_of_a_vocabulary_file(path, tmp_path):
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    found = KIND.load(path, None, WORDPIECE_TOKENS)
    assert found.fingerprint() == BulkTokenizer(tmp_path / "vocab.txt").fingerprint()
    texts = ["The film was very good!", "Böse nastyly"]
    assert found.encode(texts) == BulkTokenizer(tmp_path / "vocab.txt").encode(texts)
    assert found.encode(texts) == [Tokenizer.from_file(str(path)).encode(text).ids for text in texts]
    assert kind_of_file(path) is KIND
    assert KIND.files(path) == {"tokenizer.json": path}


def test_casing_is_that_of_the_file(path):
    with pytest.raises(FlagError, match="says that the model is lower-cased; set --do_lower_case=true"):
        KIND.load(path, False, WORDPIECE_TOKENS)
    changed(path, "normalizer", lowercase=False)
    assert "--do_lower_case=true, but" in refusal(path, FlagError)
    assert KIND.load(path, False, WORDPIECE_TOKENS).do_lower_case is False


@pytest.mark.parametrize(
    ("part", "values", "told"),
    [
        ("normalizer", {"strip_accents": False}, "strips accents apart from lower-casing"),
        ("normalizer", {"handle_chinese_chars": False}, "normalizer.handle_chinese_chars is False, expected True"),
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
