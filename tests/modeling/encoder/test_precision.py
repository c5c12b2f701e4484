"""Matrix products in sixteen bits: near float32's numbers, in every combination, and float32 wherever it is kept."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

import extract_features
import run_classifier
from estimator.config import LAMB, DeviceSettings
from estimator.devices import banner
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling import ClassificationHead
from modeling.build import build_encoder
from modeling.encoder.precision import as_type, in_float32
from modeling.settings import BF16, FLOAT32, FP16, ModelSettings
from tests.command_line.test_run_classifier import TABLE, TRAINING, results
from tests.modeling.training.test_accumulation import CONFIG, HEADS, TRAIN, batch, train

tf1 = tf.compat.v1
# Rounding of a number: 2**-9 in bfloat16, 2**-12 in float16. A few dozen follow one another.
TOLERANCE = {BF16: 0.03, FP16: 0.004}
LOW = {BF16: tf.bfloat16, FP16: tf.float16}


def assert_near(found, expected, precision):
    """The first loss, and the direction and length of the first gradient."""
    assert found[0][0][1] == pytest.approx(expected[0][0][1], rel=TOLERANCE[precision])
    assert found[0][0][1] != expected[0][0][1]
    assert found[1].keys() == expected[1].keys()
    left, right = (np.concatenate([values[name].ravel() for name in found[1]]) for values in (found[1], expected[1]))
    assert left.dtype == np.float32
    assert np.linalg.norm(left - right) < 3 * TOLERANCE[precision] * np.linalg.norm(right)


@pytest.mark.parametrize("precision", [BF16, pytest.param(FP16, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        pytest.param("classification", {"packed": False}, marks=pytest.mark.slow),
        ("classification", {"packed": True, "recompute": True}),
        pytest.param("span", {"packed": True, "micro_batches": 4}, marks=pytest.mark.slow),
        pytest.param("pretraining", {"packed": True, "micro_batches": 2, "recompute": True}, marks=pytest.mark.slow),
    ],
)
def test_loss_and_gradients_are_near_those_of_float32(precision, kind, settings):
    expected = train(HEADS[kind](), batch(), GraphSettings(**settings), updates=1)
    found = train(HEADS[kind](), batch(), GraphSettings(**settings, precision=precision), updates=1)
    assert_near(found, expected, precision)


def training_graph(precision, optimizer="adamw", **settings):
    graph = tf.Graph()
    with graph.as_default():
        features = {name: tf.constant(value) for name, value in batch().items()}
        schedule = Schedule(3e-2, 40, 4, optimizer)
        tf1.set_random_seed(3)
        settings = GraphSettings(precision=precision, **settings)
        spec = build_model_fn(ModelSettings(CONFIG), HEADS["pretraining"](), schedule, settings)(
            features, None, TRAIN, {}
        )
    return graph, spec


@pytest.mark.parametrize("precision", [BF16, FP16])
def test_products_of_the_layers_are_low_and_everything_else_is_not(precision):
    graph, spec = training_graph(precision)
    forward = [op for op in graph.get_operations() if op.name.startswith("bert/encoder/")]
    products = [op for op in forward if op.type in ("MatMul", "BatchMatMulV2")]
    assert len(products) == 6 + 2  # dense layers and attention, one layer
    assert {op.outputs[0].dtype for op in products} == {LOW[precision]}
    exact = ("Softmax", "Sigmoid", "Erf", "Rsqrt", "SparseSoftmaxCrossEntropyWithLogits", "L2Loss", "ResourceApplyAdam")
    types = {op.type: {t.dtype for t in op.inputs if t.dtype.is_floating} for op in graph.get_operations()}
    assert {"Softmax", "Sigmoid", "Rsqrt"} <= types.keys()
    for name in exact:
        assert types.get(name, {tf.float32}) <= {tf.float32}, name
    outside = [op for op in graph.get_operations() if op.type == "MatMul" and op.name.startswith(("cls/", "bert/pool"))]
    assert len(outside) == 4
    assert {op.outputs[0].dtype for op in outside} == {tf.float32}
    with graph.as_default():
        floats = {variable.dtype.base_dtype for variable in tf1.global_variables() if variable.dtype.is_floating}
    assert floats == {tf.float32}
    assert spec.loss.dtype == tf.float32


def test_a_kernel_is_cast_once_for_both_passes():
    graph, _ = training_graph(BF16)
    casts = [op for op in graph.get_operations() if op.type == "Cast" and op.outputs[0].dtype == tf.bfloat16]
    kernels = [op for op in casts if op.inputs[0].op.type == "ReadVariableOp" and op.inputs[0].shape.rank == 2]
    assert len(kernels) == 6
    assert len({op.inputs[0].op.inputs[0].name for op in kernels}) == 6


def test_float32_has_no_operation_for_it():
    graph, _ = training_graph(FLOAT32)
    types = {tensor.dtype for op in graph.get_operations() for tensor in op.outputs}
    assert not types & {tf.bfloat16, tf.float16}
    with tf.Graph().as_default() as graph:
        tensor = tf.constant([1.0])
        assert as_type(tensor, tf.float32) is tensor
        assert in_float32(lambda x: x, tensor) is tensor
        assert len(graph.get_operations()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("precision", [pytest.param(BF16, marks=pytest.mark.slow), FP16])
@pytest.mark.parametrize("optimizer", [pytest.param("adamw", marks=pytest.mark.slow), LAMB])
def test_everything_at_once_learns(precision, optimizer):
    """Packed rows, parts of a batch, recomputed layers and two losses; the batch is learned by heart."""
    graph, spec = training_graph(precision, optimizer, packed=True, micro_batches=2, recompute=True)
    with graph.as_default(), tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        losses = [session.run([spec.loss, spec.train_op])[0] for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("precision", [BF16, FP16])
def test_outputs_of_the_encoder_are_float32_and_near(precision):
    features = {name: tf.constant(value) for name, value in batch().items()}
    found = []
    for chosen in (FLOAT32, precision):
        with tf.Graph().as_default(), tf1.Session() as session:
            tf1.set_random_seed(8)
            features = {name: tf.constant(value) for name, value in batch().items()}
            model = build_encoder(ModelSettings(CONFIG), HEADS["span"](), features, False, True, precision=chosen)
            outputs = [model.get_sequence_output(), model.get_pooled_output(), model.get_embedding_output()]
            assert {tensor.dtype for tensor in outputs} == {tf.float32}
            session.run(tf1.global_variables_initializer())
            found.append(session.run(outputs))
    for left, right in zip(*found, strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=10 * TOLERANCE[precision])
    np.testing.assert_array_equal(found[0][2], found[1][2])


def classify(run_script, table_dir, tiny_model, run, *flags):
    arguments = [*TABLE, *TRAINING, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}", f"--output_dir={run}"]
    code, _, err = run_script(run_classifier.main, *arguments, *flags)
    assert code == 0, err
    return err


def held(run):
    """Variables of the latest checkpoint by name."""
    reader = tf.train.load_checkpoint(str(run))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


@pytest.mark.slow
def test_a_run_changes_its_precision_and_back(run_script, table_dir, tiny_model, tmp_path):
    """bf16, fp16 and float32 go on from one another's checkpoints, and all of these are float32."""
    run = tmp_path / "run"
    err = classify(run_script, table_dir, tiny_model, run, "--do_train", "--precision=bf16", "--num_train_epochs=12")
    assert re.search(r"CPU threads, bf16\n", err)
    first = held(run)
    assert {value.dtype for value in first.values()} == {np.dtype("float32"), np.dtype("int64")}
    assert "loss_scale" not in first
    err = classify(run_script, table_dir, tiny_model, run, "--do_train", "--precision=fp16", "--num_train_epochs=13")
    assert "training 96 to 104 of 104 steps" in err
    second = held(run)
    assert second.keys() - first.keys() == {"loss_scale", "loss_scale_good_steps"}
    assert second["loss_scale"] >= 1.0
    assert second["global_step"] == 104
    assert not np.array_equal(first["output_weights"], second["output_weights"])
    np.testing.assert_allclose(second["output_weights"], first["output_weights"], atol=0.1)
    reports = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line.get("loss_scale") is not None for line in reports if line["event"] == "train"][-1]
    classify(run_script, table_dir, tiny_model, run, "--do_train", "--do_eval", "--num_train_epochs=14", "--do_export")
    assert held(run).keys() == first.keys()
    assert held(run)["global_step"] == 112
    exact = results(run)
    assert exact["eval_accuracy"] >= 0.9
    for precision in (BF16, FP16):
        err = classify(run_script, table_dir, tiny_model, run, "--do_eval", f"--precision={precision}")
        assert f"CPU threads, {precision}" in err
        assert results(run)["eval_loss"] == pytest.approx(exact["eval_loss"], rel=0.3, abs=0.01)


@pytest.mark.slow
def test_the_export_is_float32_whatever_the_training_was(run_script, table_dir, tiny_model, tmp_path):
    run = tmp_path / "run"
    classify(
        run_script, table_dir, tiny_model, run, "--do_train", "--precision=fp16", "--num_train_epochs=0.5",
        "--do_export", "--export_frozen_graph",
    )  # fmt: skip
    (export,) = (run / "export").iterdir()
    frozen = tf1.GraphDef.FromString((export / "frozen_graph.pb").read_bytes())
    types = {attribute.type for node in frozen.node for attribute in node.attr.values() if attribute.type}
    assert tf.float32.as_datatype_enum in types
    assert not types & {tf.bfloat16.as_datatype_enum, tf.float16.as_datatype_enum}
    names = {name for name, _ in tf.train.list_variables(str(export / "variables" / "variables"))}
    assert not [name for name in names if name.startswith("loss_scale")]
    # Its checkpoint starts another run, and what training left in it is no surplus.
    other = tmp_path / "other"
    err = classify(
        run_script, table_dir, tiny_model, other, "--do_train", "--num_train_epochs=0.5", f"--init_checkpoint={run}"
    )
    assert re.search(r"restored 25/25\n", err)


def test_vectors_in_sixteen_bits(run_script, tiny_model, tmp_path):
    (tmp_path / "texts.txt").write_text("the film was good\na very nasty day here\n", encoding="utf-8")
    found = []
    for precision in (FLOAT32, BF16):
        target = tmp_path / f"{precision}.npy"
        code, _, err = run_script(
            extract_features.main, f"--input_file={tmp_path / 'texts.txt'}", f"--output_file={target}",
            "--output_format=npy", "--pooling=mean", f"--init_checkpoint={tiny_model}", "--max_seq_length=16",
            f"--precision={precision}",
        )  # fmt: skip
        assert code == 0, err
        found.append(np.load(target))
    assert found[1].dtype == np.float32
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=0.05)
    assert (found[1] != found[0]).any()


@pytest.mark.parametrize("main", [run_classifier.main, extract_features.main])
def test_a_tpu_has_no_float16(run_script, main, tmp_path):
    (tmp_path / "texts.txt").write_text("a\n")
    extraction = [f"--input_file={tmp_path / 'texts.txt'}", "--output_file=x", "--init_checkpoint=y"]
    arguments = extraction if main is extract_features.main else ["--do_train", "--output_dir=x"]
    code, _, err = run_script(main, *arguments, "--use_tpu", "--precision=fp16")
    assert (code, err) == (2, "error: --precision=fp16: a TPU has no float16; use --precision=bf16\n")


def test_an_unknown_precision_is_named(run_script):
    code, _, err = run_script(run_classifier.main, "--do_train", "--output_dir=x", "--precision=int8")
    assert code == 2
    assert "float32|bf16|fp16" in err


def test_banner_names_it():
    assert banner(DeviceSettings(precision=BF16, use_xla=True)).endswith("CPU threads, bf16, XLA")
    assert banner().endswith("CPU threads, float32")
    slow = " (a CPU emulates float16, at a hundredth of its speed: --precision=bf16 is the one to use)"
    on_cpu = not tf.config.list_physical_devices("GPU")
    assert banner(DeviceSettings(precision=FP16)).endswith(f"CPU threads, fp16{slow if on_cpu else ''}")


def test_predictions_are_computed_in_it():
    with tf.Graph().as_default() as graph:
        features = {name: tf.constant(value) for name, value in batch().items()}
        model_fn = build_model_fn(ModelSettings(CONFIG), ClassificationHead(3), graph=GraphSettings(precision=BF16))
        spec = model_fn(features, None, tf.estimator.ModeKeys.PREDICT, {})
        low = [op for op in graph.get_operations() if op.type == "MatMul" and op.outputs[0].dtype == tf.bfloat16]
    assert len(low) == 6
    assert {tensor.dtype for tensor in spec.predictions.values()} == {tf.float32}
