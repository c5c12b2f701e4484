"""SentencePiece: the ids of google-research/albert's tokenizer."""

import json
import pickle

import pytest
from hypothesis import example, given, settings

from common.errors import FlagError, VocabularyError
from processors.records.pair_layout import PairLayout
from tests.support import tiny, tokenization_texts
from tokenization import SentencePieceTokenizer
from tokenization.kinds import KINDS, Asked, of_assets
from tokenization.sentencepiece import SENTENCEPIECE_TOKENS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write_sentencepiece(tmp_path_factory.mktemp("sentencepiece") / "spiece.model")


@pytest.fixture(scope="module")
def tokenizer(model):
    return SentencePieceTokenizer(model)


@pytest.fixture(scope="module")
def published(vocab_dir):
    return SentencePieceTokenizer(vocab_dir / "albert-base-en" / "30k-clean.model")


def test_golden(golden, published):
    lines = (golden / "families" / "albert" / "tokenization.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    found = published.encode([row["text"] for row in rows])
    assert [row["text"] for row, ids in zip(rows, found, strict=True) if ids != row["ids"]] == []
    # By another path than `encode`, token by token.
    offsets = [published.encode_with_offsets(row["text"]) for row in rows]
    assert [row["text"] for row, one in zip(rows, offsets, strict=True) if one.ids != row["ids"]] == []


def test_ties_between_permutations_of_tokens_are_those_of_the_release_that_trained_the_model(published):
    # As tensorflow_text 2.15, which has the library of that time: later releases choose otherwise.
    assert published.encode(["汗xxxxx"]) == [[13, 1, 13290, 8962]]


def test_a_comma_behind_a_digit_is_a_token_of_its_own(tokenizer):
    assert "\u258110," in tokenizer.vocab
    assert "0," in tokenizer.vocab
    for text in ("10, 20", "10,", "a00,000"):
        tokens = tokenizer.tokenize(text)
        assert not any(len(token) > 1 and token.endswith(",") for token in tokens)
        assert "".join(map(tokenizer.letters, tokens)) == text.replace(" ", "")
        assert tokenizer.encode([text]) == [tokenizer.encode_with_offsets(text).ids]


def test_text_is_normalized_as_albert_does(tokenizer):
    assert tokenizer.encode(["  A Dáy \t was ", "ﬁne"]) == tokenizer.encode(["a day was", "fine"])


@pytest.mark.parametrize("text", ["", " ", "\u200b\u200b\u200b", "\u0301\u0301\u0301", "\ufffd\ufffd\ufffd", "\n\n\n"])
def test_what_holds_no_text_has_no_tokens(tokenizer, text):
    assert tokenizer.encode([text]) == [[]]
    assert tokenizer.encode_with_offsets(text).ids == []


def test_a_text_never_contains_a_control_symbol(model):
    tokenizer = SentencePieceTokenizer(model, do_lower_case=False)
    controls = tokenizer.convert_tokens_to_ids(["[CLS]", "[SEP]", "[MASK]", "<pad>"])
    for text in ["[MASK]", "[CLS]aaa", "a [SEP] day", "<pad>aaa", "[MASK][MASK][MASK]"]:
        ids = tokenizer.encode([text])[0]
        assert set(ids).isdisjoint(controls)
        assert tokenizer.encode_with_offsets(text).ids == ids


def test_property_offsets_are_within_the_text_and_ids_those_of_encode(tokenizer):
    @settings(max_examples=150, deadline=None)
    @given(tokenization_texts.texts)
    @example("\u1112\u1161\u11ab \u1112")
    @example("…… it was. fine")
    def same(text):
        encoding = tokenizer.encode_with_offsets(text)
        assert encoding.ids == tokenizer.encode([text])[0]
        places = list(zip(encoding.starts, encoding.ends, strict=True))
        assert all(0 <= start <= end <= len(text) for start, end in places)
        assert encoding.starts == sorted(encoding.starts)

    same()


def test_offsets_are_those_of_the_letters(tokenizer):
    text = "The 汗字 day, Ådvery\u2003fine"
    encoding = tokenizer.encode_with_offsets(text)
    for token, start, end in zip(encoding.tokens, encoding.starts, encoding.ends, strict=True):
        found = text[start:end].lower().replace("å", "a")
        assert found == ("汗字" if token == "<unk>" else tokenizer.letters(token) or found[:1])
    assert "<unk>" in encoding.tokens


def test_tokens_and_text_go_back(tokenizer):
    ids = tokenizer.encode(["the film was good"])[0]
    tokens = tokenizer.convert_ids_to_tokens(ids)
    assert tokenizer.text(tokens) == "the film was good"
    assert tokenizer.convert_tokens_to_ids(tokens) == ids
    assert [tokenizer.continues_word(token) for token in ("\u2581day", "er")] == [False, True]
    assert tokenizer.encode_words(["film", "was"]) == tokenizer.encode(["film", "was"])


def test_special_tokens_and_pairs(tokenizer):
    ids = tokenizer.special_ids
    assert (ids.pad, ids.unk, ids.cls, ids.sep, ids.mask) == (0, 1, 2, 3, 4)
    (a,), (b,) = tokenizer.encode(["the day"]), tokenizer.encode(["it was"])
    joined, segments = PairLayout.of(tokenizer).join(a, b)
    assert joined == [2, *a, 3, *b, 3]
    assert segments == [0] * (len(a) + 2) + [1] * (len(b) + 1)


def test_copies_are_alike(tokenizer, tmp_path):
    (tmp_path / "spiece.model").write_bytes(tokenizer.assets()["spiece.model"])
    for copy in (pickle.loads(pickle.dumps(tokenizer)), of_assets(tmp_path, tokenizer.settings())):
        assert copy.fingerprint() == tokenizer.fingerprint()
        assert copy.encode(["the film"]) == tokenizer.encode(["the film"])


def test_casing_is_another_tokenizer(model, tokenizer):
    cased = SentencePieceTokenizer(model, do_lower_case=False)
    assert cased.encode(["Day"]) != tokenizer.encode(["Day"])
    assert cased.encode(["dáy"]) == tokenizer.encode(["day"])
    assert cased.fingerprint() != tokenizer.fingerprint()
    assert cased.settings()["do_lower_case"] is False


def test_one_text_is_a_mistake(tokenizer):
    with pytest.raises(TypeError):
        tokenizer.encode("the film")


def refusal(path) -> str:
    with pytest.raises(VocabularyError) as raised:
        SentencePieceTokenizer(path)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "spiece.model"
    assert refusal(path).startswith(f"{path}: cannot be read (No such file or directory)")
    path.write_text("[PAD]\n[UNK]\n")
    assert refusal(path).startswith(f"{path}: is no SentencePiece model (")
    import sentencepiece

    with path.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a day"] * 9), model_writer=stream, vocab_size=20, hard_vocab_limit=False,
            minloglevel=2,
        )  # fmt: skip
    assert refusal(path).startswith(f"{path}: [CLS] not among its tokens, expected <unk>, [CLS], [SEP]; take the model")


def test_what_a_folder_asks_for(model, tmp_path):
    kind = KINDS["sentencepiece"]
    path = tmp_path / "30k-clean.model"
    path.write_bytes(model.read_bytes())
    config = tmp_path / "tokenizer_config.json"
    config.write_text('{"do_lower_case": true, "keep_accents": false, "tokenizer_class": "AlbertTokenizerFast"}')
    loaded = kind.load(path, Asked(), SENTENCEPIECE_TOKENS)
    kind.check(loaded, path, ["AlbertTokenizer"])
    assert kind.files(path) == {"spiece.model": path}
    with pytest.raises(FlagError) as wrong:
        kind.load(path, Asked(False), SENTENCEPIECE_TOKENS)
    assert "says that the model is lower-cased" in str(wrong.value)
    for content, said in (
        ('{"keep_accents": true}', "keep_accents is true, but accents are always dropped here"),
        ('{"cls_token": "<s>"}', "cls_token is <s>, expected [CLS]"),
        ('{"tokenizer_class": "XLNetTokenizer"}', "tokenizer_class is XLNetTokenizer, expected AlbertTokenizer or one"),
    ):
        config.write_text(content)
        with pytest.raises(VocabularyError) as raised:
            kind.check(loaded, path, ["AlbertTokenizer"])
        assert f"{config}: {said}" in str(raised.value)


def test_padding_of_another_id_is_refused(tmp_path):
    import sentencepiece

    path = tmp_path / "spiece.model"
    with path.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a day"] * 9), model_writer=stream, vocab_size=20, hard_vocab_limit=False,
            pad_id=1, unk_id=0, bos_id=-1, eos_id=-1, control_symbols=["[CLS]", "[SEP]"], minloglevel=2,
        )  # fmt: skip
    kind = KINDS["sentencepiece"]
    with pytest.raises(VocabularyError) as raised:
        kind.check(kind.load(path, Asked(), SENTENCEPIECE_TOKENS), path, ["AlbertTokenizer"])
    assert f"{path}: <pad> has the id 1, expected 0" in str(raised.value)
