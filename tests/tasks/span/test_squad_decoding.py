"""Decoding gives upstream's answers from upstream's logits, and survives what made upstream fail."""

import json

import numpy as np
import pytest

from processors.squad.examples import SquadExample, SquadReader
from processors.squad.passages import Passage
from processors.squad.windows import SpanFeaturizer
from tasks.span.decoding import NO_CANDIDATE_ODDS, decode, decode_all
from tasks.span.ranking import DecodingSettings, QuestionLogits, ranked_spans, top_indexes
from tasks.span.text import SpanText, TextAligner, get_final_text
from tokenization import BasicTokenizer, BulkTokenizer

SETTINGS = DecodingSettings()
SETTINGS_V2 = DecodingSettings(version_2_with_negative=True)


@pytest.fixture(scope="module")
def tokenizer(vocab_dir):
    return BulkTokenizer(vocab_dir / "bert-base-uncased" / "vocab.txt")


@pytest.fixture(scope="module")
def featurizer(tokenizer):
    return SpanFeaturizer(tokenizer, 128, 48, 24)


def windows_of(featurizer, context, question="who?"):
    example = SquadExample("q", question, Passage(context))
    return [features["_window"] for features in next(featurizer.featurize([example]))]


def peaked(length, start, end, height=10.0):
    logits = np.zeros((2, length), np.float32)
    logits[0, start], logits[1, end] = height, height
    return logits[0], logits[1]


@pytest.mark.parametrize("version", [1, 2])
def test_answers_equal_upstreams(golden, tokenizer, featurizer, version):
    examples = list(SquadReader(golden / f"squad_v{version}.json", learns=False))
    stored = np.load(golden / f"squad_v{version}_logits.npz")
    rows = iter(zip(stored["start_logits"], stored["end_logits"], strict=True))
    settings = SETTINGS_V2 if version == 2 else SETTINGS
    locate = SpanText(tokenizer)
    decoded = {}
    for example, features in zip(examples, featurizer.featurize(examples), strict=True):
        windows = [window["_window"] for window in features]
        decoded[example.qas_id] = decode(windows, [next(rows) for _ in windows], locate, settings)
    assert next(rows, None) is None

    load = lambda name: json.loads((golden / f"squad_v{version}_{name}.json").read_text())  # noqa: E731
    assert {key: answer.answer(0.0).text for key, answer in decoded.items()} == load("predictions")
    if version == 1:  # which has no "no answer", whatever the threshold
        assert {key: answer.answer(-5.0).text for key, answer in decoded.items()} == load("predictions")
    for key, expected in load("nbest").items():
        found = decoded[key].entries
        assert [entry.text for entry in found] == [entry["text"] for entry in expected]
        for name in ("probability", "start_logit", "end_logit"):
            np.testing.assert_allclose(
                [getattr(entry, name) for entry in found], [entry[name] for entry in expected], rtol=1e-6, atol=1e-7
            )
    if version == 2:
        odds = load("null_odds")
        np.testing.assert_allclose([decoded[key].null_odds for key in odds], list(odds.values()), rtol=1e-6)


def test_offsets_are_those_of_the_text(golden, tokenizer, featurizer):
    examples = list(SquadReader(golden / "squad_v1.json", learns=False))
    stored = np.load(golden / "squad_v1_logits.npz")
    rows = iter(zip(stored["start_logits"], stored["end_logits"], strict=True))
    upstream, exact = SpanText(tokenizer), SpanText(tokenizer, "offsets")
    for example, features in zip(examples, featurizer.featurize(examples), strict=True):
        windows = [window["_window"] for window in features]
        logits = [next(rows) for _ in windows]
        context = example.passage.text
        by_text = decode(windows, logits, upstream, SETTINGS).entries
        by_offset = decode(windows, logits, exact, SETTINGS).entries
        assert all(" ".join(context[e.start : e.end].split()) == e.text for e in by_text)
        assert all(context[e.start : e.end] == e.text for e in by_offset)


@pytest.mark.parametrize(
    ("pred_text", "orig_text", "expected"),
    [
        ("steve smith", "Steve Smith's", "Steve Smith"),
        ("cafe", "(Café)", "Café"),
        ("b", "A  B  C", "B"),
        ("not there", "Steve Smith's", "Steve Smith's"),
        ("", "Steve", "Steve"),
        # A ligature is one character that stays one; a dropped character makes the counts differ: all is given back.
        ("cat", "a\u00adcat sat", "a\u00adcat sat"),
        ("a a", "x a a", "a a"),
    ],
)
def test_final_text_keeps_case_accents_and_inner_blanks_of_the_original(pred_text, orig_text, expected):
    assert get_final_text(pred_text, orig_text, do_lower_case=True) == expected


def test_final_text_of_a_cased_model_does_not_match_other_case():
    assert get_final_text("steve", "Steve's", do_lower_case=False) == "Steve's"
    assert get_final_text("Steve", "Steve's", do_lower_case=False) == "Steve"


def test_exact_offsets_take_part_of_a_word_where_alignment_falls_back(tokenizer, featurizer):
    windows = windows_of(featurizer, "the ca\u00adt, sat")
    window = windows[0]
    pieces = tokenizer.convert_ids_to_tokens(window.document.ids)
    place = window.offset + pieces.index("cat")
    assert SpanText(tokenizer)(window, place, place).text == "ca\u00adt,"
    assert SpanText(tokenizer, "offsets")(window, place, place) == ("ca\u00adt", 4, 8)


def test_chinese_answer_is_cut_out_of_text_without_blanks(vocab_dir):
    tokenizer = BulkTokenizer(vocab_dir / "bert-base-chinese" / "vocab.txt")
    context = "小明住在北京，他喜欢喝茶。 他的 朋友住在上海。"
    window = windows_of(SpanFeaturizer(tokenizer, 64, 16, 16), context, "他的朋友住在哪里？")[0]
    characters = [context.index("上海"), context.index("上海") + 1]
    words = [window.document.passage.word_at(char) for char in characters]
    first, last = (window.document.word_pieces[word] + window.offset for word in words)
    logits = peaked(64, first, last)
    for answer_text in ("upstream", "offsets"):
        answer = decode([window], [logits], SpanText(tokenizer, answer_text), SETTINGS).answer(0.0)
        assert (answer.text, context[answer.start : answer.end]) == ("上海", "上海")
    # Blanks stand where they stood, and nowhere else.
    span = SpanText(tokenizer)(window, first - 6, last)
    assert span.text == context[span.start : span.end] == "他的 朋友住在上海"


def test_two_windows_give_one_ranked_list(tokenizer, featurizer):
    context = " ".join(f"a{i}" for i in range(100))
    windows = windows_of(featurizer, context)
    assert len(windows) > 2
    flat = (np.zeros(128, np.float32), np.zeros(128, np.float32))
    owner = next(i for i, window in enumerate(windows) if i and window.is_max_context[60])
    logits = [flat] * len(windows)
    logits[owner] = peaked(128, windows[owner].offset + 60, windows[owner].offset + 61)
    decoded = decode(windows, logits, SpanText(tokenizer), SETTINGS)
    assert decoded.best.window == owner
    assert decoded.best.probability > 0.99
    assert sum(entry.probability for entry in decoded.entries) == pytest.approx(1)


def test_ties_keep_the_order_of_positions():
    rows = np.array([[0.0, 2.0, 1.0, 2.0, 1.0], [3.0, 3.0, 3.0, 3.0, 3.0]])
    assert top_indexes(rows, 4).tolist() == [[1, 3, 2, 4], [0, 1, 2, 3]]


@pytest.mark.parametrize("count", [1, 5, 20, 60, 99])
def test_the_largest_are_those_of_a_stable_sort(count):
    random = np.random.default_rng(count)
    rows = random.normal(0, 3, (40, 60))
    rows[10:30] = rows[10:30].round()  # ties, also where the count cuts
    rows[20:25, ::4], rows[25:35, 40:], rows[35, :] = -np.inf, np.nan, 0.0
    expected = [np.argsort(-row, kind="stable")[:count].tolist() for row in rows]
    assert top_indexes(rows, count).tolist() == expected


def spans_one_by_one(window, start_logits, end_logits, settings):
    """All candidates of a window, by the plain loops of the description."""
    best = lambda logits: sorted(range(len(logits)), key=lambda i: -logits[i])[: settings.n_best_size]  # noqa: E731
    context = range(window.offset, window.offset + window.length)
    return [
        (start, end)
        for start in best(start_logits)
        for end in best(end_logits)
        if start in context and end in context and start <= end < start + settings.max_answer_length
        if window.is_max_context[start - window.offset]
    ]


@pytest.mark.parametrize("rounded", [False, True])
def test_questions_decoded_together_are_ranked_one_by_one(tokenizer, featurizer, rounded):
    random = np.random.default_rng(5)
    settings = DecodingSettings(6, 9, True)
    asked = []
    for length in (1, 100, 0, 7, 300, 40):
        windows = windows_of(featurizer, " ".join(f"a{i}" for i in range(length)))
        sizes = [window.offset + window.length + 1 for window in windows]
        logits = [random.normal(0, 2, (2, size)).astype(np.float32) for size in sizes]
        asked.append(QuestionLogits(windows, [tuple(one.round() if rounded else one) for one in logits]))
    for question, ranked in zip(asked, ranked_spans(asked, [None] * len(asked), settings), strict=True):
        expected = [
            (number, start, end, float(logits[0][start]), float(logits[1][end]))
            for number, (window, logits) in enumerate(zip(*question, strict=True))
            for start, end in spans_one_by_one(window, *logits, settings)
        ]
        assert list(ranked) == sorted(expected, key=lambda span: -(span[3] + span[4]))
    locate = SpanText(tokenizer)
    together = decode_all(asked, locate, settings)
    alone = [decode(*question, locate, settings) for question in asked]
    listed = lambda found: [(e.text, e.probability, e.window, e.place) for e in found.entries]  # noqa: E731
    assert [(listed(found), found.null_odds) for found in together] == [
        (listed(found), found.null_odds) for found in alone
    ]


def test_repeated_texts_are_passed_over_until_the_list_is_full(tokenizer, featurizer):
    context = " ".join(["cat"] * 30 + ["dog"])
    (window,) = windows_of(featurizer, context)
    start = np.zeros(128, np.float32)
    start[window.offset : window.offset + 30] = 5.0
    start[window.offset + 30] = 1.0
    one_piece = DecodingSettings(n_best_size=31, max_answer_length=1)
    decoded = decode([window], [(start, start)], SpanText(tokenizer), one_piece)
    assert [(entry.text, entry.place) for entry in decoded.entries] == [("cat", (0, 3)), ("dog", (120, 123))]


@pytest.mark.parametrize("do_lower_case", [True, False])
def test_spans_of_ascii_are_aligned_as_any_text(vocab_dir, do_lower_case):
    name = "bert-base-uncased" if do_lower_case else "bert-base-cased"
    tokenizer = BulkTokenizer(vocab_dir / name / "vocab.txt", do_lower_case)
    random = np.random.default_rng(3)
    letters = [*"aAbB1.,-'#$_ ", "the ", "Player", "x" * 201, "\x7f", "é", "\x0b"]
    common = [0.07] * 13 + [0.03, 0.03, 0.002, 0.01, 0.01, 0.008]
    aligner, locate = TextAligner(do_lower_case), SpanText(tokenizer)
    featurizer = SpanFeaturizer(tokenizer, 384, 128, 24)
    seen = 0
    for _ in range(150):
        context = "".join(random.choice(letters, 40, p=np.array(common) / sum(common)))
        for window in windows_of(featurizer, context):
            document = window.document
            for first in range(window.length):
                last = int(random.integers(first, window.length))
                tokens = " ".join(tokenizer.convert_ids_to_tokens(document.ids[first : last + 1]))
                words = document.passage.words_text(document.piece_words[first], document.piece_words[last])
                begin, end = aligner.span(tokens.replace(" ##", "").replace("##", ""), words)
                found = locate(window, window.offset + first, window.offset + last)
                assert found.text == words[begin:end], (context, tokens)
                assert locate.text(window, window.offset + first, window.offset + last) == found.text
                seen += found.text != words
    assert seen > 500


def test_normalised_ascii_words_are_those_of_the_tokenizer():
    random = np.random.default_rng(4)
    for do_lower_case in (True, False):
        aligner, basic = TextAligner(do_lower_case), BasicTokenizer(do_lower_case)
        for _ in range(500):
            word = "".join(map(chr, random.integers(33, 127, 12)))
            assert aligner._normalized(word) == " ".join(basic.tokenize(word))


def test_empty_context_is_answered_with_nothing(tokenizer):
    for settings, odds in ((SETTINGS, 0.0), (SETTINGS_V2, NO_CANDIDATE_ODDS)):
        decoded = decode([], [], SpanText(tokenizer), settings)
        assert decoded.answer(0.0).text == ""
        assert [entry._asdict()["text"] for entry in decoded.entries] == [""]
        assert decoded.entries[0].probability == 1.0
        assert decoded.null_odds == odds


def test_only_the_null_span_survives(tokenizer, featurizer):
    windows = windows_of(featurizer, "the cat sat")
    only_null = DecodingSettings(n_best_size=1, version_2_with_negative=True)
    logits = peaked(128, 0, 0)
    decoded = decode(windows, [logits], SpanText(tokenizer), only_null)
    assert (decoded.best, decoded.null_odds) == (None, NO_CANDIDATE_ODDS)
    assert decoded.answer(1e9).text == ""


def test_one_candidate(tokenizer, featurizer):
    windows = windows_of(featurizer, "Cat")
    position = windows[0].offset
    decoded = decode(windows, [peaked(128, position, position)], SpanText(tokenizer), DecodingSettings(n_best_size=1))
    assert [(entry.text, entry.probability) for entry in decoded.entries] == [("Cat", 1.0)]


def test_answers_are_not_longer_than_allowed(tokenizer, featurizer):
    windows = windows_of(featurizer, "one two three four five")
    first = windows[0].offset
    logits = peaked(128, first, first + 3)
    longest = max(
        len(entry.text.split())
        for entry in decode(windows, [logits], SpanText(tokenizer), DecodingSettings(max_answer_length=2)).entries
    )
    assert longest == 2


def test_threshold_decides_between_answer_and_none(tokenizer, featurizer):
    windows = windows_of(featurizer, "the cat sat")
    start, end = peaked(128, windows[0].offset + 1, windows[0].offset + 1, 3.0)
    start[0] = end[0] = 4.0
    decoded = decode(windows, [(start, end)], SpanText(tokenizer), SETTINGS_V2)
    assert decoded.null_odds == pytest.approx(2.0)
    assert decoded.answer(1.9).text == ""
    assert decoded.answer(2.0).text == "cat"
    assert decoded.null.probability > decoded.best.probability
