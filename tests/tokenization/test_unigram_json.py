"""ALBERT's SentencePiece model out of the `tokenizer.json` that Hugging Face's library writes of it."""

import json
import shutil
from pathlib import Path

import pytest

from common.errors import BertError, FlagError
from tokenization import SentencePieceTokenizer
from tokenization.kinds import KINDS, Asked, kind_of, kind_of_file
from tokenization.sentencepiece import SENTENCEPIECE_TOKENS

KIND = KINDS["sentencepiece"]
DATA = Path(__file__).resolve().parents[1] / "data" / "families" / "albert" / "tokenizer"
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
FAMILY = ("sentencepiece", "wordpiece")


@pytest.fixture
def path(tmp_path):
    return Path(shutil.copy(DATA / "tokenizer.json", tmp_path / "tokenizer.json"))


def test_ids_are_those_of_the_model_and_of_the_library(path):
    assert kind_of_file(path) is KIND
    assert kind_of(FAMILY, path) == "sentencepiece"
    found = KIND.load(path, Asked(), SENTENCEPIECE_TOKENS)
    own = SentencePieceTokenizer(DATA / "spiece.model")
    assert found.tokens == own.tokens
    texts = [row["text"] for row in EXPECTED] + ["10, and 20,", "((.. --", "``a day''", "fine\u200bday"]
    assert found.encode(texts) == own.encode(texts)
    # The owner cuts a comma off a number and puts a blank before symbols; the library does neither.
    alike = [row for row in EXPECTED if not set("0-") & set(row["text"])]
    assert len(alike) == 2
    assert found.encode([row["text"] for row in alike]) == [row["ids"] for row in alike]
    assert KIND.files(path) == {"tokenizer.json": path}


def test_the_penalty_of_older_files_is_taken_back(path):
    content = json.loads(path.read_text())
    vocab = content["model"]["vocab"]
    content["model"]["vocab"] = [[one, score - 100 if one[-2:] in ("0,", "5,") else score] for one, score in vocab]
    assert content["model"]["vocab"] != vocab
    path.write_text(json.dumps(content))
    texts = [row["text"] for row in EXPECTED] + ["10, and 20, 5,"]
    own = SentencePieceTokenizer(DATA / "spiece.model")
    assert KIND.load(path, Asked(), SENTENCEPIECE_TOKENS).encode(texts) == own.encode(texts)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one["model"].update(type="BPE"), "holds a tokenizer of type 'BPE', expected Unigram"),
        (lambda one: one["model"].update(vocab=[["a"]]), "expected tokens with their scores, and unk_id"),
        (lambda one: one["model"].update(unk_id=None), "expected tokens with their scores, and unk_id"),
        (lambda one: one["model"]["vocab"][2].__setitem__(0, "[X]"), "[CLS] not among its tokens, expected"),
        (lambda one: one["normalizer"].update(normalizers=3), "its normalizer is no list of steps"),
        (lambda one: one["normalizer"]["normalizers"].pop(3), "its normalizer lacks StripAccents, unlike ALBERT's"),
        (lambda one: one["normalizer"]["normalizers"].append({"type": "Strip"}), "its normalizer has Strip, unlike"),
        (lambda one: one["normalizer"]["normalizers"].pop(), "--do_lower_case=true, but"),
    ],
)
def test_another_tokenizer_is_refused(path, change, message):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BertError) as refused:
        KIND.load(path, Asked(), SENTENCEPIECE_TOKENS)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_chinese_albert_has_a_wordpiece_vocabulary(tmp_path, path):
    assert kind_of(FAMILY, tmp_path / "vocab.txt") == "wordpiece"
    assert kind_of(FAMILY, tmp_path / "30k-clean.model") == kind_of(FAMILY, tmp_path / "model") == "sentencepiece"
    with pytest.raises(FlagError, match="says that the model is lower-cased"):
        KIND.load(path, Asked(False), SENTENCEPIECE_TOKENS)
