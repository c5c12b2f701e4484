"""--truncation: which pieces of a text that is too long are kept; in records, in the graph, and in a whole run."""

import json
import shutil
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import run_classifier
from common.errors import ExportError, FlagError
from export.savedmodel import check_parity
from processors.base import DataProcessor, InputExample
from processors.example_source import ExampleSource
from processors.graph import pairs
from processors.graph.pairs import pack_pairs
from processors.graph.parity_texts import long_texts
from processors.records.featurizer import HEAD, HEAD_TAIL, TAIL, TRUNCATIONS, PairFeaturizer, kept_pieces
from processors.records.pair_layout import PairLayout
from tasks.classification import signature
from tasks.classification.task import ClassificationTask
from tests.support import tiny
from tokenization import BulkTokenizer

v1 = tf.compat.v1
WORDS = [*tiny.GOOD, *tiny.BAD, *tiny.FILLERS]
LIMIT = 12
INPUTS = ("input_ids", "input_mask", "segment_ids")
words = st.lists(st.sampled_from(WORDS), max_size=24).map(" ".join)


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return BulkTokenizer(tiny_model / "vocab.txt")


class Reviews(DataProcessor):
    def get_labels(self):
        return ["neg", "pos"]


# Which pieces are kept


@given(st.integers(0, 60), st.integers(0, 60))
def test_kept_pieces_are_a_head_and_a_tail_in_order(length, keep):
    pieces = list(range(length))
    assert kept_pieces(pieces, keep, HEAD) == pieces[:keep]
    assert kept_pieces(pieces, keep, TAIL) == pieces[max(length - keep, 0) :]
    kept = kept_pieces(pieces, keep, HEAD_TAIL)
    assert len(kept) == min(length, keep)
    head = len([piece for place, piece in enumerate(kept) if piece == place])
    assert kept == pieces[:head] + pieces[length - (len(kept) - head) :]
    if length > keep > 0:
        assert head == max(keep // 4, 1)


def test_the_share_of_the_head_is_a_quarter_rounded_down_and_at_least_one():
    pieces = list(range(1000))
    heads = {keep: kept_pieces(pieces, keep, HEAD_TAIL).index(1000 - keep + max(keep // 4, 1)) for keep in (2, 7, 510)}
    assert heads == {2: 1, 7: 1, 510: 127}
    assert kept_pieces(pieces, 1, HEAD_TAIL) == [0]
    assert kept_pieces(pieces, 0, HEAD_TAIL) == kept_pieces(pieces, 0, TAIL) == []


def test_another_name_is_refused_and_not_read_as_one_of_them():
    with pytest.raises(FlagError, match="--truncation=windows: expected one of head, tail, head_tail"):
        kept_pieces([1, 2], 5, "windows")


@given(a=words, b=st.none() | words)
@settings(deadline=None)
def test_nothing_changes_where_a_text_fits(tokenizer, a, b):
    rows = [
        next(PairFeaturizer(tokenizer, 51, (), "single_label", truncation).featurize([InputExample("0", a, b)]))
        for truncation in TRUNCATIONS
    ]
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.parametrize("nothing", ["", " ", "\u200b", "\u00ad\ufeff", "\ufffd"])
def test_a_second_text_without_a_token_is_none(tokenizer, nothing):
    """As in google-research/bert, which adds the second `[SEP]` where there are tokens."""
    featurizer = PairFeaturizer(tokenizer, 13, (), "single_label")
    rows = [next(featurizer.featurize([InputExample("0", "good film", b)])) for b in (None, nothing)]
    assert rows[0] == rows[1]


def test_each_text_of_a_pair_keeps_its_own_ends_and_as_many_pieces_as_upstreams_rule_says(tokenizer):
    a, b = "good fine great lovely superb bad poor awful nasty", "the film was a very day food"
    rows = {}
    for truncation in TRUNCATIONS:
        featurizer = PairFeaturizer(tokenizer, 13, ["neg", "pos"], "single_label", truncation)
        ((row,),) = featurizer.featurize([InputExample("0", a, b, "pos")])
        names = {index: piece for piece, index in tokenizer.vocab.items()}
        rows[truncation] = " ".join(names[index] for index in row["input_ids"])
        assert row["segment_ids"] == [0] * 7 + [1] * 6
    assert rows == {
        HEAD: "[CLS] good fine great lovely superb [SEP] the film was a very [SEP]",
        TAIL: "[CLS] superb bad poor awful nasty [SEP] was a very day food [SEP]",
        HEAD_TAIL: "[CLS] good bad poor awful nasty [SEP] the a very day food [SEP]",
    }


def test_records_made_without_the_flag_keep_their_fingerprint(tokenizer):
    made = [
        PairFeaturizer(tokenizer, 24, ["neg", "pos"], "single_label", *t).settings() for t in ((), (HEAD,), (TAIL,))
    ]
    assert made[0].keys() == {"tokenizer", "max_seq_length", "labels", "problem_type", "spec"}
    assert made[1] == made[0]
    assert made[2] == {**made[0], "truncation": "tail"}


# The same in the graph


@pytest.fixture(scope="module", params=TRUNCATIONS)
def packed(request):
    """The truncation, and a function of pieces, second pieces and a limit that runs the graph."""
    with tf.Graph().as_default(), v1.Session() as session:
        a, b = (v1.ragged.placeholder(tf.int32, 1, ()) for _ in range(2))
        has_b, limit = v1.placeholder(tf.bool, [None]), v1.placeholder(tf.int32, [])
        rows = pack_pairs(PairLayout(2, 3), a, b, has_b, limit, request.param)

        def run(first, second, most):
            ragged = [
                v1.ragged.constant_value([x or [] for x in some], dtype="int32", ragged_rank=1)
                for some in (first, second)
            ]
            present = [bool(pieces) for pieces in second]
            return session.run(rows, {a: ragged[0], b: ragged[1], has_b: present, limit: most})

        yield request.param, run


@given(pairs=st.lists(st.tuples(words, st.none() | words), min_size=1, max_size=5), limit=st.integers(3, 40))
@settings(max_examples=150, deadline=None)
def test_graph_and_featurizer_make_the_same_rows(packed, tokenizer, pairs, limit):
    truncation, run = packed
    featurizer = PairFeaturizer(tokenizer, limit, (), "single_label", truncation)
    first, second = zip(*pairs, strict=True)
    encoded = [[None if text is None else tokenizer.encode([text])[0] for text in texts] for texts in (first, second)]
    found = run(*encoded, limit)
    examples = [InputExample(str(i), a, b) for i, (a, b) in enumerate(pairs)]
    for row, (window,) in enumerate(featurizer.featurize(examples)):
        length = len(window["input_ids"])
        assert length <= limit
        for name in INPUTS:
            assert found[name][row, :length].tolist() == window[name], name
            assert not found[name][row, length:].any()


# The check of an export


def task_with(tokenizer, truncation):
    """With a limit that no single text of the list exceeds: only those made for the purpose are cut."""
    return ClassificationTask("reviews", ExampleSource(Reviews(), ""), tokenizer, 128, truncation=truncation)


def parity(task, text):
    with tf.Graph().as_default(), v1.Session() as session:
        check_parity(session, task, text)


@pytest.mark.parametrize("limit", [3, 24, 128])
def test_parity_texts_are_cut_at_any_limit(tokenizer, limit):
    texts = long_texts(limit)
    assert texts[0] != texts[1]
    assert min(map(len, tokenizer.encode(list(texts)))) > limit - 2


@pytest.mark.parametrize(
    ("truncation", "other"),
    [(HEAD, TAIL), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((TAIL, HEAD_TAIL), (HEAD_TAIL, HEAD)))],
)
def test_export_that_keeps_other_pieces_than_the_records_is_found_out(tokenizer, truncation, other):
    task = task_with(tokenizer, truncation)
    with pytest.raises(ExportError) as refused:
        parity(task, task_with(tokenizer, other).text_signature())
    assert "in-graph tokenizer differs from the featurizer in input_ids of" in str(refused.value)


@pytest.mark.slow
def test_export_with_another_share_of_the_head_is_found_out(tokenizer, monkeypatch):
    task = task_with(tokenizer, HEAD_TAIL)
    monkeypatch.setattr(pairs, "HEAD_SHARE", 3)
    with pytest.raises(ExportError):
        parity(task, task.text_signature())


@pytest.mark.slow
def test_export_that_cuts_the_second_text_differently_is_found_out(tokenizer, monkeypatch):
    task = task_with(tokenizer, TAIL)
    parity(task, task.text_signature())

    def careless(layout, a, b, has_b, limit, *rest):
        return pack_pairs(layout, a, b[:, :limit], has_b, limit, *rest)

    monkeypatch.setattr(signature, "pack_pairs", careless)
    with pytest.raises(ExportError):
        parity(task, task.text_signature())


# A whole run

LONG = "superb lovely food and great fine film here it was a day nasty awful . ! poor dull , bad very the"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, tiny_model):
    """Twenty steps with `head_tail` on texts that are all cut, and an export."""
    folder = tmp_path_factory.mktemp("truncation")
    tiny.write_table(folder / "data", train=16, dev=8, test=8)
    for path in (folder / "data").iterdir():
        header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text(header + "".join(f"{LONG} {row}" for row in rows), encoding="utf-8")
    run_classifier.main(
        [
            "run_classifier.py", "--task_name=table", "--text_a=text", "--label=label", f"--data_dir={folder / 'data'}",
            f"--init_checkpoint={tiny_model}", f"--max_seq_length={LIMIT}", "--truncation=head_tail",
            "--train_batch_size=8", "--num_train_epochs=10", "--learning_rate=2e-3", "--do_train", "--do_export",
            f"--output_dir={folder / 'run'}",
        ]
    )  # fmt: skip
    return folder


def answers(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_run_and_export_say_which_pieces_they_read(run_folder):
    run = run_folder / "run"
    description = json.loads((run / "run.json").read_text())
    assert description["identity"]["truncation"] == description["flags"]["truncation"] == "head_tail"
    (export,) = (run / "export").iterdir()
    assert json.loads((export / "assets" / "tokenizer.json").read_text())["truncation"] == "head_tail"


def test_prediction_from_the_directory_and_the_export_read_the_pieces_of_training(run_folder, run_script, tmp_path):
    from serving.predictor import Predictor

    run = run_folder / "run"
    pieces = LONG.split()
    texts = {"whole": pieces, HEAD_TAIL: pieces[:2] + pieces[-8:], HEAD: pieces[:10], TAIL: pieces[-10:]}
    table = tmp_path / "new.tsv"
    table.write_text("text\n" + "".join(" ".join(text) + "\n" for text in texts.values()), encoding="utf-8")
    code, _, err = run_script(run_classifier.main, "--do_predict", f"--predict_file={table}", f"--output_dir={run}")
    assert code == 0, err
    predicted = dict(zip(texts, (answer["probabilities"] for answer in answers(run)), strict=True))
    (export,) = (run / "export").iterdir()
    with Predictor(export) as predictor:
        found = predictor.answer([{"text_a": " ".join(text)} for text in texts.values()])
    served = dict(zip(texts, (answer["probabilities"] for answer in found), strict=True))
    for name in texts:
        assert served[name] == pytest.approx(predicted[name], abs=1e-5)
    for by_name in (predicted, served):
        assert by_name["whole"] == pytest.approx(by_name[HEAD_TAIL], abs=1e-6)
        for other in (HEAD, TAIL):
            assert abs(by_name["whole"]["pos"] - by_name[other]["pos"]) > 2e-4


def test_later_commands_need_not_repeat_it(run_folder, run_script, tmp_path):
    run = shutil.copytree(run_folder / "run", tmp_path / "run")
    scores = []
    for again in ([], ["--truncation=head_tail"]):
        code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}", *again)
        assert code == 0, err
        scores.append((run / "eval_results.txt").read_text())
    assert "reusing 8 records" in err
    assert scores[0] == scores[1]
    assert json.loads((run / "run.json").read_text())["flags"]["truncation"] == "head_tail"


def test_contradiction_is_refused_and_nothing_is_written(run_folder, run_script):
    run = run_folder / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}", "--truncation=head")
    assert code == 2
    assert err.count("\n") == 1
    assert f"--truncation=head contradicts --output_dir={run}, which was trained with --truncation=head_tail" in err
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_unknown_value_is_refused(run_script, tmp_path):
    code, _, err = run_script(run_classifier.main, "--truncation=middle", f"--output_dir={tmp_path / 'run'}")
    assert code == 2
    assert err.count("\n") == 1
    assert "--truncation=middle: value should be one of <head|tail|head_tail|windows>" in err
    assert not (tmp_path / "run").exists()


def test_validation_counts_the_rows_that_lose_pieces_whichever_they_lose(run_folder, run_script, tiny_model):
    reports = []
    for truncation in TRUNCATIONS:
        code, out, err = run_script(
            run_classifier.main, "--task_name=table", "--text_a=text", "--label=label", "--validate_only",
            f"--data_dir={run_folder / 'data'}", f"--init_checkpoint={tiny_model}", f"--max_seq_length={LIMIT}",
            f"--truncation={truncation}",
        )  # fmt: skip
        assert code == 0, err
        reports.append(out)
    assert reports[0] == reports[1] == reports[2]
    assert f"16 rows (100.0%) are truncated at {LIMIT}" in reports[0]
