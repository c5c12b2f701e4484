"""run_classifier.py that trains all of the encoder or little of it: a run with a seed of its own each round."""

import functools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks import commands
from benchmarks.ours import script
from benchmarks.protocol import TRAIN_BATCH_SIZE, Result, Rounds, Settings
from common.checkpoints import latest_checkpoint

WAYS = {
    "all": ("--learning_rate=5e-5",),
    "adapters": ("--adapter_size=64", "--learning_rate=3e-4"),
    "lora": ("--lora_rank=8", "--learning_rate=5e-4"),
    "head": ("--freeze=encoder,pooler", "--pooling=mean_max", "--learning_rate=2e-3"),
    "mix": ("--freeze=encoder,pooler", "--pooling=mean_max", "--layer_mix=softmax", "--learning_rate=2e-3"),
}
"""Flags of each way, with rates that suit a small encoder: at 1e-3 its adapters learn nothing of MRPC, LoRA little."""
SCORES = {"MRPC": "eval_accuracy", "STS-B": "eval_spearman"}
EPOCHS = 2
SLOT = "/adam_m"
"""Ends the name of what the optimizer keeps for each variable that it trains, in the variable's shape."""


def load(settings: Settings) -> Rounds:
    """One way: a short training for the time of a step, and a whole one on each task."""
    rounds: Rounds = {"steps": functools.partial(_steps, settings)}
    for task in SCORES:
        rounds[task] = functools.partial(_whole, settings, task, iter(range(1, settings.effort.rounds + 1)))
    return rounds


def _steps(settings: Settings) -> Result:
    # The first half warms caches and threads; only the second is timed.
    half = settings.effort.training_steps // 2
    rows = script.first_rows(TRAIN_BATCH_SIZE, 2 * half)
    run, _ = _train(settings, "MRPC", *rows, f"--log_every_n_steps={half}")
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    times = {event["step"]: event["time"] for event in map(json.loads, lines) if event["event"] == "train"}
    return Result({"s a step": (times[2 * half] - times[half]) / half})


def _whole(settings: Settings, task: str, seeds: Iterator[int]) -> Result:
    run, ran = _train(settings, task, f"--num_train_epochs={EPOCHS}", f"--seed={next(seeds)}", "--do_eval")
    scores = json.loads((run / "eval_results.json").read_text(encoding="utf-8"))
    latest = latest_checkpoint(run)
    assert latest is not None
    prefix = Path(latest.prefix)
    return Result(
        {
            SCORES[task].removeprefix("eval_"): scores[SCORES[task]],
            "values trained": _trained(prefix),
            "MiB of a checkpoint": sum(one.stat().st_size for one in run.glob(f"{prefix.name}.*")) / 2**20,
            "MiB": ran.peak_mib,
        }
    )


def _train(settings: Settings, task: str, *further: str) -> tuple[Path, commands.Ran]:
    way = settings.options["way"]
    run = settings.folder / way / "run"
    shutil.rmtree(run, ignore_errors=True)
    flags = WAYS[way]
    return run, script.train(settings, run, TRAIN_BATCH_SIZE, *flags, *further, folder=task)


def _trained(prefix: Path) -> float:
    """How many numbers a checkpoint's optimizer trains."""
    shapes: dict[str, Any] = tf.train.load_checkpoint(str(prefix)).get_variable_to_shape_map()
    return float(sum(tf.TensorShape(shape).num_elements() for name, shape in shapes.items() if name.endswith(SLOT)))
