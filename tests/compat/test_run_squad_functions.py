"""Reading comprehension through upstream's functions: its records, its answers, and a whole script in its form."""

import collections
import json
import random

import numpy as np
import pytest
import tensorflow as tf

import run_squad
from common.errors import BertError, DataError, FlagError
from modeling import BertConfig
from tests.command_line.test_run_squad import example_file, write_model
from tokenization import FullTokenizer

tf1 = tf.compat.v1
LENGTHS = {"max_seq_length": 128, "doc_stride": 48, "max_query_length": 24}
OUTPUTS = ("predictions.json", "nbest_predictions.json", "null_odds.json")


@pytest.fixture(scope="module")
def uncased(vocab_dir):
    return FullTokenizer(str(vocab_dir / "bert-base-uncased" / "vocab.txt"), do_lower_case=True)


def convert(examples, tokenizer, output_fn, is_training=False, **lengths):
    run_squad.convert_examples_to_features(
        examples=examples, tokenizer=tokenizer, is_training=is_training, output_fn=output_fn, **(lengths or LENGTHS)
    )


def records(path):
    return [
        {name: list(feature.int64_list.value) for name, feature in example.features.feature.items()}
        for example in (tf.train.Example.FromString(row.numpy()) for row in tf.data.TFRecordDataset(str(path)))
    ]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("is_training", "source", "name"), [(True, "_train", "train"), (False, "", "predict")])
def test_records_are_upstreams(golden, uncased, tmp_path, version, is_training, source, name):
    examples = run_squad.read_squad_examples(str(golden / f"squad_v{version}{source}.json"), is_training, version == 2)
    writer = run_squad.FeatureWriter(str(tmp_path / "made.tf_record"), is_training)
    convert(examples, uncased, writer.process_feature, is_training)
    assert not (tmp_path / "made.tf_record").exists()
    writer.close()
    expected = records(golden / f"squad_v{version}_{name}.tf_record")
    assert records(writer.filename) == expected
    assert writer.num_features == len(expected)


@pytest.mark.parametrize("version", [1, 2])
def test_predictions_are_upstreams(golden, uncased, tmp_path, version):
    examples = run_squad.read_squad_examples(str(golden / f"squad_v{version}.json"), is_training=False)
    ids = [example.qas_id for example in examples]
    for number, example in enumerate(examples):
        example.qas_id = number  # as people number their questions; JSON has texts
    features = []
    convert(examples, uncased, features.append)
    stored = np.load(golden / f"squad_v{version}_logits.npz")
    rows = zip(stored["start_logits"].tolist(), stored["end_logits"].tolist(), strict=True)
    results = [run_squad.RawResult(one.unique_id, *row) for one, row in zip(features, rows, strict=True)]
    random.Random(3).shuffle(results)
    files = [str(tmp_path / name) for name in OUTPUTS]
    # Version 1 has no "no answer", whatever the threshold.
    options = {"version_2_with_negative": version == 2, "null_score_diff_threshold": 0.0 if version == 2 else -5.0}
    run_squad.write_predictions(examples, features, results, 20, 30, True, *files, **options)
    for name, golden_name in zip(OUTPUTS, ("predictions", "nbest", "null_odds"), strict=True):
        if name == "null_odds.json" and version == 1:
            assert not (tmp_path / name).exists()
            continue
        found = json.loads((tmp_path / name).read_text())
        expected = json.loads((golden / f"squad_v{version}_{golden_name}.json").read_text())
        assert list(found) == [str(number) for number in range(len(ids))]
        found = {ids[int(number)]: value for number, value in found.items()}
        assert texts_and_numbers(found)[0] == texts_and_numbers(expected)[0]
        np.testing.assert_allclose(texts_and_numbers(found)[1], texts_and_numbers(expected)[1], rtol=1e-6, atol=1e-7)


def texts_and_numbers(content):
    """The strings and the numbers of a prediction file, in order."""
    texts, numbers = [], []
    waiting = collections.deque(content.items())
    while waiting:
        key, value = waiting.popleft()
        if isinstance(value, dict):
            waiting.extend(value.items())
        elif isinstance(value, list):
            waiting.extend((f"{key}-{index}", entry) for index, entry in enumerate(value))
        elif isinstance(value, str):
            texts.append((key, value))
        else:
            numbers.append(value)
    return texts, numbers


def upstreams_main(settings):
    """What upstream's `run_squad.main` does, call by call, with `tf.contrib` replaced by what TensorFlow 2 has."""
    bert_config = BertConfig.from_json_file(settings.bert_config_file)
    run_squad.validate_flags_or_throw(bert_config)
    tokenizer = FullTokenizer(vocab_file=settings.vocab_file, do_lower_case=settings.do_lower_case)
    run_config = tf1.estimator.tpu.RunConfig(
        model_dir=settings.output_dir,
        tf_random_seed=1,
        save_checkpoints_steps=1000,
        tpu_config=tf1.estimator.tpu.TPUConfig(iterations_per_loop=1000),
    )
    train_examples = run_squad.read_squad_examples(input_file=settings.train_file, is_training=True)
    random.Random(12345).shuffle(train_examples)
    num_train_steps = int(len(train_examples) / settings.train_batch_size * 2)
    model_fn = run_squad.model_fn_builder(
        bert_config=bert_config,
        init_checkpoint=settings.init_checkpoint,
        learning_rate=3e-3,
        num_train_steps=num_train_steps,
        num_warmup_steps=1,
        use_tpu=False,
        use_one_hot_embeddings=False,
    )
    estimator = tf1.estimator.tpu.TPUEstimator(
        use_tpu=False, model_fn=model_fn, config=run_config, train_batch_size=settings.train_batch_size,
        predict_batch_size=8,
    )  # fmt: skip
    lengths = {name: getattr(settings, name) for name in ("max_seq_length", "doc_stride", "max_query_length")}
    train_writer = run_squad.FeatureWriter(f"{settings.output_dir}/train.tf_record", is_training=True)
    convert(train_examples, tokenizer, train_writer.process_feature, is_training=True, **lengths)
    train_writer.close()
    train_input_fn = run_squad.input_fn_builder(
        input_file=train_writer.filename, seq_length=settings.max_seq_length, is_training=True, drop_remainder=True
    )
    estimator.train(input_fn=train_input_fn, max_steps=num_train_steps)

    eval_examples = run_squad.read_squad_examples(input_file=settings.predict_file, is_training=False)
    eval_writer = run_squad.FeatureWriter(f"{settings.output_dir}/eval.tf_record", is_training=False)
    eval_features = []

    def append_feature(feature):
        eval_features.append(feature)
        eval_writer.process_feature(feature)

    convert(eval_examples, tokenizer, append_feature, is_training=False, **lengths)
    eval_writer.close()
    predict_input_fn = run_squad.input_fn_builder(
        input_file=eval_writer.filename, seq_length=settings.max_seq_length, is_training=False, drop_remainder=False
    )
    all_results = [
        run_squad.RawResult(
            unique_id=int(result["unique_ids"]),
            start_logits=[float(x) for x in result["start_logits"].flat],
            end_logits=[float(x) for x in result["end_logits"].flat],
        )
        for result in estimator.predict(predict_input_fn, yield_single_examples=True)
    ]
    files = [f"{settings.output_dir}/{name}" for name in OUTPUTS]
    run_squad.write_predictions(
        eval_examples, eval_features, all_results, settings.n_best_size, settings.max_answer_length,
        settings.do_lower_case, *files,
    )  # fmt: skip
    return num_train_steps


def test_a_script_in_upstreams_form_answers_as_ours_does(tmp_path, program_flags):
    """On Chinese, whose words have no blanks between them; upstream's golden files are English."""
    model = write_model(tmp_path, "zh")
    folder, ours = tmp_path / "theirs", tmp_path / "ours"
    folder.mkdir()
    settings = program_flags(
        vocab_file=str(tmp_path / "vocab.txt"), bert_config_file=str(tmp_path / "bert_config.json"),
        output_dir=str(folder), init_checkpoint="", do_lower_case=True, do_train=True, do_predict=True,
        train_file=str(example_file("zh", "train")), predict_file=str(example_file("zh", "dev")),
        max_seq_length=64, doc_stride=16, max_query_length=20, max_answer_length=16, n_best_size=10,
        train_batch_size=8, version_2_with_negative=True, null_score_diff_threshold=-0.5,
    )  # fmt: skip
    steps = upstreams_main(settings)
    same = ("max_seq_length", "doc_stride", "max_query_length", "max_answer_length", "n_best_size", "predict_file")
    run_squad.main(
        ["run_squad.py", *model, *(f"--{name}={getattr(settings, name)}" for name in same), "--do_predict",
         f"--init_checkpoint={folder / f'model.ckpt-{steps}'}", f"--output_dir={ours}", "--version_2_with_negative",
         "--null_score_diff_threshold=-0.5"]
    )  # fmt: skip
    for name in OUTPUTS:
        found, expected = (texts_and_numbers(json.loads((one / name).read_text())) for one in (folder, ours))
        assert found[0] == expected[0]
        np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    assert len(json.loads((ours / "predictions.json").read_text())) == 15


def test_flags_of_the_program_are_checked(program_flags):
    config = BertConfig(vocab_size=10, max_position_embeddings=128)
    with pytest.raises(FlagError, match="nothing to do: expected --do_train or --do_predict, as flags that this prog"):
        run_squad.validate_flags_or_throw(config)
    settings = program_flags(do_train=True, train_file="", max_seq_length=64, max_query_length=61)
    with pytest.raises(FlagError, match="--train_file is missing; --do_train needs a SQuAD file"):
        run_squad.validate_flags_or_throw(config)
    settings.train_file = "train.json"
    for length in (64, 129):
        settings.max_seq_length = length
        with pytest.raises(FlagError, match=f"--max_seq_length={length}: expected more than --max_query_length=61 and"):
            run_squad.validate_flags_or_throw(config)
    settings.max_seq_length = 65
    run_squad.validate_flags_or_throw(config)


class Words:
    """A tokenizer of words with upstream's two methods; all but the special tokens share an id."""

    def tokenize(self, text):
        return text.lower().replace(".", " .").split()

    def convert_tokens_to_ids(self, tokens):
        return [{"[CLS]": 1, "[SEP]": 2}.get(token, 3) for token in tokens]


def test_examples_of_ones_own_words():
    """Words stay as they come, one token or several, and answers are placed by tokens, not by ids."""
    words = ["In", "New York", "it", "rained", "all day."]
    example = run_squad.SquadExample("q", "What?", words, "day", 4, 4)
    found = []
    convert([example], Words(), found.append, True, max_seq_length=12, doc_stride=4, max_query_length=2)
    (window,) = found
    assert window.tokens == ["[CLS]", "what?", "[SEP]", "in", "new", "york", "it", "rained", "all", "day", ".", "[SEP]"]
    assert window.token_to_orig_map == {3: 0, 4: 1, 5: 1, 6: 2, 7: 3, 8: 4, 9: 4, 10: 4}
    assert (window.start_position, window.end_position, window.is_impossible) == (9, 9, False)
    assert window.input_ids == [1, 3, 2, *[3] * 8, 2]
    example.doc_tokens = ["Now", "others"]
    example.start_position = example.end_position = 0
    convert([example], Words(), found.append, True, max_seq_length=12, doc_stride=4, max_query_length=2)
    assert found[1].tokens == ["[CLS]", "what?", "[SEP]", "now", "others", "[SEP]"]


def test_words_read_from_a_file_can_be_changed(golden):
    example, other = run_squad.read_squad_examples(str(golden / "squad_v1.json"), is_training=False)[:2]
    example.doc_tokens[0] = "CHANGED"
    found = []
    convert([example, other], Words(), found.append)
    assert found[0].tokens[found[0].tokens.index("[SEP]") + 1] == "changed"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one, path: convert([one], Words(), print, True), "question 'q': has no start_position and end_pos"),
        (
            lambda one, path: run_squad.FeatureWriter(path, True).process_feature(made(one)),
            "window 1000000000: has no start_position and end_position; make it with is_training=True",
        ),
        (
            lambda one, path: run_squad.write_predictions([one], [made(one)], [], 5, 5, True, path, path, path),
            "question 'q': there is no result with unique_id 1000000000 among 0; expected one for each window",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(call, message, tmp_path):
    with pytest.raises(DataError, match=message):
        call(run_squad.SquadExample("q", "what?", ["a", "b"]), str(tmp_path / "file"))
    assert not (tmp_path / "file").exists()


def made(example):
    found = []
    convert([example], Words(), found.append)
    return found[0]


def test_a_window_with_gaps_is_named(tmp_path):
    example = run_squad.SquadExample("q", "what?", ["a", "b", "c"])
    window = made(example)
    del window.token_to_orig_map[4]
    results = [run_squad.RawResult(window.unique_id, [0.0] * 128, [0.0] * 128)]
    with pytest.raises(BertError, match="window 1000000000: its token_to_orig_map leaves positions out"):
        run_squad.write_predictions([example], [window], results, 5, 5, True, *[str(tmp_path / "x")] * 3)


def test_helpers_give_upstreams_results():
    Span = collections.namedtuple("Span", ["start", "length"])
    spans = [Span(0, 5), Span(3, 5), Span(6, 4)]
    owners = [[run_squad._check_is_max_context(spans, index, place) for index in range(3)] for place in range(11)]
    assert [row.index(True) if any(row) else None for row in owners] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, None]
    tokens = ["(", "1895", "-", "1943", ")"]
    assert run_squad._improve_answer_span(tokens, 0, 4, Words(), "1895") == (1, 1)
    assert run_squad._improve_answer_span(tokens, 0, 4, Words(), "1895 - 1943") == (1, 3)
    assert run_squad._improve_answer_span(tokens, 0, 4, Words(), "189") == (0, 4)
    assert run_squad._get_best_indexes([1.0, 3.0, 3.0, 2.0], 3) == [1, 2, 3]
    assert run_squad._get_best_indexes([1.0], 3) == [0]
    assert run_squad._compute_softmax([0.0, 0.0]) == [0.5, 0.5]
    assert run_squad._compute_softmax([]) == []
