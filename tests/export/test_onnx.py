"""The ONNX file of an export, and answers from it beside TensorFlow's."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import extract_features
import run_classifier
import run_seq2seq
from command_line import model_files, run_ner
from command_line.flags.parsing import parse
from command_line.run_server import SCRIPT as SERVER
from command_line.run_server import vector_export
from common.errors import ExportError
from export import onnx_fusion, onnx_packages
from export.signatures import ExportSettings
from modeling.families.registry import FAMILIES
from serving import engine_choice
from serving.engines import load
from serving.predictor import Predictor
from serving.worker import Worker
from tests.support import families, serving, tiny

onnx = pytest.importorskip("onnx", reason="pip install bert-estimator[onnx]")
pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")

LENGTH = 14
"""Positions that the smallest of the families' models have."""
ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    {"text_a": "a good film"},
    {"text_a": "bad , bad day", "text_b": "it was fine here"},
    {"text_a": "the film was a very " * 9, "text_b": "food"},
    {"text_a": "x"},
]


@pytest.fixture(scope="module")
def exported(tiny_model, tmp_path_factory):
    """Exports of the three kinds of labels, made when first asked for."""
    made = {}

    def export(kind: str) -> Path:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            made[kind] = serving.export_classifier(tiny_model, folder, kind, ExportSettings(onnx=True))
        return made[kind]

    return export


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["single_label", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("multi_label", "regression"))]
)
def test_answers_are_those_of_tensorflow(exported, kind):
    export = exported(kind)
    with Predictor(export, "tensorflow") as first, Predictor(export, "onnx") as second:
        assert set(second.input_names) == set(first.input_names)
        texts = {name: [row.get(name, "") for row in ROWS] for name in ("text_a", "text_b")}
        expected, found = first.run(texts), second.run(texts)
        for batch_size in (1, 3):
            for one, other in zip(first.answer(ROWS, batch_size), second.answer(ROWS, batch_size), strict=True):
                assert one.keys() == other.keys()
                assert one["label"] == pytest.approx(other["label"], abs=1e-6)
    assert {name: values.shape for name, values in found.items()} == {name: v.shape for name, v in expected.items()}
    for name, values in expected.items():
        if values.dtype == np.float32:
            np.testing.assert_allclose(found[name], values, atol=1e-6)
        else:
            assert found[name].tolist() == values.tolist()


def test_layer_norms_and_activations_are_single_operations(exported):
    model = onnx.load(exported("single_label") / "model.onnx")
    kinds = [node.op_type for node in model.graph.node]
    layers = tiny.CONFIG["num_hidden_layers"]
    # Two norms a layer, and that of the embeddings; the pooler alone has a tangent of its own.
    assert (kinds.count("LayerNormalization"), kinds.count("FastGelu")) == (2 * layers + 1, layers)
    assert (kinds.count("Tanh"), kinds.count("Sqrt")) == (1, 0)
    assert [one.name for one in model.graph.input] == ["input_ids", "input_mask", "segment_ids"]
    assert sorted(one.name for one in model.graph.output) == ["logits", "probabilities"]


def normalizing(epsilon_input="eps", squared=("d", "d"), products=(("d", "i"), ("n", "gamma"))):
    """A graph of one layer normalization, and of a GELU by the error function behind it."""
    node = onnx.helper.make_node
    nodes = [
        node("ReduceMean", ["x"], ["m"], axes=[-1]), node("Sub", ["x", "m"], ["d"]),
        node("Mul", list(squared), ["s"]), node("ReduceMean", ["s"], ["v"], axes=[-1]),
        node("Add", ["v", epsilon_input], ["a"]), node("Sqrt", ["a"], ["r"]), node("Reciprocal", ["r"], ["i"]),
        node("Mul", list(products[0]), ["n"]), node("Mul", list(products[1]), ["g"]), node("Add", ["g", "beta"], ["h"]),
        node("Mul", ["h", "root"], ["e"]), node("Erf", ["e"], ["f"]), node("Add", ["f", "one"], ["o"]),
        node("Mul", ["half", "h"], ["b"]), node("Mul", ["b", "o"], ["y"]),
    ]  # fmt: skip
    constants = {
        "eps": np.float32(1e-6), "gamma": np.arange(1, 5, dtype=np.float32), "beta": np.ones(4, np.float32),
        "root": np.float32(np.sqrt(0.5)), "one": np.float32(1), "half": np.float32(0.5),
    }  # fmt: skip
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "norm", [value("x", onnx.TensorProto.FLOAT, [None, 4])], [value("y", onnx.TensorProto.FLOAT, [None, 4])],
        [onnx.numpy_helper.from_array(np.array(one), name) for name, one in constants.items()],
    )  # fmt: skip
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def computed(model, x):
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"x": x}
    )[0]


@pytest.mark.parametrize("products", [(("d", "i"), ("n", "gamma")), (("i", "gamma"), ("d", "n"))])
def test_fused_operations_compute_the_same(products):
    x = np.random.default_rng(3).normal(size=(5, 4)).astype(np.float32)
    model = normalizing(products=products)
    expected = computed(model, x)
    assert onnx_fusion.fuse(model) == {"LayerNormalization": 1, "Gelu": 1}
    assert [node.op_type for node in model.graph.node] == ["LayerNormalization", "Gelu"]
    np.testing.assert_allclose(computed(model, x), expected, atol=1e-6)


def test_what_only_looks_alike_stays():
    assert onnx_fusion.fuse(normalizing(squared=("d", "x"))) == {"Gelu": 1}
    assert onnx_fusion.fuse(normalizing(epsilon_input="m")) == {"Gelu": 1}
    assert onnx_fusion.fuse(normalizing(products=(("i", "gamma"), ("x", "n")))) == {"Gelu": 1}
    other = normalizing()
    next(one for one in other.graph.initializer if one.name == "root").CopyFrom(
        onnx.numpy_helper.from_array(np.array(0.5, np.float32), "root")
    )
    assert onnx_fusion.fuse(other) == {"LayerNormalization": 1}
    read_elsewhere = normalizing()
    read_elsewhere.graph.output.append(onnx.helper.make_tensor_value_info("n", onnx.TensorProto.FLOAT, [None, 4]))
    assert onnx_fusion.fuse(read_elsewhere) == {"Gelu": 1}


def test_a_file_that_computes_something_else_is_not_written(tiny_model, tmp_path, monkeypatch):
    def spoil(model):
        next(node for node in model.graph.node if node.op_type == "Softmax").op_type = "LogSoftmax"
        return {}

    monkeypatch.setattr(onnx_fusion, "fuse", spoil)
    with pytest.raises(ExportError, match=r"model\.onnx: \w+ differs from the SavedModel's by .*; no export was wri"):
        serving.export_classifier(tiny_model, tmp_path, settings=ExportSettings(onnx=True))
    assert not [path for path in (tmp_path / "export").rglob("*") if path.is_file()]


def test_the_faster_engine_is_recorded_and_used(exported, tmp_path, monkeypatch):
    export = shutil.copytree(exported("single_label"), tmp_path / "export")
    assert type(load(export)).__name__ == "TensorFlowEngine"
    assert engine_choice.choose_engine(export) in ("onnx", "tensorflow")
    recorded = json.loads((export / "engine.json").read_text())
    assert recorded["milliseconds"].keys() == {"onnx", "tensorflow"}
    slow = {name: {1: seconds, 16: seconds} for name, seconds in (("tensorflow", 2.0), ("onnx", 1.0))}
    monkeypatch.setattr(engine_choice, "_measured", lambda _: slow)
    assert engine_choice.choose_engine(export) == "onnx"
    assert type(load(export)).__name__ == "OnnxEngine"
    slow["onnx"] = {1: 1.9, 16: 2.2}
    assert engine_choice.choose_engine(export) == "tensorflow"
    assert type(load(export)).__name__ == "TensorFlowEngine"


def test_without_tensorflow_in_the_process(exported):
    program = (
        f"import sys; from serving.predictor import Predictor; print(Predictor({str(exported('single_label'))!r}, "
        "'onnx').answer([{'text_a': 'a good film'}])[0]['label']); print('tensorflow' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[0] in ("neg", "pos")
    assert result.stdout.splitlines()[1] == "False"


@pytest.mark.slow
def test_a_server_needs_no_tensorflow_for_it(exported):
    export = exported("single_label")
    found = {}
    for engine in ("tensorflow", "onnx"):
        worker = Worker({"it": export}, engine=engine)
        try:
            description = worker.start()["it"]
            mapped = Path(f"/proc/{worker.pid()}/maps").read_text()
            found[engine] = description, worker.answer("it", [{"text_a": "a good film"}])[0], "libtensorflow" in mapped
        finally:
            worker.stop()
    (first, one, has), (second, other, has_not) = found.values()
    assert (first, has, has_not) == (second, True, False)
    assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_errors_are_one_line(exported, tmp_path, monkeypatch):
    export = shutil.copytree(exported("single_label"), tmp_path / "export")
    (export / "engine.json").write_text('{"engine": "fast"}')
    with pytest.raises(ExportError, match=r"engine\.json: engine is 'fast', expected tensorflow or onnx; give --eng"):
        Predictor(export)
    (export / "engine.json").write_text("{")
    with pytest.raises(ExportError, match=r"engine\.json: cannot be read \(.*\); give --engine, or export again"):
        Predictor(export)
    (export / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"model\.onnx: cannot be loaded \(.*\); export again"):
        Predictor(export, "onnx")
    (export / "model.onnx").unlink()
    with pytest.raises(ExportError, match=r"no model\.onnx; export with --export_onnx, or choose --engine=tensorflow"):
        Predictor(export, "onnx")


def test_without_the_packages(exported, tmp_path, monkeypatch, caplog):
    export = shutil.copytree(exported("single_label"), tmp_path / "export")
    (export / "engine.json").write_text('{"engine": "onnx"}')
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"--engine=onnx: ONNX Runtime cannot be imported .*pip install bert-est"):
        Predictor(export, "onnx")
    monkeypatch.setattr("serving.engines.find_spec", lambda name: None)
    assert type(load(export)).__name__ == "TensorFlowEngine"
    assert "says onnx, but onnxruntime is not installed; answers come from TensorFlow" in caplog.text
    monkeypatch.setattr(onnx_packages, "find_spec", lambda name: None)
    with pytest.raises(ExportError.__mro__[1], match="--export_onnx needs onnx, onnxruntime, tf2onnx; pip install"):
        onnx_packages.check_packages()


def test_flags_of_an_onnx_file_are_checked_before_tensorflow_is_imported():
    """A TensorFlow that is imported keeps its kernels: --onednn would come too late."""
    code = """if True:
        import sys
        from command_line import execution
        from command_line.run_classifier import SCRIPT
        from types import SimpleNamespace
        values = {flag.name: flag.default for flag in SCRIPT.flags}
        given = {"do_export": True, "export_onnx": True, "quantize": "int8", "output_dir": "nowhere"}
        execution.check_actions(SimpleNamespace(**values | given, given=set(given), typed=set(given)))
        assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[2])


@pytest.mark.slow
def test_through_the_script(run_script, tiny_model, table_dir, tmp_path):
    flags = ["--task_name=table", "--text_a=text", "--label=label", f"--data_dir={table_dir}", "--max_seq_length=24"]
    where = [f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'run'}"]
    code, _, err = run_script(run_classifier.main, *flags, *where, "--do_train", "--export_onnx")
    assert (code, err) == (2, "error: --export_onnx needs --do_export; add it\n")
    train = ["--do_train", "--do_export", "--export_onnx", "--num_train_epochs=0.2", "--train_batch_size=8"]
    code, _, err = run_script(run_classifier.main, *flags, *where, *train)
    assert code == 0, err
    assert "answers come from " in err
    export = next((tmp_path / "run" / "export").iterdir())
    assert {"model.onnx", "engine.json"} <= {path.name for path in export.iterdir()}


@pytest.mark.parametrize(
    ("main", "given", "message"),
    [
        (run_seq2seq.main, ["--output_dir=x", "--do_export", "--export_onnx"],
         "--export_onnx: texts are written in a loop, which ONNX files of this project do not have; leave it out"),
        (extract_features.main, ["--init_checkpoint=x", "--export_onnx"],
         "--export_onnx needs --export_dir; add it"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_line(run_script, main, given, message):
    code, _, err = run_script(main, *given)
    assert (code, err) == (2, f"error: {message}\n")


@pytest.mark.slow
def test_vectors_through_the_scripts(run_script, tiny_model, tmp_path):
    flags = [f"--init_checkpoint={tiny_model}", "--pooling=mean", "--max_seq_length=24", "--export_onnx"]
    code, _, err = run_script(extract_features.main, *flags, f"--export_dir={tmp_path}")
    assert code == 0, err
    (export,) = (tmp_path / "export").iterdir()
    with Predictor(export, "tensorflow") as first, Predictor(export, "onnx") as second:
        texts = serving.difficult_texts(export)
        serving.check_same(second.run(texts), first.run(texts))
    served = parse(["run_server.py", "--engine=onnx", "--max_seq_length=24"], SERVER.flags)
    with vector_export(served, tiny_model) as made:
        assert (made / "model.onnx").is_file()


def tasks(tokenizer, config):
    """A task of each kind that is answered without TensorFlow."""
    from processors.base import DataProcessor
    from processors.choices.source import ChoiceSource, Rows
    from processors.entities.featurizer import labels_of_types
    from processors.entities.source import SentenceFiles
    from processors.entities.tagged_file import FileForm
    from processors.example_source import ExampleSource
    from tasks.choices.task import ChoiceSettings, ChoiceTask
    from tasks.classification.task import ClassificationTask
    from tasks.entities.task import EntitySettings, EntityTask
    from tasks.pretraining.task import PretrainingSettings, PretrainingTask
    from tasks.span.ranking import DecodingSettings
    from tasks.span.task import SpanSettings, SpanTask
    from tasks.vectors.task import VectorSettings, VectorTask

    processor = DataProcessor()
    processor.get_labels = lambda: ["neg", "pos"]
    sentences = SentenceFiles({}, FileForm(), "iob2", labels_of_types(["good", "bad"]))
    spans = SpanSettings(LENGTH, 4, 5, DecodingSettings(version_2_with_negative=True))
    choices = ChoiceSource({}, Rows(lambda path, split: iter(()), "text", {}))
    return {
        "labels": ClassificationTask("tiny", ExampleSource(processor, ""), tokenizer, LENGTH),
        "entities": EntityTask(tokenizer, sentences, EntitySettings(12)),
        "field": EntityTask(tokenizer, sentences, EntitySettings(12, use_crf=True)),
        "spans": SpanTask(tokenizer, spans, {}, null_threshold=-0.01),
        "masked": PretrainingTask(config, PretrainingSettings(LENGTH, 4, next_sentence=False), {}, tokenizer),
        "choices": ChoiceTask(tokenizer, choices, ChoiceSettings(LENGTH)),
        "mean": VectorTask(tokenizer, VectorSettings("mean", (-1,), False, True, LENGTH)),
        "layers": VectorTask(tokenizer, VectorSettings("none", (-1, 0), max_seq_length=LENGTH, shows_tokens=True)),
    }


KINDS = ["labels", "entities", "field", "spans", "masked", "choices", "mean", "layers"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", [family.model_type for family in FAMILIES])
def test_every_task_of_every_family(family, kind, tmp_path):
    found = next(one for one in FAMILIES if one.model_type == family)
    folder = families.model_folder(found, tmp_path / "model")
    given = [f"--init_checkpoint={folder}", f"--max_seq_length={LENGTH}"]
    files = model_files.load(parse(["run_ner.py", *given], run_ner.SCRIPT.flags), folder, {})
    if kind == "masked" and "cls/predictions/output_bias" in found.lacks:
        pytest.skip(f"{found.title} has no masked-language head")
    task = tasks(files.text_tokenizer, files.config)[kind]
    export = serving.export_random(task, tmp_path, ExportSettings(onnx=True), files.config)
    texts = serving.difficult_texts(export)
    with Predictor(export, "tensorflow") as first, Predictor(export, "onnx") as second:
        assert set(first.input_names) == set(second.input_names)
        # In the graph a field adds up in float32, over texts of hundreds of words.
        serving.check_same(second.run(texts), first.run(texts), 5e-4 if kind == "field" else 1e-5)
        alone = {name: values[:1] for name, values in texts.items()}
        serving.check_same(second.run(alone), first.run(alone), 1e-5)
    if family == "bert":
        assert engine_choice.choose_engine(export) in ("onnx", "tensorflow")
        assert json.loads((export / "engine.json").read_text())["milliseconds"].keys() == {"onnx", "tensorflow"}
