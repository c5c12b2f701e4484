"""`--num_seeds`: several runs by one command, what they give together, and a command that was stopped."""

import json
import math
import statistics

import pytest

import run_classifier
from command_line import seeds
from command_line.execution import Results
from command_line.flags.parsing import parse
from command_line.run_classifier import SCRIPT
from command_line.seeds import summed_up
from common.errors import FlagError

FLAGS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8", "--do_train",
    "--learning_rate=1e-2", "--num_train_epochs=0.3", "--do_eval", "--seed=3",
]  # fmt: skip


@pytest.mark.slow
def test_each_seed_is_a_run_of_its_own_and_a_second_command_trains_only_the_new(
    run_script, tiny_model, table_dir, tmp_path
):
    flags = [*FLAGS, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}"]
    several = [*flags, f"--output_dir={tmp_path / 'all'}", "--best_metric=eval_accuracy"]
    assert run_script(run_classifier.main, *several, "--num_seeds=2")[0] == 0
    code, _, err = run_script(run_classifier.main, *several, "--num_seeds=3")
    assert code == 0, err
    assert err.count("Nothing to train") == 2
    assert run_script(run_classifier.main, *flags, "--seed=5", f"--output_dir={tmp_path / 'one'}")[0] == 0
    summary = json.loads((tmp_path / "all" / "seeds.json").read_text())
    alone = json.loads((tmp_path / "one" / "eval_results.json").read_text())
    assert list(summary["scores"]) == ["3", "4", "5"]
    assert summary["scores"]["5"] == pytest.approx(alone, abs=1e-6)
    losses = [found["eval_loss"] for found in summary["scores"].values()]
    assert len(set(losses)) == 3
    assert summary["mean"]["eval_loss"] == pytest.approx(statistics.fmean(losses))
    assert summary["deviation"]["eval_loss"] == pytest.approx(statistics.stdev(losses))
    best = max(summary["scores"].items(), key=lambda item: (item[1]["eval_accuracy"], -int(item[0])))[0]
    assert summary["best"] == int(best)
    assert f"the best seed by eval_accuracy of 3 is {best}" in err
    code, _, err = run_script(run_classifier.main, *several, "--num_seeds=2", f"--output_dir={tmp_path / 'one'}")
    assert code == 2
    assert "holds one run; --num_seeds makes a folder for each seed; choose another" in err.splitlines()[-1]


def test_a_metric_that_is_none_is_told_after_the_first_seed(tmp_path):
    trained = []

    def run_one(flags):
        trained.append(flags.seed)
        return Results({"eval_accuracy": 0.5})

    flags = parse(["run_classifier.py", *FLAGS, "--num_seeds=3", "--best_metric=acuracy", f"--output_dir={tmp_path}"],
                  SCRIPT.flags)  # fmt: skip
    with pytest.raises(FlagError, match=r"--best_metric=acuracy: not a metric of this evaluation, .*accuracy"):
        seeds.run(flags, run_one)
    assert trained == [3]


def test_the_best_seed_is_the_earliest_of_equals_and_never_one_without_a_number():
    scores = {1: {"f1": math.nan, "loss": 0.1}, 2: {"f1": 0.5, "loss": 0.2}, 3: {"f1": 0.5, "loss": 0.3}}
    summary = summed_up(scores, "f1")
    assert (summary.best, summary.mean["f1"], summary.scores[1]["f1"]) == (2, None, None)
    assert summed_up(scores, "loss").best == 1
    assert summary.lines()[0].startswith("f1    nan ± nan  (1: nan, 2: 0.5000")
    assert summed_up({1: {"loss": 0.5}}, "loss").deviation == {"loss": None}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--do_train"], "--num_seeds trains and evaluates with each seed: --do_eval is missing; add it"),
        (["--do_eval"], "--num_seeds trains and evaluates with each seed: --do_train is missing; add it"),
    ],
)
def test_what_several_seeds_need_is_a_line(run_script, table_dir, tmp_path, flags, message):
    table = ["--task_name=table", f"--data_dir={table_dir}", f"--output_dir={tmp_path / 'run'}"]
    code, _, err = run_script(run_classifier.main, *table, *flags, "--num_seeds=2")
    assert (code, err.splitlines()[-1]) == (2, f"error: {message}")
