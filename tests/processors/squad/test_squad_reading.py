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
    """The message that reading ends with, which is one line and names the file."""
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


def test_an_answer_that_brings_a_word_beside_it_is_counted(tmp_path):
    reader = SquadReader(write(tmp_path, question(start=19), question("q2"), question("q3", start=21)))
    assert [example.start_position for example in reader] == [4, 5, 5]  # as google-research/bert places them
    assert "1 of 3 questions learnt with words beside their answer: 1 (answer_start is not where" in reader.report()
    assert reader.shifted[0][0] == "q1"
    reader = SquadReader(write(tmp_path, question(start=19)), is_training=False)
    assert len(list(reader)) == 1
    assert not reader.report()


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
    skipping = SquadReader(path, skip_bad_questions=True)
    assert [example.qas_id for example in skipping] == ["good"]
    assert expected in skipping.report()


def test_blanks_of_the_answer_need_not_be_those_of_the_context(tmp_path):
    example = next(iter(SquadReader(write(tmp_path, question(text="on the mat", start=12)))))
    assert (example.start_position, example.end_position) == (3, 5)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"data": [', ":1: is not JSON that can be read (Expecting value, column 11); expected a SQuAD file"),
        ("[1]", ": article 1: has no list under 'paragraphs'; expected a SQuAD file"),
        ("", ": is empty; expected a SQuAD file"),
        ("id,question", ": begins with 'i'; expected a SQuAD file"),
        ('{"data": []} {"data": []}', ":1: is not JSON that can be read (Extra data, column 14)"),
        ('{"data": [' + "[" * 100_000, ":1: is not JSON that can be read (nested too deep, column 11)"),
        ('{"version":\n' + "1" * 5000, ":2: is not JSON that can be read (Exceeds the limit (4300 digits)"),
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
        ({"question": None}, "question 1 (q1): has no question; expected a text under 'question'"),
        ({"id": None}, "question 1: has no id; expected a unique text under 'id'"),
        ({"id": ["q"]}, "question 1: id is ['q']; expected a unique text under 'id'"),
        ({"id": ""}, "question 1: has no id; expected a unique text under 'id'"),
        ({"id": "\ud83d"}, "question 1: id has half a character (U+D83D); expected a text"),
        ({"question": {"text": "a"}}, "question 1 (q1): holds {'text': 'a'} as question; expected a text"),
        ({"question": "a \ude00"}, "question 1 (q1): question has half a character (U+DE00); expected a text"),
        ({"answers": ["mat"]}, "question 1 (q1): answer 'mat' is unusable; expected a text under 'text'"),
        ({"answers": [{"text": "\ude00", "answer_start": 1}]}, "(q1): text has half a character (U+DE00)"),
        ({"answers": "mat"}, "question 1 (q1): 'answers' is 'mat'; expected a list of text and answer_start"),
        ({"answers": [{"text": "mat", "answer_start": "20"}]}, "'answer_start': '20'} is unusable; expected"),
    ],
)
def test_questions_of_another_form(tmp_path, changes, expected):
    path = write(tmp_path, question(**changes), question("good"))
    assert expected in error_of(path)
    reader = SquadReader(path, skip_bad_questions=True)
    assert [example.qas_id for example in reader] == ["good"]
    assert "1 of 2 questions left out: 1 (" in reader.report()


def test_missing_file(tmp_path):
    assert "no such file" in error_of(tmp_path / "absent.json")


def test_an_id_twice_stops_training(tmp_path):
    path = write(tmp_path, question(), question(), question("q2"))
    assert "question 2 (q1): id q1 is given twice; expected unique ids; correct the file, or give" in error_of(path)
    reader = SquadReader(path, skip_bad_questions=True)
    assert [example.qas_id for example in reader] == ["q1", "q2"]
    assert "1 of 3 questions left out: 1 (id q1 is given twice; expected unique ids): q1" in reader.report()


@pytest.mark.parametrize("learns", [True, False])
def test_questions_with_one_id_are_answered_under_ids_of_their_own(tmp_path, learns):
    questions = [question(), question(question="Who?", text="cat", start=4), question("q1#2"), question("q2")]
    reader = SquadReader(write(tmp_path, *questions), learns=learns, is_training=False)
    assert [(example.qas_id, example.question_text) for example in reader] == [
        ("q1", "On what?"), ("q1#2", "Who?"), ("q1#2#2", "On what?"), ("q2", "On what?"),
    ]  # fmt: skip
    assert reader.report().endswith(
        "2 of 4 questions have the id of an earlier one and are answered and scored on their own under another: "
        "q1 -> q1#2, q1#2 -> q1#2#2"
    )


@pytest.mark.parametrize(
    ("context", "text", "answer"),
    [
        ("It is 100\u00a0km away.", "100\u00a0km", (2, 2)),
        ("It is 100\u00a0km away.", "100 km", (2, 2)),
        ("It is 100 km away.", "100\u00a0km", (2, 3)),
        ("It is\u00a0100 km away.", "100 km", (1, 2)),
        ("他住在北京\u3000朝阳区。", "北京\u3000朝阳区", (3, 8)),
        ("他住在北京\u3000朝阳区。", "北京 朝阳区", (3, 8)),
        ("It is \u2003100\u2009km away.", "100\u2009km", (2, 2)),
    ],
)
def test_answers_at_other_blanks_are_placed(tmp_path, context, text, answer):
    start = context.index(text[:2])
    path = write(tmp_path, question(text=text, start=start), context=context)
    example = next(iter(SquadReader(path)))
    assert (example.start_position, example.end_position) == answer
    assert example.orig_answer_text == text


@pytest.mark.parametrize("context", [{"text": "a"}, None, "half \ud83d"])
def test_a_context_that_is_no_text(tmp_path, context):
    path = write(tmp_path, question(), context=context)
    assert "article 1, paragraph 1: " in error_of(path)
    assert "context" in error_of(path)
    reader = SquadReader(path, skip_bad_questions=True)
    assert list(reader) == []
    assert "1 of 1 questions left out" in reader.report()


def test_is_impossible_is_true_or_false(tmp_path):
    path = write(tmp_path, question(is_impossible="false"))
    message = error_of(path, version_2_with_negative=True)
    assert "question 1 (q1): 'is_impossible' is 'false'; expected true or false" in message
    assert "has no answers; expected at least one; correct" in error_of(
        write(tmp_path, question(answers=[], is_impossible=False)), version_2_with_negative=True
    )


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "utf-16"])
def test_other_encodings(tmp_path, encoding):
    context = {"gbk": "他住在北京。", "latin-1": "Le café était là.", "utf-16": "他住在北京。"}[encoding]
    path = tmp_path / "data.json"
    paragraph = {"context": context, "qas": [question(text=context[3:5], start=3)]}
    content = json.dumps({"data": [{"paragraphs": [paragraph]}]}, ensure_ascii=False)
    path.write_bytes(content.encode(encoding))
    assert next(iter(SquadReader(path, encoding=encoding))).passage.text == context
    if encoding != "utf-16":  # which a byte order mark tells
        assert "name the file's encoding, e.g. --encoding=gb18030" in error_of(path)
    with pytest.raises(DataError, match="--encoding=base64 is not the name of a text encoding"):
        list(SquadReader(path, encoding="base64"))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("split", ["train", "dev"])
def test_example_sets_are_sound(language, split):
    reader = SquadReader(EXAMPLES / f"squad-{language}" / f"{split}.json", version_2_with_negative=True)
    examples = list(reader)
    assert len(examples) == {"train": 25, "dev": 15}[split]
    assert not reader.left_out
    assert 0 < sum(example.is_impossible for example in examples) < len(examples) / 2
