"""The specification: worked examples of each step, and upstream's own output."""

import json

import pytest

import tokenization
from common.errors import FlagError, VocabularyError
from tokenization import (
    BasicTokenizer,
    FullTokenizer,
    WordpieceTokenizer,
    check_vocabulary_casing,
    convert_by_vocab,
    convert_ids_to_tokens,
    convert_to_unicode,
    convert_tokens_to_ids,
    load_vocab,
    printable_text,
    validate_case_matches_checkpoint,
    whitespace_tokenize,
)


def test_all_names_what_is_public():
    assert sorted(tokenization.__all__) == sorted(set(tokenization.__all__))
    assert all(hasattr(tokenization, name) for name in tokenization.__all__)


@pytest.mark.parametrize(
    ("text", "lower", "cased"),
    [
        ("", [], []),
        (" \t\r\n\u00a0\u2028 ", [], []),
        (
            " \tHeLLo!how  \n Are yoU?  ",
            ["hello", "!", "how", "are", "you", "?"],
            ["HeLLo", "!", "how", "Are", "yoU", "?"],
        ),
        ("Où\u0301 ÉTÉ", ["ou", "ete"], ["Où\u0301", "ÉTÉ"]),
        ("ah\u535a\u63a8zz", ["ah", "\u535a", "\u63a8", "zz"], ["ah", "\u535a", "\u63a8", "zz"]),
        ("a\x00b\ufffdc\u200bd\x0be", ["abcde"], ["abcde"]),
        ("$5 + [MASK]", ["$", "5", "+", "[", "mask", "]"], ["$", "5", "+", "[", "MASK", "]"]),
        ("a\u2028b\u3000c", ["a", "b", "c"], ["a", "b", "c"]),
        ("ΟΔΥΣΣΕΥΣ ΣΑΣ.", ["οδυσσευς", "σας", "."], ["ΟΔΥΣΣΕΥΣ", "ΣΑΣ", "."]),
        ("İ K \u1fef", ["i", "k", "`"], ["İ", "K", "\u1fef"]),
        ("\u0301 x", ["x"], ["\u0301", "x"]),
        ("カナ 한", ["カナ", "\u1112\u1161\u11ab"], ["カナ", "한"]),
    ],
)
def test_basic_tokenizer(text, lower, cased):
    assert BasicTokenizer(do_lower_case=True).tokenize(text) == lower
    assert BasicTokenizer(do_lower_case=False).tokenize(text) == cased


def test_basic_tokenizer_reorders_kept_marks():
    # Combining classes 224 and 9: the second sorts first.
    assert BasicTokenizer().tokenize("a\u302e\u1b44") == ["a\u1b44\u302e"]


def test_basic_tokenizer_steps():
    basic = BasicTokenizer()
    assert basic._clean_text("a\tb\u00a0c\x07\ufffd\r\n") == "a b c  "
    assert basic._tokenize_chinese_chars("a中b") == "a 中 b"
    assert basic._run_strip_accents("élève") == "eleve"
    assert basic._run_split_on_punc("a--b.") == ["a", "-", "-", "b", "."]
    assert basic._run_split_on_punc("") == []


@pytest.mark.parametrize(
    "block",
    [
        (0x4E00, 0x9FFF),
        (0x3400, 0x4DBF),
        (0x20000, 0x2A6DF),
        (0x2A700, 0x2B73F),
        (0x2B740, 0x2B81F),
        (0x2B820, 0x2CEAF),
        (0xF900, 0xFAFF),
        (0x2F800, 0x2FA1F),
    ],
)
def test_chinese_blocks_are_closed_intervals(block):
    basic = BasicTokenizer()
    assert basic._is_chinese_char(block[0])
    assert basic._is_chinese_char(block[1])


@pytest.mark.parametrize("code_point", [0x3042, 0x30AB, 0xAC00, 0x33FF, 0x4DC0, 0xA000, 0xFB00, 0x2CEB0, 0x41])
def test_other_scripts_are_not_chinese(code_point):
    assert not BasicTokenizer()._is_chinese_char(code_point)


def test_character_classes():
    assert [char for char in " \t\r\n\u00a0\u3000A-\u2028" if tokenization._is_whitespace(char)] == list(
        " \t\r\n\u00a0\u3000"
    )
    assert [char for char in "\x05\x0b\u200bA \t\r\n" if tokenization._is_control(char)] == list("\x05\x0b\u200b")
    assert [char for char in "-$`.^~A 中。" if tokenization._is_punctuation(char)] == list("-$`.^~。")


PIECES = {
    piece: i
    for i, piece in enumerate(["[UNK]", "[CLS]", "[SEP]", "want", "##want", "##ed", "wa", "un", "runn", "##ing"])
}


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("unwanted running", ["un", "##want", "##ed", "runn", "##ing"]),
        ("unwantedX running", ["[UNK]", "runn", "##ing"]),
        ("wax wa", ["[UNK]", "wa"]),
        ("x" * 201, ["[UNK]"]),
    ],
)
def test_wordpiece(text, pieces):
    assert WordpieceTokenizer(PIECES).tokenize(text) == pieces


def test_wordpiece_counts_characters_and_not_bytes():
    vocab = {"é", "##é"}
    assert WordpieceTokenizer(vocab).tokenize("é" * 200) == ["é"] + ["##é"] * 199
    assert WordpieceTokenizer(vocab).tokenize("é" * 201) == ["[UNK]"]
    assert WordpieceTokenizer(vocab, "?", 3).tokenize("ééé éééé") == ["é", "##é", "##é", "?"]


def test_full_tokenizer_goes_there_and_back(tmp_path):
    vocab_file = tmp_path / "vocab.txt"
    vocab_file.write_text("".join(piece + "\n" for piece in [*PIECES, ","]))
    tokenizer = FullTokenizer(str(vocab_file), do_lower_case=True)
    pieces = tokenizer.tokenize("UNwant\u00e9d,running")
    assert pieces == ["un", "##want", "##ed", ",", "runn", "##ing"]
    assert tokenizer.convert_tokens_to_ids(pieces) == [7, 4, 5, 10, 8, 9]
    assert tokenizer.convert_ids_to_tokens([7, 4, 5, 10, 8, 9]) == pieces
    assert tokenizer.inv_vocab[3] == "want"


@pytest.mark.parametrize(("name", "do_lower_case"), [("uncased", True), ("cased", False), ("chinese", True)])
def test_full_tokenizer_gives_upstreams_pieces(golden, vocab_dir, name, do_lower_case):
    tokenizer = FullTokenizer(vocab_dir / f"bert-base-{name}" / "vocab.txt", do_lower_case)
    rows = [json.loads(line) for line in (golden / "tokenization.jsonl").read_bytes().split(b"\n") if line]
    assert len(rows) > 1500
    assert [row["text"] for row in rows if tokenizer.tokenize(row["text"]) != row[name]] == []


def test_text_helpers():
    assert convert_to_unicode("é") == convert_to_unicode("é".encode()) == printable_text("é".encode()) == "é"
    assert convert_to_unicode(b"a\xffb\xed\xa0\x80c") == "abc"
    assert whitespace_tokenize("  a\u3000b\n") == ["a", "b"]
    with pytest.raises(ValueError) as raised:
        convert_to_unicode(3)
    assert "expected str or bytes" in str(raised.value)


def test_conversions():
    assert convert_tokens_to_ids(PIECES, ["un", "##ed"]) == convert_by_vocab(PIECES, ["un", "##ed"]) == [7, 5]
    assert convert_ids_to_tokens({7: "un"}, [7, 7]) == ["un", "un"]


@pytest.mark.parametrize(
    ("folder", "trained_on_lower_case"),
    [
        ("uncased_L-24_H-1024_A-16", True),
        ("uncased_L-12_H-768_A-12", True),
        ("multilingual_L-12_H-768_A-12", True),
        ("chinese_L-12_H-768_A-12", True),
        ("wwm_uncased_L-24_H-1024_A-16", True),
        ("cased_L-12_H-768_A-12", False),
        ("cased_L-24_H-1024_A-16", False),
        ("multi_cased_L-12_H-768_A-12", False),
    ],
)
def test_casing_has_to_match_the_checkpoint(folder, trained_on_lower_case):
    checkpoint = f"/models/{folder}/bert_model.ckpt"
    validate_case_matches_checkpoint(trained_on_lower_case, checkpoint)
    with pytest.raises(FlagError) as raised:
        validate_case_matches_checkpoint(not trained_on_lower_case, checkpoint)
    flag = str(trained_on_lower_case).lower()
    assert f"set --do_lower_case={flag}" in str(raised.value)
    assert f"--init_checkpoint={checkpoint}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("checkpoint", [None, "", "/models/mine/bert_model.ckpt", "/cased_L-1_H-2_A-1/model.ckpt-7",
                                        "/other_L-1_H-2_A-1/bert_model.ckpt"])  # fmt: skip
def test_unknown_checkpoints_pass_with_either_casing(checkpoint):
    validate_case_matches_checkpoint(True, checkpoint)
    validate_case_matches_checkpoint(False, checkpoint)


@pytest.mark.parametrize(("name", "lower"), [("uncased", True), ("cased", False), ("chinese", True)])
def test_casing_has_to_match_the_vocabulary(vocab_dir, tmp_path, name, lower):
    vocab_file = vocab_dir / f"bert-base-{name}" / "vocab.txt"
    vocab = load_vocab(vocab_file)
    check_vocabulary_casing(lower, vocab, vocab_file)
    with pytest.raises(FlagError) as raised:
        check_vocabulary_casing(not lower, vocab, vocab_file)
    assert f"the tokens of {vocab_file} are {'lower-cased' if lower else 'cased'}" in str(raised.value)
    assert f"set --do_lower_case={str(lower).lower()}" in str(raised.value)


def test_settings_beside_the_vocabulary_say_how_it_was_learnt(tmp_path):
    vocab = {"[UNK]": 0, "word": 1}
    vocab_file = tmp_path / "vocab.txt"
    check_vocabulary_casing(True, vocab, vocab_file)
    check_vocabulary_casing(False, vocab, vocab_file)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text('{"do_lower_case": false}')
    check_vocabulary_casing(False, vocab, vocab_file)
    with pytest.raises(FlagError) as raised:
        check_vocabulary_casing(True, vocab, vocab_file)
    assert "tokenizer_config.json says that the model is cased; set --do_lower_case=false" in str(raised.value)
    settings.write_text('{"do_lower_case": "perhaps"}')
    check_vocabulary_casing(True, vocab, vocab_file)
    settings.write_text("{")
    with pytest.raises(VocabularyError) as unreadable:
        check_vocabulary_casing(True, vocab, vocab_file)
    assert "tokenizer_config.json: is not JSON (" in str(unreadable.value)
