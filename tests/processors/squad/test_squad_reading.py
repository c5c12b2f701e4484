"""SQuAD files: what is read, what is counted, and one line for each thing that is wrong."""

import json
import pickle
from pathlib import Path

import pytest

from common.errors import DataError
from processors.squad.examples import SquadReader
from processors.squad.passages import Passage

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
CONTEXT = "The cat sat on  the mat.\nIt slept."


def question(qas_id="q1", text="mat", start=20, **changes):
    return {"id": qas_id, "question": "On what?", "answers": [{"text": text, "answer_start": start}], **changes}


def write(folder, *questions, context=CONTEXT):
    path = folder / "data.json"
    paragraph = {"context": context, "qas": list(questions)}
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [paragraph]}]}))
    return path


def error_of(path, **options):
    with pytest.raises(DataError) as error:
        list(SquadReader(path, **options))
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_words_keep_their_place_in_the_original_text():
    passage = Passage("\u202f The\tcat \n sat\u00a0down ")
    assert passage.words == ["The", "cat", "sat\u00a0down"]
    assert [passage.text[start:].startswith(word) for start, word in zip(passage.starts, passage.words, strict=True)]
    assert passage.joined == "The cat sat\u00a0down"
    assert [passage.original_offset(index) for index in (0, 4, 8)] == passage.starts
    assert (passage.word_at(0), passage.word_at(2), passage.word_at(5)) == (-1, 0, 0)


def test_chinese_characters_are_words_and_no_blank_comes_between():
    passage = Passage("他叫Tom， 住在\n北京")
    assert passage.words == ["他", "叫", "Tom，", "住", "在", "北", "京"]
    assert passage.joined == "他叫Tom， 住在 北京"
    assert passage.words_text(1, 4) == "叫Tom， 住在"


def test_answer_becomes_words(tmp_path):
    example = next(iter(SquadReader(write(tmp_path, question()))))
    assert (example.start_position, example.end_position) == (5, 5)
    assert example.doc_tokens[5] == "mat."
    assert example.orig_answer_text == "mat"


def test_questions_of_a_paragraph_share_their_context_also_when_pickled(tmp_path):
    examples = pickle.loads(pickle.dumps(list(SquadReader(write(tmp_path, question("a"), question("b"))))))
    assert examples[0].passage is examples[1].passage
    assert examples[0].passage.words[0] == "The"


def test_all_answers_are_kept_and_the_first_is_learned(tmp_path):
    answers = [{"text": "mat", "answer_start": 20}, {"text": "the mat", "answer_start": 16}]
    example = next(iter(SquadReader(write(tmp_path, question(answers=answers)))))
    assert [answer.text for answer in example.answers] == ["mat", "the mat"]
    assert example.orig_answer_text == "mat"


def test_unanswerable_questions(tmp_path):
    path = write(tmp_path, question(answers=[], is_impossible=True), question("q2"))
    impossible, possible = SquadReader(path, version_2_with_negative=True)
    assert (impossible.is_impossible, impossible.start_position, impossible.answers) == (True, -1, ())
    assert (possible.is_impossible, possible.start_position) == (False, 5)
    message = error_of(path)
    assert "question 1 (q1): has no answers; expected at least one; set --version_2_with_negative" in message


def test_prediction_needs_no_answers(tmp_path):
    path = write(tmp_path, {"id": 7, "question": "On what?"})
    example = next(iter(SquadReader(path, learns=False)))
    assert (example.qas_id, example.start_position) == ("7", None)


def test_misplaced_answer_is_counted_and_listed(tmp_path):
    path = write(tmp_path, question("good"), question("bad", start=4))
    reader = SquadReader(path)
    assert [example.qas_id for example in reader] == ["good"]
    assert reader.report() == (f"{path}: 1 of 2 questions left out: 1 (answer is not at its answer_start): bad")
    evaluated = SquadReader(path, is_training=False)
    assert [example.start_position for example in evaluated] == [5, None]
    assert "1 of 2 questions without a gold position (scored by text)" in evaluated.report()


def test_evaluation_takes_the_first_answer_that_is_in_place(tmp_path):
    answers = [{"text": "mat", "answer_start": 4}, {"text": "cat", "answer_start": 4}]
    example = next(iter(SquadReader(write(tmp_path, question(answers=answers)), is_training=False)))
    assert (example.orig_answer_text, example.start_position) == ("cat", 1)


@pytest.mark.parametrize(
    ("start", "text", "expected"),
    [
        (32, "mat", "answer_start 32 is out of range for answer 'mat'; expected it to lie within the 34 characters"),
        (-1, "mat", "answer_start -1 is out of range"),
        (20, "dog", "answer 'dog' is not in the context; expected characters copied from it"),
        (20, " ", "answer text is empty"),
        (None, "mat", "answer 'mat' has no answer_start"),
    ],
)
def test_bad_answers(tmp_path, start, text, expected):
    path = write(tmp_path, question("good"), question("bad", text, start))
    message = error_of(path)
    assert f"article 1, paragraph 1, question 2 (bad): {expected}" in message
    assert message.endswith("correct the file, or give --on_bad_row=skip")
    skipping = SquadReader(path, skip_bad_answers=True)
    assert [example.qas_id for example in skipping] == ["good"]
    assert expected in skipping.report()


def test_blanks_of_the_answer_need_not_be_those_of_the_context(tmp_path):
    example = next(iter(SquadReader(write(tmp_path, question(text="on the mat", start=12)))))
    assert (example.start_position, example.end_position) == (3, 5)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"data": [', ":1: is not JSON (Expecting value, column 11); expected a SQuAD file"),
        ("[1]", ": has no list under 'data'; expected the nested form of SQuAD"),
        ('{"version": 1}', ": has no list under 'data'"),
        ('{"data": [{}]}', "article 1: has no list under 'paragraphs'"),
        ('{"data": [3]}', "article 1: has no list under 'paragraphs'"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', "paragraph 1: has no context; expected a text under 'context'"),
        ('{"data": [{"paragraphs": [{"context": "a"}]}]}', "paragraph 1: has no list under 'qas'"),
    ],
)
def test_files_of_another_form(tmp_path, content, expected):
    path = tmp_path / "data.json"
    path.write_text(content)
    assert expected in error_of(path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"question": None}, "question 1: has no question; expected a text under 'question'"),
        ({"id": None}, "question 1: has no id; expected a unique text under 'id'"),
        ({"answers": "mat"}, "question 1 (q1): 'answers' is 'mat'; expected a list of text and answer_start"),
        ({"answers": [{"text": "mat", "answer_start": "20"}]}, "'answer_start': '20'} is unusable; expected"),
    ],
)
def test_questions_of_another_form(tmp_path, changes, expected):
    assert expected in error_of(write(tmp_path, question(**changes)))


def test_duplicate_ids_and_missing_file(tmp_path):
    assert "question 2: id q1 is given twice; expected unique ids" in error_of(write(tmp_path, question(), question()))
    assert "no such file" in error_of(tmp_path / "absent.json")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("split", ["train", "dev"])
def test_example_sets_are_sound(language, split):
    reader = SquadReader(EXAMPLES / f"squad-{language}" / f"{split}.json", version_2_with_negative=True)
    examples = list(reader)
    assert len(examples) == {"train": 25, "dev": 15}[split]
    assert not reader.left_out
    assert 0 < sum(example.is_impossible for example in examples) < len(examples) / 2
