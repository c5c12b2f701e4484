"""Evaluation while training goes on: best checkpoint, early stopping, learning curve."""

import json
import math

import pytest

import run_classifier
from common.errors import FlagError
from estimator.hooks.metrics_log import MetricsLog
from estimator.hooks.periodic_evaluation import (
    EVENT,
    Score,
    best_checkpoint,
    best_of,
    chosen_value,
    earlier_scores,
    lower_is_better,
    since_best,
)
from estimator.learning_curve import curves, draw
from modeling.checkpoints.restore import checkpoint_variables, read_tensor
from tests.support import tiny

LEARNING = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8"]


@pytest.mark.parametrize(
    ("metric", "lower"),
    [("loss", True), ("eval_loss", True), ("perplexity", True), ("eval_f1", False), ("eval_accuracy", False)],
)
def test_an_error_is_better_low_and_a_score_high(metric, lower):
    assert lower_is_better(metric) is lower
    scores = [Score(10, 0.5), Score(20, 0.3), Score(30, 0.7)]
    assert best_of(scores, metric) == (scores[1] if lower else scores[2])
    assert since_best(scores, metric) == (1 if lower else 0)


def test_the_earliest_of_equals_is_best_and_nan_never_is():
    scores = [Score(10, math.nan), Score(20, 0.3), Score(30, 0.3)]
    assert best_of(scores, "loss") == best_of(scores, "f1") == scores[1]
    assert best_of(scores[:1], "loss") is None
    assert since_best(scores[:1], "loss") == 1


def test_a_metric_is_found_with_and_without_its_prefix_and_else_named():
    scores = {"eval_f1": 0.5, "loss": 0.2, "global_step": 7}
    assert chosen_value(scores, "f1") == chosen_value(scores, "eval_f1") == 0.5
    with pytest.raises(FlagError, match=r"--best_metric=f2: not a metric of this evaluation, .*f1, loss; give one"):
        chosen_value(scores, "f2")


def test_what_a_resumed_run_undid_counts_no_more():
    events = [
        {"event": "train", "step": 10, "loss": 3.0},
        {"event": EVENT, "step": 10, "metric": "loss", "loss": 2.0, "value": 2.0},
        {"event": "train", "step": 20, "loss": 2.0},
        {"event": EVENT, "step": 20, "metric": "loss", "loss": 1.0, "value": 1.0},
        {"event": "train", "step": 15, "loss": 2.5},  # went on from step 10
        {"event": EVENT, "step": 20, "metric": "loss", "loss": None, "value": None},
    ]
    assert earlier_scores(events[:4], "loss", 10) == [Score(10, 2.0)]
    assert math.isnan(earlier_scores(events, "loss", 20)[-1].value)
    losses, scores, metric = curves(events)
    assert losses == [(10, 3.0), (15, 2.5)]
    assert scores == [(10, 2.0)]
    assert metric == "loss"


def test_metrics_are_read_back_without_a_line_that_was_cut_off(tmp_path):
    log = MetricsLog(tmp_path)
    assert log.read() == []
    log.write("eval", {"f1": math.nan, "step": 3})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"event": "tra')
    (event,) = log.read()
    assert event["f1"] is None
    assert event["step"] == 3


def test_lines_that_are_no_events_are_left_out_and_a_cut_one_spoils_no_other(tmp_path):
    log = MetricsLog(tmp_path)
    lines = [b'{"event": "eval", "f1": 1}', b"\xff\xfe", b"[1]", b"7", b'{"event": 5}', b'{"event": "a", "step": "b"}']
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([*lines, b"[" * 100_000, b'{"event": "tra']))
    log.write("eval", {"f1": 2})
    assert [event["f1"] for event in log.read()] == [1, 2]


def test_one_evaluation_makes_no_curve(tmp_path):
    draw([{"event": EVENT, "step": 1, "metric": "loss", "value": 1.0}], tmp_path / "curve.png")
    assert not (tmp_path / "curve.png").exists()


@pytest.fixture(scope="module")
def watched(tmp_path_factory, tiny_model):
    """A run whose learning rate is so high that it is best early, with patience for two worse evaluations."""
    folder = tmp_path_factory.mktemp("watched")
    tiny.write_table(folder / "data")
    arguments = [
        "run_classifier.py", *LEARNING, f"--data_dir={folder / 'data'}", f"--init_checkpoint={tiny_model}",
        f"--output_dir={folder / 'run'}", "--learning_rate=0.5", "--warmup_proportion=0", "--num_train_epochs=20",
        "--do_train", "--do_eval", "--do_export", "--eval_every_n_steps=10", "--early_stopping_patience=2",
        "--keep_best_checkpoint", "--best_metric=loss",
    ]  # fmt: skip
    run_classifier.main(arguments)
    return folder / "run", arguments


def events_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_training_stops_once_patience_is_over(watched):
    run, _ = watched
    steps = [event["step"] for event in events_of(run) if event["event"] == EVENT]
    values = [event["value"] for event in events_of(run) if event["event"] == EVENT]
    assert steps == list(range(10, 10 * len(steps) + 1, 10))
    assert len(steps) < 16, "it ran to its end"
    assert values.index(min(values)) == len(values) - 3


def test_the_best_checkpoint_is_whole_small_and_the_one_that_is_used(watched):
    run, _ = watched
    periodic = [event for event in events_of(run) if event["event"] == EVENT]
    best = min(periodic, key=lambda event: event["value"])
    prefix = best_checkpoint(run)
    assert prefix == str(run / "best" / f"model.ckpt-{best['step']}")
    assert read_tensor(prefix, "global_step") == best["step"]
    trained = checkpoint_variables(str(run))
    assert checkpoint_variables(prefix).keys() == {name for name in trained if "/adam_" not in name}
    final = json.loads((run / "eval_results.json").read_text())
    assert final["loss"] == pytest.approx(best["loss"], rel=1e-6)
    assert final["global_step"] == best["step"]
    files = {path.name.split(".data-")[0] for path in (run / "best").iterdir()}
    name = f"model.ckpt-{best['step']}"
    assert files == {"checkpoint", name, f"{name}.index", "bert_config.json", "vocab.txt", "labels.txt"}


def test_the_learning_curve_is_drawn(watched):
    run, _ = watched
    assert (run / "learning_curve.png").read_bytes()[:4] == b"\x89PNG"


def test_a_run_that_was_stopped_early_stays_stopped(watched, capfd):
    run, arguments = watched
    before = len(events_of(run))
    run_classifier.main([*arguments, "--nodo_eval", "--nodo_export"])
    assert "was stopped early at step" in capfd.readouterr().err
    assert len(events_of(run)) == before


def test_the_best_checkpoint_is_one_to_start_from(watched, tmp_path):
    run, arguments = watched
    start = [f"--init_checkpoint={run / 'best'}", f"--output_dir={tmp_path / 'next'}", "--num_train_epochs=1"]
    others = [one for one in arguments if not one.startswith(("--init_checkpoint", "--output_dir", "--num_train"))]
    run_classifier.main([*others, *start, "--nodo_export"])
    assert (tmp_path / "next" / "eval_results.txt").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--early_stopping_patience=2"], "--early_stopping_patience needs --eval_every_n_steps"),
        (["--keep_best_checkpoint"], "--keep_best_checkpoint needs --eval_every_n_steps"),
        (["--eval_every_n_steps=5", "--use_tpu"], "cannot run beside training on a TPU"),
        (["--eval_every_n_steps=5", "--save_checkpoints_steps=7"], "contradicts --eval_every_n_steps=5"),
        (["--eval_every_n_steps=5", "--nodo_train", "--do_eval"], "--eval_every_n_steps needs --do_train"),
    ],
)
def test_flags_that_do_not_go_together_are_one_line(run_script, tmp_path, given, message):
    code, _, err = run_script(run_classifier.main, *LEARNING, f"--output_dir={tmp_path}", "--do_train", *given)
    assert code == 2
    assert message in err


@pytest.mark.slow
def test_an_unknown_metric_is_one_line(run_script, tiny_model, table_dir, tmp_path):
    code, _, err = run_script(
        run_classifier.main, *LEARNING, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}", "--do_train",
        f"--output_dir={tmp_path / 'run'}", "--eval_every_n_steps=4", "--best_metric=f3", "--num_train_epochs=1",
    )  # fmt: skip
    assert code == 2
    assert err.splitlines()[-1].startswith("error: --best_metric=f3: not a metric of this evaluation")
