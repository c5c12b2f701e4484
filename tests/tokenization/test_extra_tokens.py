"""Tokens of the user's in a vocabulary: where they go, and which are refused."""

import pytest

from common.errors import VocabularyError
from tests.support import tiny
from tokenization import BulkTokenizer
from tokenization.extra_tokens import extend


@pytest.fixture
def tokenizer(tmp_path):
    tokens = [*tiny.TOKENS, "[unused1]", "café", "[unused2]"]
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    return BulkTokenizer(tmp_path / "vocab.txt")


def test_unused_tokens_give_way_first(tokenizer, tmp_path):
    path = tmp_path / "extra.txt"
    path.write_text("aspirin\n\ngood\n##itis \naspirin\ncovid19\n", encoding="utf-8")
    found = extend(tokenizer, path)
    assert found.tokens == [*tiny.TOKENS, "aspirin", "café", "##itis", "covid19"]
    assert str(found) == "2 in the places of unused tokens, 1 behind the last, 1 were there before"
    grown = BulkTokenizer.of_tokens(found.tokens, True, tokenizer.special_tokens)
    assert grown.tokenize("Aspirin gooditis COVID19") == ["aspirin", "good", "##itis", "covid19"]
    again = extend(grown, path)
    assert (again.tokens, again.placed, again.appended, again.present) == (found.tokens, 0, 0, 4)


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
        extend(tokenizer, path)
    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)
    path.write_bytes(b"good\n\xff\n")
    with pytest.raises(VocabularyError, match=r"extra\.txt:2: byte 0xff at position 0 is not UTF-8"):
        extend(tokenizer, path)
    path.unlink()
    with pytest.raises(VocabularyError, match=r"--extra_tokens=.*extra\.txt cannot be read \(No such file.*; check it"):
        extend(tokenizer, path)
