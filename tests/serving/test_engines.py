"""Engines: what computes an export is told apart from how its outputs become answers, which needs no TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest

from common.errors import ExportError
from serving.engines import TensorFlowEngine
from serving.predictor import Predictor
from tests.command_line.test_run_classifier import ROOT
from tests.support import tiny

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


def test_what_is_no_saved_model_is_one_line(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ExportError, match=r"cannot be loaded .*; export again"):
        TensorFlowEngine(tmp_path)
