"""The text signature gives the windows of the featurizer and the answers of the decoder."""

import json

import numpy as np
import pytest
import tensorflow as tf

from processors.squad.examples import SquadExample
from processors.squad.passages import Passage
from tasks.span.ranking import DecodingSettings
from tasks.span.task import SpanSettings, SpanTask
from tokenization import BulkTokenizer

v1 = tf.compat.v1
TEXT_EN = (
    "Super Bowl 50 was an American football game (NFL) for the 2015 season. The café's owner, Zoë Müller-Smith, sat in "
    'Santa Clara, California; as this was the 50th game, "golden" themes were used. Fine cat \u4e2d\u6587 end. '
)
CASES = [
    ("Who won?", TEXT_EN),
    ("Where was it " * 12, TEXT_EN * 5),
    ("Where?", " \n"),
    ("谁？", "北京是首都，小明 住在北京。\u202f" * 30),
    ("", "one"),
    ("Who?", "\U00020000\U0001f600 emoji and more"),
]


@pytest.fixture(scope="module")
def tokenizer(vocab_dir):
    return BulkTokenizer(vocab_dir / "bert-base-uncased" / "vocab.txt")


@pytest.fixture(scope="module")
def served(tokenizer):
    """Answers of the graph under two sets of random logits, and those of the decoder under the same."""
    settings = SpanSettings(64, 20, 12, DecodingSettings(20, 12, True), "offsets")
    task = SpanTask(tokenizer, settings, {}, null_threshold=-3.0)
    signature = task.text_signature()
    questions, contexts = [case[0] for case in CASES], [case[1] for case in CASES]
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = signature.inputs()
        features = signature.features(inputs)
        shape = tf.shape(features["input_ids"])
        logits = {name: v1.placeholder(tf.float32, [None, None], name) for name in ("start_logits", "end_logits")}
        outputs = signature.outputs(logits)
        feed = {inputs["question"]: questions, inputs["context"]: contexts}
        found, size = session.run([features, shape], feed)
        results = []
        for seed in range(6):
            random = np.random.default_rng(seed)
            values = [np.where(found["input_mask"] > 0, random.normal(0, 3, size), -1e4).astype("f") for _ in range(2)]
            feed |= {logits["start_logits"]: values[0], logits["end_logits"]: values[1]}
            answered = session.run(outputs, feed)
            results.append((values, answered))
    examples = [SquadExample(str(i), q, Passage(c)) for i, (q, c) in enumerate(CASES)]
    return task, examples, found, results


def test_windows_are_those_of_the_featurizer(served):
    task, examples, found, _ = served
    row = 0
    for windows in task.featurizer.featurize(examples):
        for window in windows:
            for name in ("input_ids", "input_mask", "segment_ids"):
                length = len(window[name])
                assert found[name][row, :length].tolist() == window[name]
                assert not found[name][row, length:].any()
            row += 1
        row += not windows  # the graph gives an empty context a window
    assert row == len(found["input_ids"]) > len(examples)


def test_answers_are_those_of_the_decoder(served):
    task, examples, _, results = served
    withheld = given = 0
    for (starts, ends), answered in results:
        row = 0
        for index, (example, windows) in enumerate(zip(examples, task.featurizer.featurize(examples), strict=True)):
            decoded = task.decode(windows, list(zip(starts, ends, strict=True))[row : row + len(windows)])
            row += max(len(windows), 1)
            expected = decoded.answer(task.null_threshold)
            assert answered["answer"][index].decode() == expected.text
            if expected.text:
                given += 1
                assert example.passage.text[expected.start : expected.end] == expected.text
                assert (answered["start"][index], answered["end"][index]) == (expected.start, expected.end)
                np.testing.assert_allclose(answered["null_odds"][index], decoded.null_odds, rtol=1e-3, atol=1e-4)
                assert 0 < answered["score"][index] <= 1
            else:
                withheld += 1
                assert (answered["start"][index], answered["end"][index]) == (-1, -1)
                assert answered["score"][index] == answered["no_answer_score"][index]
    assert given > 10
    assert withheld > 5


@pytest.mark.slow
@pytest.mark.parametrize("lengths", [(384, 128, 64), (64, 20, 12)])
def test_tokenization_in_the_graph_passes_its_own_check(tokenizer, lengths):
    task = SpanTask(tokenizer, SpanSettings(*lengths), {})
    signature = task.text_signature()
    texts, examples = signature.parity_examples()
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = signature.inputs()
        found = session.run(signature.features(inputs), {inputs[name]: value for name, value in texts.items()})
    windows = [window for made in task.featurizer.featurize(examples) for window in made]
    assert len(found["input_ids"]) == len(windows) > len(examples)
    for row, window in enumerate(windows):
        length = len(window["input_ids"])
        assert found["input_ids"][row, :length].tolist() == window["input_ids"]
        assert found["segment_ids"][row, :length].tolist() == window["segment_ids"]


@pytest.mark.slow
def test_a_word_whose_length_changes_is_given_as_a_whole(tokenizer):
    settings = SpanSettings(64, 20, 12)
    task = SpanTask(tokenizer, settings, {})
    signature = task.text_signature()
    context = "x nul\u0000 (ca\u00adt), café's"
    window = next(task.featurizer.featurize([SquadExample("q", "who?", Passage(context))]))[0]
    with tf.Graph().as_default(), v1.Session() as session:
        inputs = signature.inputs()
        size = tf.shape(signature.features(inputs)["input_ids"])[1]
        position = v1.placeholder(tf.int32, [])
        logits = tf.one_hot([position], size) * 9.0
        outputs = signature.outputs({"start_logits": logits, "end_logits": logits})
        feed = {inputs["question"]: ["who?"], inputs["context"]: [context]}
        answer = lambda token: session.run(  # noqa: E731
            outputs["answer"],
            {**feed, position: window["input_ids"].index(tokenizer.vocab[token])},
        )[0].decode()
        assert answer("cat") == "(ca\u00adt),"
        assert answer("nu") == "nul\u0000"
        assert answer("cafe") == "café"


def test_parity_texts_cover_several_windows_and_none_is_empty(tokenizer):
    task = SpanTask(tokenizer, SpanSettings(), {})
    inputs, examples = task.text_signature().parity_examples()
    counts = [len(windows) for windows in task.featurizer.featurize(examples)]
    assert counts[-1] > 2
    assert set(counts[:-1]) == {1}
    assert inputs["context"] == [example.passage.text for example in examples]


def test_assets_hold_what_a_client_needs(tokenizer):
    assets = SpanTask(tokenizer, SpanSettings(), {}, 1.5).text_signature().assets()
    settings = json.loads(assets["tokenizer.json"])
    assert (settings["null_score_diff_threshold"], settings["problem_type"]) == (1.5, "span")
    assert assets["vocab.txt"].splitlines()[tokenizer.vocab["[SEP]"]] == "[SEP]"
