"""Scores and files of answers."""

import json
from random import Random

import pytest

from common.errors import DataError, FlagError
from processors.squad.examples import GoldAnswer, SquadExample
from processors.squad.passages import Passage
from tasks.span.decoding import NO_SPAN, Decoded, NBest
from tasks.span.files import answer_files, nbest_json, store_threshold, stored_threshold
from tasks.span.metrics import ScoredAnswer, characters, scores
from tasks.span.task import SpanSettings, SpanTask
from tasks.span.text import LocatedText
from tokenization import BulkTokenizer


def example(qas_id, *answers):
    golds = tuple(GoldAnswer(answer) for answer in answers)
    return SquadExample(qas_id, f"question {qas_id}?", Passage("context"), golds, is_impossible=not answers)


def test_version_1_scores_take_the_best_of_all_answers():
    judged = [
        ScoredAnswer(example("a", "The Cat", "dog"), "cat", "cat", 0.0),
        ScoredAnswer(example("b", "red fox"), "red hen", "red hen", 0.0),
    ]
    assert scores(judged, False) == {"eval_exact_match": 50.0, "eval_f1": 75.0, "eval_total": 2}


def test_version_2_scores_by_answerability_and_the_best_threshold():
    judged = [
        ScoredAnswer(example("a", "cat"), "cat", "cat", -5.0),
        ScoredAnswer(example("b", "hen"), "", "hen", 1.0),
        ScoredAnswer(example("c"), "fox", "fox", -1.0),
        ScoredAnswer(example("d"), "", "owl", 3.0),
    ]
    found = scores(judged, True)
    assert found["eval_exact_match"] == 50.0
    assert found["eval_HasAns_exact"] == 50.0
    assert found["eval_HasAns_total"] == 2
    assert found["eval_NoAns_f1"] == 50.0
    # Answers up to odds of -5 (or of 1) get a, c too: three of four are right at either.
    assert found["eval_best_f1"] == 75.0
    assert found["eval_best_f1_thresh"] == -5.0


def test_chinese_f1_counts_characters():
    judged = [ScoredAnswer(example("a", "《红楼梦》"), "红楼", "红楼", 0.0)]
    found = scores(judged, False)
    assert (found["eval_f1"], found["eval_char_f1"]) == (0.0, pytest.approx(80.0))
    assert characters("《红楼梦》1791, x") == "红 楼 梦 1791 x"
    assert "eval_char_f1" not in scores([ScoredAnswer(example("a", "cat"), "cat", "cat", 0.0)], False)


PLACE = lambda span: LocatedText('the "cät"', span[1] - 1, 13)  # noqa: E731
SPANS = [(1, 5, 6, 2.0, 3.0), NO_SPAN]
DECODED = {
    "a": Decoded(NBest(['the "cät"', ""], [0.75, 0.25], [2.0, 1.0], [3.0, 2.9], SPANS, PLACE), None, -1.5),
    "b": Decoded(NBest([""], [1.0], [0.5], [0.25], [NO_SPAN]), None, 7.0),
}
DECODED["a"] = DECODED["a"]._replace(best=DECODED["a"].entries[0])


def test_files_have_upstreams_bytes(tmp_path):
    with answer_files(tmp_path, version_2_with_negative=True) as write:
        for key, decoded in DECODED.items():
            write(example(key), decoded, 0.0)
    text = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(text) == {"predictions.json", "nbest_predictions.json", "null_odds.json", "predictions.jsonl"}
    assert text["predictions.json"] == json.dumps({"a": 'the "cät"', "b": ""}, indent=4) + "\n"
    assert text["null_odds.json"] == json.dumps({"a": -1.5, "b": 7.0}, indent=4) + "\n"
    names = ("text", "probability", "start_logit", "end_logit")
    nbest = {key: [{name: getattr(e, name) for name in names} for e in d.entries] for key, d in DECODED.items()}
    assert text["nbest_predictions.json"] == json.dumps(nbest, indent=4) + "\n"
    first, second = (json.loads(line) for line in text["predictions.jsonl"].splitlines())
    assert first == {
        "id": "a", "question": "question a?", "answer": 'the "cät"', "start": 4, "end": 13, "probability": 0.75,
        "no_answer_probability": 0.25, "window": 1,
    }  # fmt: skip
    assert (second["answer"], second["start"], second["window"], second["probability"]) == ("", None, None, 1.0)


NUMBERS = [1.0, -0.0, 0.0, 0.1, 1e-5, 5e-324, 1.5e300, -7.25, 1e16, float("inf"), -float("inf"), float("nan")]


@pytest.mark.parametrize("seed", range(20))
def test_nbest_lists_have_the_bytes_of_json(seed):
    random = Random(seed)
    # Without the last three, and without the zeros, other branches are taken.
    usable = (NUMBERS, NUMBERS[:-3], NUMBERS[3:-3], NUMBERS[:1])[seed % 4]
    letters = 'aé\u2028\n"\\%s{}\x00😀'
    count = random.choice([1, 2, 20, 21])
    texts = ["".join(random.choices(letters, k=random.randrange(6))) for _ in range(count)]
    numbers = [random.choices(usable, k=count) for _ in range(3)]
    names = ("text", "probability", "start_logit", "end_logit")
    listed = [dict(zip(names, row, strict=True)) for row in zip(texts, *numbers, strict=True)]
    expected = json.dumps({"q": listed}, indent=4)
    entries = NBest(texts, *numbers, [NO_SPAN] * count)
    assert '{\n    "q": ' + nbest_json(Decoded(entries, None, 0.0)) + "\n}" == expected


def test_a_threshold_below_the_odds_withholds_the_answer(tmp_path):
    with answer_files(tmp_path, version_2_with_negative=False) as write:
        write(example("a"), DECODED["a"], -2.0)
    assert json.loads((tmp_path / "predictions.json").read_text()) == {"a": ""}
    assert not (tmp_path / "null_odds.json").exists()


def test_files_appear_only_when_all_is_answered(tmp_path):
    def interrupted():
        with answer_files(tmp_path, True) as write:
            write(example("a"), DECODED["a"], 0.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with answer_files(tmp_path, True):
        pass
    assert json.loads((tmp_path / "predictions.json").read_text()) == {}


def test_threshold_is_kept_in_the_folder(tmp_path):
    assert stored_threshold(tmp_path) is None
    store_threshold(tmp_path, -1.25, 71.5, {"n_best_size": 20})
    assert stored_threshold(tmp_path) == -1.25
    assert stored_threshold(tmp_path, {"n_best_size": 20, "doc_stride": 5}) == -1.25
    with pytest.raises(DataError, match="its threshold was found with --n_best_size=20, now --n_best_size=50; give"):
        stored_threshold(tmp_path, {"n_best_size": 50})
    for content in (b"", b"\xff", b"[1]", b"{}", b'{"null_score_diff_threshold": "x"}', b"[" * 100_000,
                    b'{"null_score_diff_threshold": NaN}', b'{"null_score_diff_threshold": true}',
                    b'{"null_score_diff_threshold": 1' + b"0" * 400 + b"}"):  # fmt: skip
        (tmp_path / "null_threshold.json").write_bytes(content)
        with pytest.raises(DataError) as refused:
            stored_threshold(tmp_path)
        assert str(refused.value).startswith(f"{tmp_path / 'null_threshold.json'}: ")
        assert str(refused.value).endswith("or remove the file and evaluate with --tune_null_threshold again")


def test_a_split_without_a_file_names_its_flag(vocab_dir):
    tokenizer = BulkTokenizer(vocab_dir / "bert-base-uncased" / "vocab.txt")
    with pytest.raises(FlagError) as error:
        next(SpanTask(tokenizer, SpanSettings(), {}).examples("train"))
    assert "--train_file is missing; give a SQuAD file" in str(error.value)
