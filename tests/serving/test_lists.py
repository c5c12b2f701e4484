"""Inputs that are lists of texts: checked by row, served by every protocol, estimated whole."""

import pytest

from serving.errors import UnprocessableError
from serving.rows import Description
from serving.settings import RequestLimits
from tests.support import serving

NAMES = ("context", "question", "choices")
CHOOSES = Description("multiple_choice", NAMES, NAMES, (), 24, settings={"lists": ["choices"]})
ROW = {"context": "the film was here", "question": "was it", "choices": ["good", "", "very bad"]}


def test_a_row_counts_every_choice_with_its_question():
    one = CHOOSES.tokens(ROW | {"choices": ["good"]})
    assert CHOOSES.tokens(ROW | {"choices": ["good"] * 3}) == 3 * one
    assert CHOOSES.tokens(ROW | {"context": "x" * 10_000, "choices": ["good", "bad"]}) == 2 * 24


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        (None, "choices is missing; give a list of texts"),
        ("good", "choices is a str, expected a list of texts"),
        (["good", " "], "choices has 1 text, expected at least two"),
        (["good", 3], "choices has a int, expected texts"),
        (["good", "\ud800"], "choices has half a character"),
        (["good", "x" * 100], "choices has 104 characters, at most 60 are taken"),
    ],
)
def test_a_list_that_cannot_be_answered_is_refused_by_row(choices, told):
    limits = RequestLimits(max_characters=60)
    CHOOSES.check([ROW], limits)
    with pytest.raises(UnprocessableError, match=f"text 1: {told}"):
        CHOOSES.check([ROW, ROW | {"choices": choices}], limits)


@pytest.mark.slow
def test_a_server_chooses(tiny_model, tmp_path):
    export = serving.export_choices(tiny_model, tmp_path / "choices")
    with serving.running({"choices": export}) as server:
        rows = [ROW, ROW | {"choices": ["good", "bad"]}]
        answered = server.post("/v1/models/choices:predict", {"instances": rows}).json()["predictions"]
        assert [one["num_choices"] for one in answered] == [3, 2]
        assert answered[0]["choices"] == ROW["choices"]
        assert answered[0]["probabilities"][1] == 0
        assert sum(answered[0]["probabilities"]) == pytest.approx(1, abs=1e-5)
        columns = {name: [row[name] for row in rows] for name in NAMES}
        by_column = server.post("/v1/models/choices:predict", {"inputs": columns}).json()["outputs"]
        assert by_column["answer"] == [one["answer"] for one in answered]
        tensors = [{"name": name, "datatype": "BYTES", "shape": [1], "data": [ROW[name]]} for name in NAMES[:2]] + [
            {"name": "choices", "datatype": "BYTES", "shape": [1, 3], "data": [ROW["choices"]]}
        ]
        asked = server.post("/v2/models/choices/infer", {"inputs": tensors})
        assert asked.status_code == 200, asked.text
        outputs = {one["name"]: one for one in asked.json()["outputs"]}
        assert outputs["probabilities"]["shape"] == [1, 3]
        assert outputs["probabilities"]["data"] == pytest.approx(answered[0]["probabilities"], abs=1e-5)
        metadata = server.get("/v2/models/choices").json()
        assert {one["name"]: one["shape"] for one in metadata["inputs"]}["choices"] == [-1, -1]
        (card,) = server.get("/api/models").json()["models"]
        assert (card["lists"], card["kind"]) == (["choices"], "one of the choices of a question")
        refused = server.post("/v1/models/choices:predict", {"instances": [ROW | {"choices": ["good"]}]})
        assert refused.status_code == 422
        assert "choices has 1 text, expected at least two" in refused.text
