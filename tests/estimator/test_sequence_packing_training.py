"""Several instances in a row train, evaluate and answer as the same instances in rows of their own."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

import create_pretraining_data
import run_pretraining
from estimator.model_fn import GraphSettings, build_model_fn
from modeling import BertModel
from modeling.heads.masked_lm import PretrainingHead
from modeling.settings import ModelSettings
from processors.pretraining.instance_records import InstanceSerializer
from processors.pretraining.instances import TrainingInstance
from processors.pretraining.packing import RowSerializer, packed_rows
from processors.records.input_fn import parse_batch
from tests.command_line.test_run_pretraining import assert_fine_tunes, json_lines, results
from tests.modeling.training.test_accumulation import CONFIG, assert_same_training, train
from tests.support import tiny
from tests.support.graphs import initialize_by_name

tf1 = tf.compat.v1
LENGTH, GUESSES = 24, 4
MODEL_LENGTH = 12  # of rows in the tests that need no script


def instances():
    """Of unlike lengths, numbers of guesses and labels; they fill four rows of `MODEL_LENGTH` unevenly."""
    rng = np.random.default_rng(8)
    made = []
    for length, guesses, label in ((12, 3, 1), (5, 1, 0), (6, 2, 1), (4, 1, 1), (4, 2, 0), (3, 1, 1), (9, 1, 0)):
        pieces = rng.integers(1, CONFIG.vocab_size, length).tolist()
        positions = sorted(rng.choice(np.arange(1, length), guesses, replace=False).tolist())
        segments = [0] * (length // 2) + [1] * (length - length // 2)
        ids = rng.integers(1, CONFIG.vocab_size, guesses).tolist()
        made.append(TrainingInstance(pieces, segments, positions, ids, bool(label)))
    return made


def batches(next_sentence=True, static_shapes=False):
    """The same instances as rows of their own, and packed: two batches of arrays."""
    shape = (MODEL_LENGTH, GUESSES, next_sentence, static_shapes)
    alone, packed = InstanceSerializer(*shape), RowSerializer(*shape)
    rows = list(packed_rows(instances(), MODEL_LENGTH, GUESSES))
    assert [len(row) for row in rows] == [1, 2, 3, 1]
    serialized = (
        ([alone.serializer()(one) for one in instances()], alone.spec),
        ([packed.spec.serialize(packed.features(row)) for row in rows], packed.spec),
    )
    with tf.Graph().as_default(), tf1.Session() as sess:
        return sess.run([parse_batch(tf.constant(records), spec, static_shapes) for records, spec in serialized])


@pytest.fixture(
    scope="module", params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["pairs", "masked tokens alone"]
)
def reference(request):
    """How instances in rows of their own train: without padding, in one batch."""
    head = PretrainingHead(CONFIG, next_sentence=request.param)
    return request.param, train(head, batches(request.param)[0], GraphSettings(), updates=2)


@pytest.mark.parametrize("micro_batches", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("static_shapes", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["tokens", "padded"])
def test_training_is_that_of_rows_of_their_own(reference, static_shapes, micro_batches):
    next_sentence, expected = reference
    features = batches(next_sentence, static_shapes)[1]
    fields = tuple(name for name, value in features.items() if value.shape == (4, MODEL_LENGTH))
    assert {"position_ids", "sequence_ids"} < {*fields}
    settings = GraphSettings(packed=not static_shapes, micro_batches=micro_batches, token_fields=fields)
    found = train(PretrainingHead(CONFIG, next_sentence=next_sentence), features, settings, updates=2)
    assert_same_training(expected, found)
    assert ("next_sentence_loss" in found[0][0][0]) is next_sentence


def evaluate(features, **settings):
    """Metrics of an evaluation, and the loss, from weights given by their names."""
    with tf.Graph().as_default(), tf1.Session() as sess:
        tensors = {name: tf.constant(value) for name, value in features.items()}
        model_fn = build_model_fn(ModelSettings(CONFIG), PretrainingHead(CONFIG), graph=GraphSettings(**settings))
        spec = model_fn(tensors, None, tf.estimator.ModeKeys.EVAL, {})
        sess.run(tf1.local_variables_initializer())
        initialize_by_name(sess)
        updates = {name: update for name, (_, update) in spec.eval_metric_ops.items()}
        return sess.run({**updates, "loss": spec.loss})


def with_empty_row(features):
    """A row that only fills up the batch, as an evaluation under static shapes has it."""
    return {name: np.pad(value, [(0, 1), (0, 0)]) for name, value in features.items()}


@pytest.mark.parametrize("static_shapes", [False, True], ids=["tokens", "padded"])
def test_metrics_are_those_of_rows_of_their_own(static_shapes):
    alone, packed = batches(static_shapes=static_shapes)
    expected = evaluate(alone, packed=not static_shapes)
    assert set(expected) == {
        "loss", "masked_lm_accuracy", "masked_lm_loss", "next_sentence_accuracy", "next_sentence_loss",
    }  # fmt: skip
    assert evaluate(packed, packed=not static_shapes) == pytest.approx(expected, abs=1e-5)
    assert evaluate(with_empty_row(packed), packed=not static_shapes) == pytest.approx(expected, abs=1e-5)


def test_each_row_has_the_mean_loss_of_its_instances():
    packed = batches()[1]
    rng = np.random.default_rng(2)
    scores = {
        "masked_lm": rng.normal(size=[4, GUESSES, CONFIG.vocab_size]).astype(np.float32),
        "next_sentence": rng.normal(size=[4, 3, 2]).astype(np.float32),
    }
    with tf.Graph().as_default(), tf1.Session() as sess:
        features = {name: tf.constant(value) for name, value in packed.items()}
        head = PretrainingHead(CONFIG)
        _, by_row = head.loss(scores, features)
        _, masked = PretrainingHead(CONFIG, next_sentence=False).loss(scores, features)
        found, masked, logs = sess.run([by_row, masked, tf.nn.log_softmax(scores["next_sentence"])])
    labels = packed["next_sentence_labels"]
    for row, count in enumerate([1, 2, 3, 1]):
        expected = -np.mean([logs[row, index, labels[row, index]] for index in range(count)])
        assert found[row] - masked[row] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "options", [{}, {"packed": True}, {"pooled_only": True}, {"packed": True, "pooled_only": True}]
)
def test_sequences_of_a_row_do_not_see_each_other(options):
    """Each has the vectors that it has alone, in every layout; the pooled output is that of a row's first."""
    alone, packed = batches()

    def outputs(features, **given):
        with tf.Graph().as_default(), tf1.Session() as sess:
            tf1.set_random_seed(7)
            names = ("input_ids", "input_mask", "segment_ids", "position_ids", "sequence_ids")
            tensors = {name: tf.constant(features[name]) for name in names if name in features}
            ids, mask, segments = (tensors.pop(name) for name in names[:3])
            model = BertModel(CONFIG, False, ids, mask, segments, **tensors, **given)
            fetched = [model.get_pooled_output()] + ([] if "pooled_only" in given else [model.get_sequence_output()])
            initialize_by_name(sess)
            return sess.run(fetched)

    expected, found = outputs(alone), outputs(packed, **options)
    np.testing.assert_allclose(found[0], expected[0][[0, 1, 3, 6]], rtol=0, atol=1e-5)
    if len(found) > 1:
        inside = [vectors[mask == 1] for vectors, mask in zip(expected[1], alone["input_mask"], strict=True)]
        order = np.concatenate(inside)[np.argsort(row_order(), kind="stable")]
        np.testing.assert_allclose(found[1][packed["sequence_ids"] > 0], order, rtol=0, atol=1e-5)


def row_order():
    """The packed row of every piece of the instances, in the order of the instances."""
    rows = list(packed_rows(instances(), MODEL_LENGTH, GUESSES))
    number = {id_of(one): index for index, row in enumerate(rows) for one in row}
    return [number[id_of(one)] for one in instances() for _ in one.tokens]


def id_of(one):
    return tuple(one.tokens)


SHAPE = [f"--max_seq_length={LENGTH}", f"--max_predictions_per_seq={GUESSES}"]


@pytest.fixture(scope="module")
def records(tmp_path_factory, tiny_model):
    """The same short documents as records of both kinds, and packed ones without pairs."""
    folder = tmp_path_factory.mktemp("records")
    texts = [text for text, _ in tiny.rows(96)]
    starts = range(0, len(texts), 2)
    documents = ["\n".join(" ".join(text.split()[:4]) for text in texts[start : start + 2]) for start in starts]
    (folder / "text.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    for name, more in (
        ("packed", ["--pack_sequences", "--dupe_factor=4"]),
        ("alone", ["--dupe_factor=4"]),
        ("no_nsp", ["--pack_sequences", "--no_nsp", "--short_seq_prob=0.9"]),
    ):
        create_pretraining_data.main([
            "create_pretraining_data.py", *SHAPE, *more, f"--input_file={folder}/text.txt",
            f"--output_file={folder}/{name}.tf_record", f"--vocab_file={tiny_model}/vocab.txt",
        ])  # fmt: skip
    report = json.loads((folder / "packed.tf_record.report.json").read_text())
    assert report["instances_per_row"] > 1.5
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, records):
    """A run on packed rows of one length that ends with an export and a guess."""
    folder = tmp_path_factory.mktemp("packed") / "run"
    text = records / "guess.txt"
    text.write_text("the [MASK] was good\n[MASK] , [MASK]\n", encoding="utf-8")
    run_pretraining.main([
        "run_pretraining.py", *SHAPE, f"--input_file={records}/packed.tf_record", f"--init_checkpoint={tiny_model}",
        "--do_train", "--do_eval", "--do_export", "--do_predict", f"--predict_file={text}", f"--output_dir={folder}",
        "--train_batch_size=8", "--gradient_accumulation_steps=2", "--learning_rate=5e-3", "--num_train_steps=60",
        "--num_warmup_steps=6", "--log_every_n_steps=20", "--pad_to_max_length", "--max_eval_steps=1000",
    ])  # fmt: skip
    return folder


@pytest.mark.slow
def test_training_on_packed_rows_learns(trained):
    lines = [line for line in json_lines(trained / "metrics.jsonl") if line["event"] == "train"]
    assert [line["step"] for line in lines] == [1, 20, 40, 60]
    for line in lines:
        assert line["loss"] == pytest.approx(line["masked_lm_loss"] + line["next_sentence_loss"], rel=1e-4)
    assert lines[-1]["masked_lm_loss"] < lines[0]["masked_lm_loss"] - 0.5
    assert results(trained)["masked_lm_loss"] < 3.0 < math.log(tiny.CONFIG["vocab_size"])


@pytest.mark.slow
def test_evaluation_does_not_depend_on_the_packing(trained, records, tmp_path, run_script):
    scores = {}
    for name, more in (("packed", []), ("alone", []), ("packed", ["--pad_to_max_length"])):
        folder = tmp_path / f"{name}{len(more)}"
        code, _, err = run_script(
            run_pretraining.main, *SHAPE, f"--input_file={records}/{name}.tf_record", f"--init_checkpoint={trained}",
            "--do_eval", f"--output_dir={folder}", "--max_eval_steps=1000", "--eval_batch_size=7", *more,
        )  # fmt: skip
        assert code == 0, err
        scores[folder.name] = {name: value for name, value in results(folder).items() if name != "loss"}
    assert scores["packed0"] == pytest.approx(scores["alone0"], rel=1e-4)
    assert scores["packed1"] == pytest.approx(scores["alone0"], rel=1e-4)


@pytest.mark.slow
def test_export_and_guesses_know_nothing_of_packing(trained):
    from serving.predictor import Predictor

    (export,) = (trained / "export").iterdir()
    lines = json_lines(trained / "predictions.jsonl")
    with Predictor(export) as predictor:
        answers = predictor.answer([{"text": line["text"]} for line in lines])
    assert [len(line["masks"]) for line in lines] == [1, 2]
    for answer, same in zip(answers, lines, strict=True):
        for mask, other in zip(answer["masks"], same["masks"], strict=True):
            assert [guess["piece"] for guess in mask] == [guess["piece"] for guess in other]
            expected = pytest.approx([guess["probability"] for guess in other], rel=1e-4)
            assert [guess["probability"] for guess in mask] == expected


@pytest.mark.slow
def test_result_fine_tunes_at_the_first_try(trained, table_dir, tmp_path, run_script):
    assert_fine_tunes(trained, table_dir, tmp_path / "run", run_script)


@pytest.mark.slow
def test_packed_masked_pieces_alone_train(records, tiny_model, tmp_path, run_script):
    code, _, err = run_script(
        run_pretraining.main, *SHAPE, "--train_batch_size=4", "--num_train_steps=2", "--num_warmup_steps=1",
        "--do_train", "--do_eval", f"--bert_config_file={tiny_model / 'bert_config.json'}",
        f"--input_file={records}/no_nsp.tf_record", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 0, err
    assert "next_sentence_loss" not in results(tmp_path / "run")


def test_packed_records_are_recognised_and_do_not_mix(records, tiny_model, tmp_path, run_script):
    flags = [*SHAPE, f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'run'}", "--validate_only"]
    code, out, err = run_script(run_pretraining.main, *flags, f"--input_file={records}/packed.tf_record")
    assert code == 0, err
    assert "rows: several instances in each (--pack_sequences)" in out
    code, out, _ = run_script(run_pretraining.main, *flags, f"--input_file={records}/alone.tf_record")
    assert code == 0
    assert "several instances" not in out
    code, _, err = run_script(
        run_pretraining.main, *flags, f"--input_file={records}/packed.tf_record",
        f"--eval_input_file={records}/alone.tf_record",
    )  # fmt: skip
    assert code == 2
    assert err.strip() == (
        f"error: {records}/packed.tf_record has sequence_ids and {records}/alone.tf_record has none; "
        "give files that were made with the same --pack_sequences of create_pretraining_data.py"
    )
