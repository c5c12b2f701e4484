"""Engines: what computes an export is told apart from how its outputs become answers, which needs no TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest

from common.errors import DataError, ExportError
from export.signatures import ExportSettings
from serving.engines import TensorFlowEngine
from serving.predictor import Predictor
from tests.command_line.test_run_classifier import ROOT
from tests.support import serving, tiny

PROGRAM = """
import sys
import numpy as np
from serving.predictor import Predictor
from serving.lines import answer_lines

class Lengths:
    "Says that long texts are of the second class."
    input_names = ("text_a", "text_b")
    def run(self, inputs):
        long = np.array([len(text) > 9 for text in inputs["text_a"]], np.float32)
        names = np.array([[b"neg", b"pos"]] * len(long), object)
        return {"probabilities": np.stack([1 - long, long], 1), "labels": names}
    def close(self):
        pass

with Predictor(sys.argv[1], Lengths()) as predictor:
    answers = predictor.answer([{"text_a": "short"}, {"text_a": "a longer text"}])
print([answer["label"] for answer in answers], [name for name in ("tensorflow", "pandas") if name in sys.modules])
"""


@pytest.fixture(scope="module", params=["tensorflow", pytest.param("onnx", marks=pytest.mark.slow)])
def answers_by(request, tiny_model, tmp_path_factory, classifier_export):
    """A classifier by each engine."""
    export = classifier_export
    if request.param == "onnx":
        pytest.importorskip("onnxruntime")
        folder = tmp_path_factory.mktemp("onnx")
        export = serving.export_classifier(tiny_model, folder, settings=ExportSettings(onnx=True))
    with Predictor(export, request.param) as predictor:
        yield predictor


def test_an_engine_of_its_own_answers_without_tensorflow(classifier_export):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(classifier_export)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("['neg', 'pos'] []\n", "")


def test_the_engine_gives_the_signature_and_leaves_out_what_is_not_given(classifier_export):
    texts = [text for text, _ in tiny.rows(3)]
    engine = TensorFlowEngine(classifier_export)
    outputs = engine.run({"text_a": texts})
    assert set(engine.input_names) == {"text_a", "text_b"}
    engine.close()
    assert outputs["probabilities"].shape == (3, 2)
    with Predictor(classifier_export) as predictor:
        answers = predictor.answer([{"text_a": text} for text in texts])
    np.testing.assert_allclose(
        [list(answer["probabilities"].values()) for answer in answers], outputs["probabilities"], atol=1e-6
    )


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": ["good"]}, r"unknown input 'text'; the text signature takes text_a, text_b \(optional\)"),
        ({"text_b": ["good"]}, r"input 'text_a' is missing; the text signature takes text_a, text_b \(optional\)"),
        ({}, "input 'text_a' is missing"),
        ({"text_a": "good"}, "input 'text_a' is a str, expected a list of texts"),
        ({"text_a": None}, "input 'text_a' is a NoneType, expected a list of texts"),
        ({"text_a": ["a"], "text_b": ["b", "c"]}, "input 'text_b' has 2 texts, 'text_a' has 1; give equally many"),
        ({"text_a": ["a", "b"], "text_b": []}, "input 'text_b' has 0 texts, 'text_a' has 2; give equally many"),
    ],
)
def test_inputs_that_the_signature_does_not_take_are_one_line(answers_by, inputs, message):
    with pytest.raises(DataError, match=message):
        answers_by.run(inputs)


def test_one_optional_text_holds_for_every_row_and_no_row_is_answered_with_none(answers_by):
    texts = [text for text, _ in tiny.rows(3)]
    one = answers_by.run({"text_a": texts, "text_b": ["it was here"]})
    each = answers_by.run({"text_a": texts, "text_b": ["it was here"] * 3})
    np.testing.assert_array_equal(one["probabilities"], each["probabilities"])
    none = answers_by.run({"text_a": []})
    assert {name: values.shape for name, values in none.items()} == {
        name: (0, *values.shape[1:]) for name, values in each.items()
    }
    assert {name: values.dtype for name, values in none.items()} == {name: v.dtype for name, v in each.items()}


def test_keys_of_any_type_are_named(answers_by):
    with pytest.raises(DataError, match="row 0: unknown key 'x'; expected text_a, text_b"):
        answers_by.answer([{1: "a", "x": "b"}])


def test_what_is_no_saved_model_is_one_line(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ExportError, match=r"cannot be loaded .*; export again"):
        TensorFlowEngine(tmp_path)
