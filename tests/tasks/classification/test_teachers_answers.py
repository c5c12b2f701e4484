"""What a student of classes learns of the answers of another model, and which answers it refuses."""

import json

import numpy as np
import pytest

from command_line.distillation.answers import ExportTeacher, PredictionsTeacher
from common.errors import DataError, FlagError
from processors.example_source import ExampleSource
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, TableSpec
from tasks.classification.kinds import KINDS
from tasks.classification.task import ClassificationTask
from tests.support import tiny
from tokenization import BulkTokenizer

NAMES = ["neg", "pos"]
SINGLE, MULTI = KINDS["single_label"], KINDS["multi_label"]
OF_MULTI = {"label": ["neg", "pos"], "probabilities": {"neg": 0.9, "pos": 0.95}}
OF_SINGLE = {"label": "pos", "probabilities": {"neg": 0.25, "pos": 0.75}}


def task_of(folder, problem_type="single_label"):
    tiny.write_table(folder, train=8, dev=4, test=4)
    (folder / "vocab.txt").write_text("\n".join(tiny.TOKENS))
    spec = TableSpec(Columns("text", label="label"), problem_type=problem_type)
    source = ExampleSource(TableProcessor(spec, str(folder)), str(folder))
    return ClassificationTask("table", source, BulkTokenizer(folder / "vocab.txt"), 24)


def test_answers_of_the_same_kind_are_learned():
    np.testing.assert_allclose(np.exp(SINGLE.soft_targets_of_answer(NAMES, OF_SINGLE)), [0.25, 0.75], rtol=1e-6)
    rounded = {"probabilities": {"neg": 0.33, "pos": 0.66}}  # no label, two digits
    np.testing.assert_allclose(np.exp(SINGLE.soft_targets_of_answer(NAMES, rounded)), [0.33, 0.66], rtol=1e-6)
    np.testing.assert_allclose(MULTI.soft_targets_of_answer(NAMES, OF_MULTI), np.log([9, 19]), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "answer", "told"),
    [
        (SINGLE, OF_MULTI, "has ['neg', 'pos'] under label, expected the name of one label"),
        (SINGLE, OF_MULTI | {"label": None}, "has None under label"),
        (SINGLE, {"probabilities": {"neg": 0.9, "pos": 0.95}}, "has probabilities with the sum 1.85, expected 1"),
        (MULTI, OF_SINGLE, "has 'pos' under label, expected a list of names"),
    ],
)
def test_answers_of_another_kind_are_refused(kind, answer, told):
    with pytest.raises(ValueError) as caught:
        kind.soft_targets_of_answer(NAMES, answer)
    assert told in str(caught.value)


def test_the_row_of_a_file_is_named(tmp_path):
    path = tmp_path / "predictions.jsonl"
    lines = [{"id": "test-1", **OF_SINGLE}, {"id": "test-2", **OF_MULTI}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError) as caught:
        PredictionsTeacher([path], task_of(tmp_path / "data"))
    assert str(caught.value).startswith(f"{path}:2: has ['neg', 'pos'] under label")


def test_an_export_of_another_problem_type_is_no_teacher(tmp_path):
    assets = tmp_path / "export" / "assets"
    assets.mkdir(parents=True)
    (assets / "labels.txt").write_text("neg\npos\n")
    task = task_of(tmp_path / "data")
    for stated in ("single_label", "multi_label"):
        (assets / "tokenizer.json").write_text(json.dumps({"problem_type": stated}))
        if stated == "single_label":
            ExportTeacher(assets.parent, task, "auto")
            continue
        with pytest.raises(FlagError) as caught:
            ExportTeacher(assets.parent, task, "auto")
    assert str(caught.value) == (
        f"--teacher={assets.parent}: its problem type is multi_label, that of the student single_label; give a teacher "
        "of the same task"
    )
