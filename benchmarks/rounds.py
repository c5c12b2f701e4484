"""Rounds in alternation: every side of a benchmark is loaded, then one works while the others sleep."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.protocol import Result, Settings
from benchmarks.registry import Benchmark, Side
from benchmarks.worker import Worker
from common.errors import BertError

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What one side did in one round of a case; `values` by unit."""

    benchmark: str
    case: str
    side: str
    round: int
    values: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Environments:
    """Interpreters: of this project, of the peer, and of other engines (None where they are not installed)."""

    ours: Path
    peer: Path | None
    engines: Path | None = None

    def of(self, side: Side) -> Path | None:
        """The interpreter that runs a side; None where there is none."""
        found: Path | None = getattr(self, side.environment)
        return found


def measure(
    benchmark: Benchmark, settings: Settings, environments: Environments, versions: dict[str, str]
) -> Iterator[Measurement]:
    """Runs a benchmark: in each round, each case once by every side that knows it; yields what has been measured.

    Args:
      settings: `work` is the folder of all benchmarks.
      versions: gets the versions that the workers report.

    Raises:
      WorkerError: a side stopped.
      BertError: two sides that must agree do not.
    """
    folder = settings.folder / benchmark.name
    folder.mkdir(parents=True, exist_ok=True)
    settings = dataclasses.replace(settings, work=str(folder))
    with contextlib.ExitStack() as stack:
        sides = _loaded(benchmark, settings, environments, stack)
        for side in sides:
            versions.update({f"{side.environment} {name}": version for name, version in side.versions.items()})
        for number in range(1, settings.effort.rounds + 1):
            for case in sides[0].cases:
                results = {side.name: side.worker.run(case) for side in sides if case in side.cases}
                _check_agreement(benchmark.name, case, results)
                _report(benchmark.name, case, f"round {number} of {settings.effort.rounds}", results)
                for name, result in results.items():
                    yield Measurement(benchmark.name, case, name, number, result.values)


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """A side that waits for rounds."""

    name: str
    environment: str
    worker: Worker
    cases: list[str]
    versions: dict[str, str]


def _loaded(
    benchmark: Benchmark, settings: Settings, environments: Environments, stack: contextlib.ExitStack
) -> list[_Loaded]:
    """Starts the sides: ours first, since the others find their input in what it leaves in the folder."""
    found = []
    for group in (benchmark.sides[:1], benchmark.sides[1:]):
        workers = {}
        for side in group:
            python = environments.of(side)
            if python is not None:
                workers[side] = Worker(python, side.module, dataclasses.replace(settings, options=dict(side.options)))
                stack.callback(workers[side].close)
        for side, worker in workers.items():
            found.append(_Loaded(side.name, side.environment, worker, **worker.ready()))
    return found


def _check_agreement(benchmark: str, case: str, results: Mapping[str, Result]) -> None:
    digests = {result.digest for result in results.values() if result.digest}
    if len(digests) > 1:
        raise BertError(
            f"{benchmark}, {case}: {' and '.join(results)} computed different things; expected the same; "
            "the times cannot be compared; please report this"
        )


def _report(benchmark: str, case: str, number: str, results: Mapping[str, Result]) -> None:
    shown = []
    for name, result in results.items():
        values = ", ".join(f"{value:,.4g} {unit}" for unit, value in result.values.items())
        shown.append(f"{name} {values}")
    log.info("%s, %s, %s: %s", benchmark, case, number, "; ".join(shown))
