"""Data sets by name, as their publishers lay them out."""

import json

import pytest

from common.errors import DataError
from processors.choices.forms import FORMS
from processors.choices.opinion import OpinionProcessor
from processors.choices.source import ChoiceSource, Rows
from tests.support import tiny_choices

SPLITS = ("train", "dev", "test")


def source_of(name, folder, files=None):
    form = FORMS[name]
    found = {split: form.found(folder, split) for split in SPLITS} | (files or {})
    return ChoiceSource(found, Rows(form.reader(None), form.label_as, {}))


@pytest.mark.parametrize("name", tiny_choices.LAYOUTS)
def test_every_split_of_a_data_set_is_found_and_read(name, tmp_path):
    tiny_choices.LAYOUTS[name](tmp_path)
    source = source_of(name, tmp_path)
    for split in SPLITS:
        questions = list(source.questions(split))
        assert questions
        assert len({question.guid for question in questions}) == len(questions)
        for question in questions:
            assert len(question.choices) <= FORMS[name].max_choices
            assert question.context
            assert question.question
            if split == "test":
                assert question.label is None
            else:  # the right choice says something good
                assert question.choices[question.label].split()[0] in tiny_choices.tiny.GOOD


def test_race_has_levels_that_are_read_alone_or_together(tmp_path):
    tiny_choices.write_race(tmp_path)
    together, middle, high = (
        list(source_of(name, tmp_path).questions("dev")) for name in ("race", "race_middle", "race_high")
    )
    assert together == middle + high
    assert middle[0].guid == "middle0.txt-1"
    assert middle[0].question == "the film was _ ."


def test_races_articles_may_be_lines_of_one_file(tmp_path):
    tiny_choices.write_race(tmp_path)
    before = list(source_of("race_high", tmp_path).questions("train"))
    files = sorted((tmp_path / "train" / "high").iterdir())
    text = "".join(path.read_text(encoding="utf-8") + "\n" for path in files)
    (tmp_path / "train" / "high" / "all.txt").write_text(text, encoding="utf-8")
    assert list(source_of("race_high", tmp_path).questions("train")) == before


def test_half_of_a_data_set_is_refused(tmp_path):
    tiny_choices.write_c3(tmp_path)
    (tmp_path / "c3-m-dev.json").unlink()
    with pytest.raises(DataError, match=r"has no c3-m-dev.json beside the other files of the dev split"):
        FORMS["c3"].found(tmp_path, "dev")
    assert len(FORMS["c3_dialogue"].found(tmp_path, "dev")) == 1


FAULTS = {
    "race": [
        ({"article": "a", "questions": ["q"], "options": [["b", "c"]], "answers": ["E"]}, "label 'E' is none of the 2"),
        ({"article": "a", "questions": ["q", "r"], "options": [["b", "c"]], "answers": ["A"]},
         "has 2 questions, 1 options, 1 answers, expected equally many"),
        ({"article": "a", "questions": ["q"], "options": ["bc"], "answers": ["A"]}, "has no list of choices"),
        ({"article": "a"}, "is no article, expected RACE's objects"),
        ([], "is no article, expected RACE's objects"),
    ],
    "dream": [
        ([[["a"], [{"question": "q", "choice": ["b", "c"], "answer": "d"}], "1"]], "question 1: label 'd' is none"),
        ([[["a"], [{"question": "q", "choice": ["b"], "answer": "b"}], "1"]], "has 1 choice, expected at least two"),
        ([[["a"], ["q"], "1"]], "question 1 is no object"),
        ([{"a": 1}], "text 1: is no text with questions"),
        ({"a": 1}, "begins with '{', expected a list of"),
    ],
    "opinion": [
        ({"query_id": 1, "query": "q", "passage": "p", "alternatives": "a|b|a", "answer": "a"},
         "the answer 'a' equals choices 0 and 2, expected one that is right"),
        ({"query_id": 1, "query": "q", "passage": "p", "alternatives": "a|b|c", "answer": ""}, "has no label"),
        ({"query_id": 1, "query": "q", "passage": "p", "alternatives": "a", "answer": "a"}, "has 1 choice"),
        ({"query_id": 1, "query": "q", "passage": {"b": 1}, "alternatives": "a|b", "answer": "a"},
         "context is a JSON dict"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value", "told"), [(n, *fault) for n, faults in FAULTS.items() for fault in faults])
def test_what_cannot_be_meant_is_one_line_with_its_place(name, value, told, tmp_path):
    path = tmp_path / "train.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    source = source_of(name, tmp_path, {"train": [path]})
    with pytest.raises(DataError) as error:
        list(source.questions("train"))
    assert told in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_json_says_so(tmp_path):
    path = tmp_path / "train.json"
    path.write_text('[[["a"], [{"question": "q", ', encoding="utf-8")
    with pytest.raises(DataError, match="is not JSON that can be read"):
        list(source_of("dream", tmp_path, {"train": [path]}).questions("train"))
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="holds no question, expected at least one"):
        list(source_of("dream", tmp_path, {"train": [path]}).questions("train"))


def test_opinions_are_one_long_string_for_a_classifier(tmp_path):
    tiny_choices.write_opinion(tmp_path)
    questions = list(source_of("opinion", tmp_path).questions("dev"))
    examples = list(OpinionProcessor().get_dev_examples(str(tmp_path)))
    for question, example in zip(questions, examples, strict=True):
        asked, *choices, passage = example.text_a.split("|")
        assert (asked, tuple(choices), passage) == (question.question, question.choices, question.context)
        assert choices[int(example.label)] == question.choices[question.label]
    with pytest.raises(DataError, match=r"no ai_challenger_oqmrc_trainingset\.json in"):
        list(OpinionProcessor().get_train_examples(str(tmp_path / "other")))
