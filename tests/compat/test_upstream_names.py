"""Code written for google-research/bert: names, signatures, and a whole training as a Colab writes it."""

import importlib
import inspect
import random
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

import create_pretraining_data
import extract_features
import optimization
import run_classifier
import run_pretraining
import run_squad
from common.errors import BertError
from compat import INSTEAD, MODULES, NoCounterpartError
from compat import NAMES as COMPAT_NAMES
from modeling import BertConfig, BertModel
from processors import DataProcessor
from processors.tables.glue import MrpcProcessor
from tests.support import tiny
from tokenization import FullTokenizer

ROOT = Path(__file__).resolve().parents[2]
tf1 = tf.compat.v1

NAMES = {
    "run_classifier": (
        "InputExample PaddingInputExample InputFeatures DataProcessor XnliProcessor MnliProcessor MrpcProcessor "
        "ColaProcessor convert_single_example file_based_convert_examples_to_features file_based_input_fn_builder "
        "_truncate_seq_pair create_model model_fn_builder input_fn_builder convert_examples_to_features main"
    ),
    "run_squad": (
        "SquadExample InputFeatures read_squad_examples convert_examples_to_features create_model model_fn_builder "
        "input_fn_builder RawResult write_predictions get_final_text FeatureWriter validate_flags_or_throw "
        "_improve_answer_span _check_is_max_context _get_best_indexes _compute_softmax main"
    ),
    "run_pretraining": (
        "model_fn_builder get_masked_lm_output get_next_sentence_output gather_indexes input_fn_builder main"
    ),
    "create_pretraining_data": (
        "TrainingInstance write_instance_to_example_files create_int_feature create_float_feature MaskedLmInstance "
        "create_training_instances create_instances_from_document create_masked_lm_predictions truncate_seq_pair main"
    ),
    "extract_features": (
        "InputExample InputFeatures input_fn_builder model_fn_builder convert_examples_to_features read_examples "
        "_truncate_seq_pair main"
    ),
    "optimization": "create_optimizer AdamWeightDecayOptimizer",
    "run_classifier_with_tfhub": "create_model create_tokenizer_from_hub_module model_fn_builder main",
}

IMPORTED = {
    "run_classifier": "collections csv os modeling optimization tokenization",
    "run_squad": "collections json math os random modeling optimization tokenization",
    "run_pretraining": "os modeling optimization",
    "create_pretraining_data": "collections random tokenization",
    "extract_features": "codecs collections json re modeling tokenization",
    "optimization": "re",
    "run_classifier_with_tfhub": "os optimization run_classifier tokenization",
}


@pytest.mark.parametrize("module", MODULES)
def test_upstreams_names_are_there(module):
    found = importlib.import_module(module)
    for name in NAMES[module].split():
        assert getattr(found, name) is not None, name
    assert getattr(importlib.import_module(f"bert.{module}"), NAMES[module].split()[0])
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        found.no_such_name  # noqa: B018


@pytest.mark.parametrize(("module", "name"), [(m, n) for m in MODULES for n in [*INSTEAD[m], "FLAGS"]])
def test_a_name_without_counterpart_says_what_to_use(module, name):
    with pytest.raises(NoCounterpartError, match=f"{module}.{name}: not in this project; "):
        getattr(importlib.import_module(module), name)


def test_a_missing_name_answers_as_python_asks():
    """`hasattr` and `getattr` see no attribute, an import statement keeps the message, and scripts catch it."""
    assert not hasattr(run_classifier, "FLAGS")
    assert getattr(run_classifier, "FLAGS", 7) == 7
    with pytest.raises(ImportError, match=r"^run_classifier\.FLAGS: not in this project; flags are not global here"):
        from run_classifier import FLAGS  # noqa: F401
    with pytest.raises(AttributeError, match=r"^run_classifier\.tf: not in this project; import tensorflow"):
        run_classifier.tf  # noqa: B018
    assert issubclass(NoCounterpartError, BertError)
    with pytest.raises(ImportError, match="cannot import name 'no_such_name'"):
        from run_classifier import no_such_name  # noqa: F401


@pytest.mark.parametrize("module", MODULES)
def test_a_star_binds_what_upstreams_does(module):
    bound = {}
    exec(f"from {module} import *", bound)
    names = {name for name in NAMES[module].split() if not name.startswith("_")}
    modules = {name for name, value in bound.items() if inspect.ismodule(value)}
    assert modules == set(IMPORTED[module].split())
    assert set(bound) - {"__builtins__"} == names | modules
    assert all(bound[name] is getattr(importlib.import_module(module), name) for name in names)
    assert set(COMPAT_NAMES[module]) == set(NAMES[module].split()) - {"main"}


def test_modules_of_upstreams_imports_are_reached_through_its_scripts():
    assert run_classifier.tokenization.FullTokenizer is FullTokenizer
    assert run_squad.modeling.BertModel is BertModel
    assert run_classifier.optimization is optimization


class Letters:
    """A tokenizer with upstream's two methods and nothing else; what it does not know shares an id."""

    ids: ClassVar = {"[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5}

    def tokenize(self, text):
        return list(text.replace(" ", ""))

    def convert_tokens_to_ids(self, tokens):
        return [self.ids.get(token, 1) for token in tokens]


def test_a_tokenizer_needs_upstreams_two_methods():
    example = run_classifier.InputExample("g", "a bz", "yb", "1")
    found = run_classifier.convert_single_example(0, example, ["0", "1"], 9, Letters())
    assert found.input_ids == [2, 4, 5, 1, 3, 1, 5, 3, 0]
    assert (found.segment_ids, found.label_id) == ([0, 0, 0, 0, 0, 1, 1, 1, 0], 1)
    line = extract_features.InputExample(0, "a z", None)
    (vector,) = extract_features.convert_examples_to_features([line], 5, Letters())
    assert (vector.tokens, vector.input_ids) == (["[CLS]", "a", "z", "[SEP]"], [2, 4, 1, 3, 0])
    blank = run_classifier.convert_single_example(
        0, run_classifier.InputExample("g", "a", " ", "1"), ["1"], 5, Letters()
    )
    assert blank.input_ids == [2, 4, 3, 0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"convert_tokens_to_ids": None}, "tokenizer Letters: has no convert_tokens_to_ids; expected tokenization"),
        ({"tokenize": None, "convert_tokens_to_ids": None}, "has no tokenize and no convert_tokens_to_ids; expected"),
        ({"ids": {}}, r"ids of \[CLS\] and \[SEP\] are 1, 1; expected two different numbers; take the vocabulary"),
        ({"convert_tokens_to_ids": lambda self, tokens: [{}[token] for token in tokens]}, r"are KeyError\('\[CLS\]'\)"),
        ({"convert_tokens_to_ids": lambda self, tokens: [2, 3]}, "gave 2 ids for 3 tokens; expected one for each"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_cannot_be_used_is_named(changes, message):
    tokenizer = type("Letters", (Letters,), changes)()
    with pytest.raises(BertError, match=message):
        run_classifier.convert_examples_to_features(
            [run_classifier.InputExample("g", "a", None, "1")], ["0", "1"], 9, tokenizer
        )


def test_names_can_be_imported_as_in_upstreams_package():
    code = (
        "from bert import run_classifier, optimization, tokenization, modeling\nimport bert.modeling as m\n"
        "import sys\nassert 'tensorflow' not in sys.modules\n"
        "assert m is modeling and tokenization.FullTokenizer and run_classifier.InputExample\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_processors_give_lists(tmp_path):
    header = "label\tid\tid\ta\tb\n"
    for name, label in (("train", "1"), ("dev", "1"), ("test", "12")):
        (tmp_path / f"{name}.tsv").write_text(header + f"{label}\tx\ty\tthe film\twas good\n" * 3)
    processor = run_classifier.MrpcProcessor()
    assert isinstance(processor, DataProcessor)
    assert isinstance(processor, MrpcProcessor)
    assert [one.label for one in processor.get_train_examples(str(tmp_path))] == ["1"] * 3
    assert len(processor.get_dev_examples(str(tmp_path))) == 3
    # Test rows have the first label, so that upstream's conversion, which needs one, takes them.
    assert [(one.text_a, one.label) for one in processor.get_test_examples(str(tmp_path))] == [("the film", "0")] * 3


def label_ids(labels, label_list):
    examples = [run_classifier.InputExample("g", "a", None, label) for label in labels]
    features = run_classifier.convert_examples_to_features(examples, label_list, 8, Letters())
    return [one.label_id for one in features]


def test_labels_are_found_as_keys_of_a_dictionary():
    assert label_ids([1.0, np.float64(0), np.int64(1), True], [0, 1]) == [1, 0, 1, 1]
    assert label_ids(["y", np.str_("x")], np.array(["x", "y"])) == [1, 0]
    assert label_ids([None], [None]) == [0]
    with pytest.raises(BertError, match="example 'g': has no label; expected one of 0, 1; to predict, give any of th"):
        label_ids([None], [0, 1])
    with pytest.raises(BertError, match="label '2' is not one of the labels; known: 0, 1"):
        label_ids([2], [0, 1])
    with pytest.raises(BertError, match="is not one of the labels; known: 0, 1"):
        label_ids([[1]], [0, 1])


def test_features_are_those_of_the_records(golden, shared, tmp_path):
    """The first MRPC rows, padded, as google-research/bert wrote them."""
    vocab = shared / "data" / "vocab" / "bert-base-uncased" / "vocab.txt"
    examples = run_classifier.MrpcProcessor().get_dev_examples(str(shared / "data" / "glue" / "MRPC"))[:64]
    path = tmp_path / "dev.tf_record"
    tokenizer = FullTokenizer(str(vocab), do_lower_case=True)
    run_classifier.file_based_convert_examples_to_features(examples, ["0", "1"], 128, tokenizer, str(path))
    batches = []
    with tf.Graph().as_default(), tf1.Session() as session:
        for name in (str(path), str(golden / "mrpc_dev64.tf_record")):
            dataset = run_classifier.file_based_input_fn_builder(name, 128, False, False)({"batch_size": 64})
            batches.append(session.run(tf1.data.make_one_shot_iterator(dataset).get_next()))
    for name in batches[1]:
        np.testing.assert_array_equal(batches[0][name], batches[1][name], name)


def test_masking_reads_the_flag_of_the_program(program_flags):
    tokens = ["[CLS]", *(f"{start}{index}" for index in range(6) for start in ("w", "##a", "##b")), "[SEP]"]

    def masked(**settings):
        function = create_pretraining_data.create_masked_lm_predictions
        _, positions, _ = function(tokens, 0.4, 8, ["x"], random.Random(5), **settings)
        return positions

    by_token, by_word = masked(), masked(do_whole_word_mask=True)
    assert by_word == [first + step for first in by_word[::3] for step in range(3)] != by_token
    program_flags(do_whole_word_mask=True)
    assert masked() == by_word
    assert masked(do_whole_word_mask=False) == by_token


def test_outputs_have_upstreams_names(tiny_model):
    """People freeze a graph up to these."""
    config = BertConfig.from_json_file(str(tiny_model / "bert_config.json"))
    with tf.Graph().as_default():
        ids = tf1.placeholder(tf.int64, [None, 8])
        labels = tf1.placeholder(tf.int32, [None])
        outputs = run_classifier.create_model(config, True, ids, None, None, labels, 2, False)
        variables = {variable.op.name for variable in tf1.trainable_variables()}
        assert [outputs[2].name, outputs[3].name] == ["loss/BiasAdd:0", "loss/Softmax:0"]
        assert {"output_weights", "output_bias"} <= variables
    with tf.Graph().as_default():
        outputs = run_squad.create_model(
            config, False, ids := tf.zeros([2, 8], tf.int32), tf.ones_like(ids), ids, False
        )
        assert [output.name for output in outputs] == ["unstack:0", "unstack:1"]
        assert [output.shape.as_list() for output in outputs] == [[2, 8], [2, 8]]


@pytest.mark.parametrize("argv", [0, "", [], ["run_classifier.py", 3]])
def test_main_takes_a_command_line(argv, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_classifier.main(argv)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        f"error: main({argv!r}): expected the command line as a list of texts, the program's name first, as in "
        "main(['run_classifier.py', '--do_eval']); flags are not global here\n"
    )


def test_pairs_are_shortened_in_place():
    first, second = list("abcdefgh"), list("xyz")
    run_classifier._truncate_seq_pair(first, second, 7)
    assert (first, second) == (list("abcd"), list("xyz"))


def test_the_optimizer_leaves_the_step_to_its_callers():
    with tf.Graph().as_default(), tf1.Session() as session:
        step = tf1.train.get_or_create_global_step()
        variable = tf1.get_variable("v", [2])
        optimizer = optimization.AdamWeightDecayOptimizer(learning_rate=0.1)
        gradients = [(tf.ones([2]), variable)]
        copied = tf.group(optimizer.apply_gradients(gradients, global_step=step), step.assign(step + 1))
        counted = optimization.create_optimizer(tf.reduce_sum(variable), 0.1, 10, 2, False)
        session.run(tf1.global_variables_initializer())
        session.run(copied)
        assert session.run(step) == 1
        session.run(counted)
        assert session.run(step) == 2


RATE, STEPS = 3e-3, 60


def created(loss, num_steps):
    return optimization.create_optimizer(loss, RATE, num_steps, num_steps // 10, use_tpu=False)


def copied(loss, num_steps):
    """What people copy from `create_optimizer` to change it: they count the steps themselves."""
    step = tf1.train.get_or_create_global_step()
    rate = tf1.train.polynomial_decay(RATE, step, num_steps, end_learning_rate=0.0)
    excluded = ["LayerNorm", "layer_norm", "bias"]
    optimizer = optimization.AdamWeightDecayOptimizer(rate, 0.01, exclude_from_weight_decay=excluded)
    variables = tf1.trainable_variables()
    gradients, _ = tf.clip_by_global_norm(tf.gradients(loss, variables), clip_norm=1.0)
    train_op = optimizer.apply_gradients(zip(gradients, variables, strict=True), global_step=step)
    return tf.group(train_op, step.assign(step + 1))


def colab_model_fn(config, checkpoint, num_labels, num_steps, make_train_op):
    """A `model_fn` as the movie-review Colab writes it, with our encoder in place of a hub module."""

    def model_fn(features, labels, mode, params):
        is_predicting = mode == tf.estimator.ModeKeys.PREDICT
        model = BertModel(
            config=config, is_training=not is_predicting, input_ids=features["input_ids"],
            input_mask=features["input_mask"], token_type_ids=features["segment_ids"],
        )  # fmt: skip
        output = model.get_pooled_output()
        weights = tf1.get_variable("output_weights", [num_labels, output.shape[-1]])
        bias = tf1.get_variable("output_bias", [num_labels], initializer=tf1.zeros_initializer())
        log_probs = tf.nn.log_softmax(tf.nn.bias_add(tf.matmul(output, weights, transpose_b=True), bias), axis=-1)
        predicted = tf.argmax(log_probs, axis=-1, output_type=tf.int32)
        if is_predicting:
            return tf.estimator.EstimatorSpec(mode, predictions={"labels": predicted, "probabilities": log_probs})
        one_hot = tf.one_hot(features["label_ids"], depth=num_labels, dtype=tf.float32)
        loss = tf.reduce_mean(-tf.reduce_sum(one_hot * log_probs, axis=-1))
        from modeling import get_assignment_map_from_checkpoint

        assignment, _ = get_assignment_map_from_checkpoint(tf1.trainable_variables(), checkpoint)
        tf1.train.init_from_checkpoint(checkpoint, assignment)
        train_op = make_train_op(loss, num_steps)
        if mode == tf.estimator.ModeKeys.TRAIN:
            return tf.estimator.EstimatorSpec(mode=mode, loss=loss, train_op=train_op)
        metrics = {"eval_accuracy": tf1.metrics.accuracy(features["label_ids"], predicted)}
        return tf.estimator.EstimatorSpec(mode=mode, loss=loss, eval_metric_ops=metrics)

    return model_fn


@pytest.mark.parametrize("make_train_op", [pytest.param(created, marks=pytest.mark.slow), copied])
def test_a_training_as_the_colab_writes_it(make_train_op, tiny_model, tmp_path):
    tokenizer = FullTokenizer(vocab_file=str(tiny_model / "vocab.txt"), do_lower_case=True)
    examples = [
        run_classifier.InputExample(guid=None, text_a=text, text_b=None, label=int(label == "pos"))
        for text, label in tiny.rows(80)
    ]
    features = run_classifier.convert_examples_to_features(examples, [0, 1], 24, tokenizer)
    train, dev = features[:64], features[64:]
    config = BertConfig.from_json_file(str(tiny_model / "bert_config.json"))
    estimator = tf.estimator.Estimator(
        model_fn=colab_model_fn(config, str(tiny_model / "bert_model.ckpt"), 2, STEPS, make_train_op),
        config=tf.estimator.RunConfig(
            model_dir=str(tmp_path), tf_random_seed=7, save_summary_steps=100, save_checkpoints_steps=100
        ),
        params={"batch_size": 16},
    )
    input_fn = run_classifier.input_fn_builder(features=train, seq_length=24, is_training=True, drop_remainder=False)
    estimator.train(input_fn=input_fn, max_steps=STEPS)
    dev_fn = run_classifier.input_fn_builder(dev, 24, is_training=False, drop_remainder=False)
    scores = estimator.evaluate(input_fn=dev_fn)
    assert scores["global_step"] == STEPS
    assert scores["eval_accuracy"] >= 0.9
    predicted = [row["labels"] for row in estimator.predict(dev_fn)]
    assert len(predicted) == 16


@pytest.mark.slow
def test_the_built_model_fn_trains_under_an_estimator(tiny_model, tmp_path):
    tokenizer = FullTokenizer(str(tiny_model / "vocab.txt"))
    examples = [run_classifier.InputExample("g", text, None, label) for text, label in tiny.rows(16)]
    features = run_classifier.convert_examples_to_features(examples, ["neg", "pos"], 24, tokenizer)
    config = BertConfig.from_json_file(str(tiny_model / "bert_config.json"))
    model_fn = run_classifier.model_fn_builder(config, 2, str(tiny_model / "bert_model.ckpt"), 1e-3, 4, 1, False, False)
    estimator = tf.estimator.Estimator(model_fn, str(tmp_path), params={"batch_size": 4})
    estimator.train(run_classifier.input_fn_builder(features, 24, True, True), max_steps=4)
    dev_fn = run_classifier.input_fn_builder(features, 24, False, False)
    assert set(estimator.evaluate(dev_fn)) >= {"eval_accuracy", "eval_loss", "global_step"}
    assert len([row["probabilities"] for row in estimator.predict(dev_fn)]) == 16


def test_squad_and_vectors(tiny_model, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("a good film\nthe film ||| was bad\n")
    examples = extract_features.read_examples(str(path))
    assert [(one.unique_id, one.text_a, one.text_b) for one in examples] == [
        (0, "a good film", None), (1, "the film", "was bad"),
    ]  # fmt: skip
    tokenizer = FullTokenizer(str(tiny_model / "vocab.txt"))
    features = extract_features.convert_examples_to_features(examples, 12, tokenizer)
    assert features[1].tokens == ["[CLS]", "the", "film", "[SEP]", "was", "bad", "[SEP]"]
    assert features[1].input_type_ids == [0] * 4 + [1] * 3 + [0] * 5
    config = BertConfig.from_json_file(str(tiny_model / "bert_config.json"))
    model_fn = extract_features.model_fn_builder(config, str(tiny_model / "bert_model.ckpt"), [-1, 0], False, False)
    estimator = tf.estimator.Estimator(model_fn, str(tmp_path / "empty"), params={"batch_size": 2})
    with tf.Graph().as_default():
        rows = list(estimator.predict(extract_features.input_fn_builder(features, 12)))
    assert [row["unique_id"] for row in rows] == [0, 1]
    assert rows[0]["layer_output_1"].shape == (12, 16)
    (example,) = run_squad.read_squad_examples(str(_squad(tmp_path)), is_training=True)
    assert (example.qas_id, example.start_position, example.end_position) == ("q", 1, 1)


def _squad(folder):
    import json

    question = {"id": "q", "question": "Who went?", "answers": [{"text": "Anna", "answer_start": 6}]}
    path = folder / "squad.json"
    data = [{"title": "t", "paragraphs": [{"context": "Today Anna went.", "qas": [question]}]}]
    path.write_text(json.dumps({"version": "1.1", "data": data}))
    return path


def test_an_instance_built_by_position_gives_upstreams_record(tiny_model, tmp_path):
    """`is_random_next` comes last there; an order of our own would swap it with the positions without an error."""
    instance = create_pretraining_data.TrainingInstance(
        ["[CLS]", "the", "[MASK]", "[SEP]", "was", "[SEP]"], [0, 0, 0, 0, 1, 1], [2], ["film"], True
    )
    tokenizer = FullTokenizer(str(tiny_model / "vocab.txt"))
    path = tmp_path / "one.tf_record"
    create_pretraining_data.write_instance_to_example_files([instance], tokenizer, 8, 3, [str(path)])
    with tf.Graph().as_default(), tf1.Session() as session:
        dataset = run_pretraining.input_fn_builder([str(path)], 8, 3, is_training=False)({"batch_size": 1})
        row = session.run(tf1.data.make_one_shot_iterator(dataset).get_next())
    (film,) = tokenizer.convert_tokens_to_ids(["film"])
    assert row["masked_lm_positions"].tolist() == [[2, 0, 0]]
    assert row["masked_lm_ids"].tolist() == [[film, 0, 0]]
    assert row["next_sentence_labels"].tolist() == [1]
    assert row["segment_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0, 0]]
