"""Rows of Hugging Face and lines of MRQA are the questions that the nested form has."""

import gzip
import json

import pytest

from common.errors import DataError
from processors.squad.examples import SquadReader
from processors.squad.forms import GoldAnswer

CONTEXT = "The cat sat on the mat."
ROWS = [
    {"id": "a", "title": "t", "context": CONTEXT, "question": "Who?",
     "answers": {"text": ["cat", "The cat"], "answer_start": [4, 0]}},
    {"id": "b", "title": "t", "context": CONTEXT, "question": "Why?", "answers": {"text": [], "answer_start": []}},
]  # fmt: skip
MRQA = [
    {"header": {"dataset": "SQuAD", "split": "train"}},
    {
        "id": "", "context": CONTEXT, "context_tokens": [["The", 0]],
        "qas": [
            {"qid": "a", "question": "Who?", "question_tokens": [["Who", 0]], "answers": ["The cat", "a cat"],
             "detected_answers": [{"text": "The cat", "char_spans": [[0, 6]], "token_spans": [[0, 1]]}]},
            {"qid": "b", "question": "On what?", "answers": ["mat"],
             "detected_answers": [{"text": "mat", "char_spans": [[19, 21]], "token_spans": [[5, 5]]}]},
        ],
    },
]  # fmt: skip


def read(path, **options):
    return [
        (example.qas_id, example.question_text, example.start_position, example.end_position, example.answers)
        for example in SquadReader(path, **options)
    ]


@pytest.mark.parametrize("form", ["lines", "list", "data"])
def test_rows_of_hugging_face(tmp_path, form):
    path = tmp_path / "train.json"
    contents = {
        "lines": "".join(json.dumps(row) + "\n" for row in ROWS),
        "list": json.dumps(ROWS, indent=2),
        "data": json.dumps({"version": "2.0", "data": ROWS, "more": [1]}),
    }
    path.write_text(contents[form])
    golds = (GoldAnswer("cat", 4), GoldAnswer("The cat", 0))
    expected = [("a", "Who?", 1, 1, golds), ("b", "Why?", -1, -1, ())]
    assert read(path, version_2_with_negative=True) == expected
    examples = list(SquadReader(path, version_2_with_negative=True))
    assert examples[0].passage is examples[1].passage
    where = {"lines": f"{path}:2", "list": f"{path}: row 2", "data": f"{path}: row 2"}[form]
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"{where} (b): has no answers; expected at least one; set --version_2_with")


def test_answers_in_lists_of_other_lengths(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(ROWS[0] | {"answers": {"text": ["cat"], "answer_start": []}}))
    with pytest.raises(DataError, match=r"train.json:1 \(a\): answer {'text': \['cat'\], .* is unusable; expected"):
        read(path)


@pytest.mark.parametrize("with_header", [True, False])
def test_lines_of_mrqa(tmp_path, with_header):
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in MRQA[not with_header :]).encode()))
    assert read(path) == [
        ("a", "Who?", 0, 1, (GoldAnswer("The cat", 0), GoldAnswer("a cat"))),
        ("b", "On what?", 5, 5, (GoldAnswer("mat", 19),)),
    ]


def test_mrqa_answers_of_another_form(tmp_path):
    path = tmp_path / "train.jsonl"
    line = {"context": CONTEXT, "qas": [MRQA[1]["qas"][0] | {"detected_answers": [{"text": "cat"}]}]}
    path.write_text(json.dumps(MRQA[0]) + "\n" + json.dumps(line))
    with pytest.raises(DataError, match=r"train.jsonl:2, question 1 \(a\): 'detected_answers' is .*char_spans"):
        read(path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"question": "a", "answer": "b"}, "has no list under 'data', found the keys 'question', 'answer'; expected a"),
        ({"data": {"context": [CONTEXT]}}, "has no list under 'data', found the keys 'data'; expected a SQuAD file"),
        ([{"context_text": CONTEXT}], "article 1: has no list under 'paragraphs'; expected a SQuAD file"),
    ],
)
def test_other_forms_are_named(tmp_path, content, expected):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError) as error:
        read(path)
    assert expected in str(error.value)
    assert "or rows with id, context, question and answers" in str(error.value)
