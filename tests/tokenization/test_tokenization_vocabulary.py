"""Reading vocabularies, and every way in which that fails."""

import pytest

from common.errors import VocabularyError
from tokenization import PRETRAINING_TOKENS, BulkTokenizer, load_vocab


@pytest.fixture
def write(tmp_path):
    def _write(content: bytes):
        path = tmp_path / "vocab.txt"
        path.write_bytes(content)
        return path

    return _write


SPECIAL = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n"


def message(path, **kwargs) -> str:
    with pytest.raises(VocabularyError) as raised:
        load_vocab(path, **kwargs)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_ids_are_line_numbers(write):
    assert load_vocab(write(SPECIAL + b" a \nb\r\n##c")) == {
        "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "##c": 6,
    }  # fmt: skip


def test_only_line_feeds_end_lines(write):
    vocab = load_vocab(write(SPECIAL + "\u2028\na\u2028b\nc\x0bd\ne\u0085f\ng".encode()))
    assert list(vocab)[4:] == ["", "a\u2028b", "c\x0bd", "e\u0085f", "g"]
    assert vocab["g"] == 8


def test_byte_order_mark_is_no_part_of_the_first_piece(write):
    assert load_vocab(write(b"\xef\xbb\xbf" + SPECIAL))["[PAD]"] == 0


def test_vocabulary_without_padding_loads(write):
    assert load_vocab(write(b"[UNK]\n[CLS]\n[SEP]\n")) == {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}


def test_of_a_repeated_token_the_last_line_counts_with_a_warning(write, caplog):
    path = write(SPECIAL + b"a\nb\na\n\nb\n \n")
    vocab = load_vocab(path)
    assert list(vocab.items())[4:] == [("a", 6), ("b", 8), ("", 9)]
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: 'a' is on lines 5, 7 (and 2 more tokens); the last of them is its id, and the others are never used; "
        "take the vocab.txt that came with the checkpoint if that is another"
    )


def test_a_repeated_blank_line_is_called_one(write, caplog):
    assert load_vocab(write(SPECIAL + b"\na\n \n"))[""] == 6
    assert "a blank line is on lines 5, 7; the last" in caplog.text


def test_files_written_from_a_tokenizer_keep_repeated_lines(write):
    path = write(SPECIAL + b"a\nb\na\n")
    tokenizer = BulkTokenizer(path)
    assert tokenizer.assets()["vocab.txt"].encode() == path.read_bytes()
    assert tokenizer.convert_ids_to_tokens([4, 6]) == ["a", "a"]


def test_missing_special_tokens_are_named(write):
    path = write(b"[PAD]\n[CLS]\na\n")
    assert f"{path}: [UNK], [SEP] not among its 3 tokens, expected [UNK], [CLS], [SEP]" in message(path)


def test_caller_may_require_more(write):
    path = write(SPECIAL)
    assert "[MASK] not among its 4 tokens" in message(path, required=PRETRAINING_TOKENS)
    assert len(load_vocab(write(SPECIAL + b"[MASK]\n"), required=PRETRAINING_TOKENS)) == 5


def test_bad_utf8_is_located(write):
    path = write(SPECIAL + b"ab\xff\n")
    assert f"{path}:5: byte 0xff at position 2 is not UTF-8" in message(path)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_file(write, content):
    path = write(content)
    assert f"{path} is empty" in message(path)


def test_absent_file_and_directory(tmp_path):
    assert "cannot be read (No such file or directory)" in message(tmp_path / "none.txt")
    assert "cannot be read (Is a directory)" in message(tmp_path)


@pytest.mark.parametrize(("name", "size"), [("uncased", 30522), ("cased", 28996), ("chinese", 21128)])
def test_published_vocabularies(vocab_dir, name, size):
    vocab = load_vocab(vocab_dir / f"bert-base-{name}" / "vocab.txt", required=PRETRAINING_TOKENS)
    assert list(vocab.values()) == list(range(size))
    assert (vocab.get("") == 343) == (name == "chinese")


def test_vocabularies_of_small_checkpoints(shared):
    paths = sorted((shared / "data" / "checkpoints").glob("*/*vocab.txt"))
    assert sorted(len(load_vocab(path, required=PRETRAINING_TOKENS)) for path in paths) == [10, 15, 256]
