"""`--num_seeds`: one command with several seeds, each in a folder of its own, and what they give together."""

import dataclasses
import json
import logging
import math
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

from command_line.execution import Results
from command_line.settings import require
from common.errors import FlagError, RunDirectoryError
from common.exclusive import locked
from common.files import write_atomically
from common.paths import path_of
from common.run_directory import RunDirectory

log = logging.getLogger(__name__)

FILE = "seeds.json"


def check(flags: SimpleNamespace) -> None:
    """Checks what several seeds need.

    Raises:
      FlagError: nothing is trained or evaluated, so that there is nothing to compare.
      RunDirectoryError: the output directory is that of one run.
    """
    require(flags, "output_dir")
    for name in ("do_train", "do_eval"):
        if not getattr(flags, name):
            raise FlagError(f"--num_seeds trains and evaluates with each seed: --{name} is missing; add it")
    if RunDirectory(path_of(flags.output_dir)).description() is not None:
        raise RunDirectoryError(
            f"--output_dir={flags.output_dir} holds one run; --num_seeds makes a folder for each seed; choose another"
        )


def run(flags: SimpleNamespace, run_one: Callable[[SimpleNamespace], Results]) -> Results:
    """Runs a command with the seeds from `--seed` on; what an earlier command has finished is not trained again.

    Args:
      flags: of the command.
      run_one: runs it with one seed.

    Returns:
      Scores and export of the best seed.

    Raises:
      BertError: as one run.
    """
    from estimator.hooks.periodic_evaluation import chosen_value

    check(flags)
    folder = path_of(flags.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[int, Results] = {}
    with locked(folder):
        for number, seed in enumerate(range(flags.seed, flags.seed + flags.num_seeds), start=1):
            log.info("seed %d, %d of %d", seed, number, flags.num_seeds)
            results[seed] = run_one(with_seed(flags, seed))
            metric = flags.best_metric or results[seed].main_metric
            # A metric that is none is told after one training, not after all.
            chosen_value(results[seed].scores, metric)
        summary = summed_up({seed: made.scores for seed, made in results.items()}, metric)
        write_atomically(folder / FILE, json.dumps(dataclasses.asdict(summary), indent=2, ensure_ascii=False) + "\n")
    for line in summary.lines():
        log.info("%s", line)
    if (RunDirectory(folder_of(flags, flags.seed)).description() or {}).get("held_out"):
        log.warning("each seed holds out other dev rows: the scores differ by the rows, too; give a dev file")
    return results[summary.best]


def folder_of(flags: SimpleNamespace, seed: int) -> Path:
    """Where the run with one seed is."""
    return path_of(flags.output_dir) / f"seed-{seed}"


def with_seed(flags: SimpleNamespace, seed: int) -> SimpleNamespace:
    """The flags of the run with one seed, in its folder."""
    changed = {"seed": seed, "num_seeds": 1, "output_dir": str(folder_of(flags, seed))}
    given = (flags.given | {"seed"}) - {"best_metric"}  # which decides between seeds, not only between checkpoints
    return SimpleNamespace(**{**vars(flags), **changed, "given": given})


@dataclasses.dataclass(frozen=True)
class Summary:
    """What `seeds.json` holds.

    Args:
      metric: the score that decides.
      best: the seed that is best by it.
      mean: of each score over the seeds; None where it is no number.
      deviation: standard deviation of a sample; None for one seed.
      scores: of each seed, by name.
    """

    metric: str
    best: int
    mean: dict[str, float | None]
    deviation: dict[str, float | None]
    scores: dict[int, dict[str, float | None]]

    def lines(self) -> list[str]:
        """A line for each score, and one for the best seed."""
        width = max(map(len, self.mean))
        made = [
            f"{name:{width}}  {_shown(self.mean[name])} ± {_shown(self.deviation[name])}  "
            f"({', '.join(f'{seed}: {_shown(found.get(name))}' for seed, found in self.scores.items())})"
            for name in self.mean
        ]
        return [*made, f"the best seed by {self.metric} of {len(self.scores)} is {self.best}"]


def summed_up(scores: Mapping[int, Mapping[str, float]], metric: str) -> Summary:
    """Compares seeds.

    Args:
      scores: by seed.
      metric: the score that decides, with or without the `eval_` before it.

    Raises:
      FlagError: there is no score of that name.
    """
    from estimator.hooks.periodic_evaluation import chosen_value, lower_is_better

    values = {seed: chosen_value(found, metric) for seed, found in scores.items()}
    sign = 1.0 if lower_is_better(metric) else -1.0
    best = min(values, key=lambda seed: (math.isnan(values[seed]), sign * values[seed], seed))
    names = sorted(set.intersection(*(set(found) for found in scores.values())) - {"global_step"})
    columns = {name: [found[name] for found in scores.values()] for name in names}
    return Summary(
        metric,
        best,
        {name: _finite(statistics.fmean(column)) for name, column in columns.items()},
        {name: _deviation(column) for name, column in columns.items()},
        {seed: {name: _finite(value) for name, value in found.items()} for seed, found in scores.items()},
    )


def _deviation(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None


def _finite(value: float) -> float | None:
    """A number that JSON has."""
    return value if math.isfinite(value) else None


def _shown(value: float | None) -> str:
    return "nan" if value is None else f"{value:.4f}"
