"""Weights of 8 bits in ONNX files, and what the accuracy on the dev split says of them."""

import json
import re
import shutil

import numpy as np
import pytest

import run_classifier
import run_pretraining
from common.errors import ExportError
from export import onnx_quantization
from export.signatures import Quantization
from serving.predictor import Predictor
from tests.support import tiny

onnx = pytest.importorskip("onnx", reason="pip install bert-estimator[onnx]")
pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

FLAGS = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24"]


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    """A run of a few steps that has learned something, its data, and an export of it with int8 weights."""
    folder = tmp_path_factory.mktemp("quantized")
    data = tiny.write_table(folder / "data")
    flags = [*FLAGS, f"--data_dir={data}", f"--output_dir={folder / 'run'}"]
    train = [f"--init_checkpoint={tiny_model}", "--do_train", "--num_train_epochs=6", "--train_batch_size=8",
             "--learning_rate=5e-3"]  # fmt: skip
    export = ["--do_export", "--export_onnx", "--quantize=int8", "--max_accuracy_loss=0.1"]
    run_classifier.main(["script", *flags, *train, *export])
    return folder / "run", flags


def newest(run):
    return max((run / "export").iterdir())


def test_the_accuracy_before_and_after_is_stored(trained):
    export = newest(trained[0])
    recorded = json.loads((export / "quantization.json").read_text())
    assert recorded["before"] > 0.8  # so that a label that is read wrongly shows
    assert recorded["after"] >= recorded["before"] - 0.1
    assert recorded == recorded | {"weights": "int8", "metric": "accuracy", "max_accuracy_loss": 0.1}
    dev = [row.split("\t") for row in (trained[0].parent / "data" / "dev.tsv").read_text().splitlines()[1:]]
    with Predictor(export, "tensorflow") as first, Predictor(export, "onnx") as second:
        for predictor, stored in ((first, recorded["before"]), (second, recorded["after"])):
            found = [answer["label"] for answer in predictor.answer([{"text_a": text} for text, _ in dev])]
            assert np.mean([one == label for one, (_, label) in zip(found, dev, strict=True)]) == pytest.approx(stored)
        one, other = (predictor.answer([{"text_a": dev[0][0]}])[0]["probabilities"] for predictor in (first, second))
    assert one == pytest.approx(other, abs=0.1)
    assert one != other
    assert json.loads((export / "engine.json").read_text())["engine"] in ("onnx", "tensorflow")


def test_weights_are_of_8_bits_and_a_scale_a_channel(trained):
    model = onnx.load(newest(trained[0]) / "model.onnx")
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    kinds = {node.op_type for node in model.graph.node}
    # Also with the scales of a trained model, which are applied in another order than those of a new one.
    assert [node.op_type for node in model.graph.node].count("LayerNormalization") == 3
    assert kinds & {"MatMulInteger", "DynamicQuantizeMatMul"}
    bytes_of = [one for one in arrays.values() if one.dtype == np.int8 and one.ndim == 2]
    assert any(one.shape == (tiny.CONFIG["hidden_size"], tiny.CONFIG["intermediate_size"]) for one in bytes_of)
    assert all(abs(one.astype(int)).max() <= 64 for one in bytes_of if one.shape[1] == tiny.CONFIG["intermediate_size"])
    assert any(one.shape == (tiny.CONFIG["intermediate_size"],) and one.dtype == np.float32 for one in arrays.values())


@pytest.mark.slow
def test_an_export_that_loses_too_much_is_refused(trained, run_script, monkeypatch):
    run, flags = trained
    before = sorted(path for path in run.rglob("*") if "export" in path.parts)
    write = onnx_quantization._write

    def spoilt(path, smaller):
        """Weights whose signs are lost."""
        write(path, smaller)
        model = onnx.load(smaller)
        for one in model.graph.initializer:
            if one.data_type == onnx.TensorProto.INT8 and len(one.dims) == 2:
                one.CopyFrom(onnx.numpy_helper.from_array(np.abs(onnx.numpy_helper.to_array(one)), one.name))
        onnx.save(model, smaller)

    monkeypatch.setattr(onnx_quantization, "_write", spoilt)
    code, _, err = run_script(run_classifier.main, *flags, "--do_export", "--export_onnx", "--quantize=int8")
    assert code == 2
    assert re.search(
        r"error: --quantize=int8: accuracy on the dev split \d\.\d{4} in float32, \d\.\d{4} in int8, a loss of "
        r"0\.\d{4}, expected at most --max_accuracy_loss=0\.005; no export was written; raise it, or leave "
        r"--quantize out\n$",
        err,
    )
    assert sorted(path for path in run.rglob("*") if "export" in path.parts) == before


def test_without_a_dev_split(trained, run_script, tmp_path):
    run, _ = trained
    shutil.copytree(run, tmp_path / "run")
    data = shutil.copytree(run.parent / "data", tmp_path / "data")
    (data / "dev.tsv").unlink()
    where = [*FLAGS, f"--data_dir={data}", f"--output_dir={tmp_path / 'run'}"]
    exports = sorted((tmp_path / "run" / "export").iterdir())
    code, _, err = run_script(run_classifier.main, *where, "--do_export", "--export_onnx", "--quantize=int8")
    assert code == 2
    assert re.search(
        r"error: .*train\.tsv: the dev file that --output_dir=.* was trained beside is not there, and rows held out "
        r"from this file now are rows that were trained on; put the dev file back",
        err,
    )
    assert sorted((tmp_path / "run" / "export").iterdir()) == exports


@pytest.mark.parametrize(
    ("main", "given", "message"),
    [
        (run_classifier.main, ["--do_export", "--quantize=int8"], "--quantize=int8 needs --export_onnx; add it"),
        (run_classifier.main, ["--do_export", "--max_accuracy_loss=0.1"],
         "--max_accuracy_loss needs --quantize; add --quantize=int8"),
        (run_pretraining.main, ["--do_export", "--export_onnx", "--quantize=int8"],
         "--quantize=int8: masked-language models have no accuracy of answers on a dev split to compare by; leave it "
         "out, or quantize a model that is fine-tuned"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(run_script, tmp_path, main, given, message):
    code, _, err = run_script(main, f"--output_dir={tmp_path / 'run'}", *given)
    assert (code, err) == (2, f"error: {message}\n")


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_other_scores_compare_too(kind):
    from tasks.classification.kinds import KINDS

    gold = {"multi_label": np.array([[1, 0], [0, 1], [1, 1]]), "regression": np.array([0.1, 0.5, 0.9])}[kind]
    for shift, expected in ((0.0, True), (1.0, False)):
        values = np.roll(gold, 1, axis=0) if shift else gold
        name, value = KINDS[kind].accuracy(
            {"label_ids": gold, "probabilities": values * 1.0, "score": values}, ["a", "b"]
        )
        assert name == {"multi_label": "f1_micro", "regression": "pearson"}[kind]
        assert (value == pytest.approx(1.0)) is expected


def test_a_score_that_is_no_number_is_a_loss(tmp_path):
    value, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    ends = [[value(name, onnx.TensorProto.FLOAT, [None, 4])] for name in "xy"]
    weights = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = onnx.helper.make_graph([node("MatMul", ["x", "w"], ["y"])], "one", *ends, [weights])
    path = tmp_path / "model.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    content, x = path.read_bytes(), np.ones((1, 4), np.float32)
    settings = Quantization(0.5, lambda predict: ("pearson", float("nan") * predict({"x": x})["y"].sum()))
    with pytest.raises(ExportError, match=r"pearson on the dev split nan in float32, nan in int8, a loss of nan, exp"):
        onnx_quantization.quantize(path, settings)
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == content
