"""create_pretraining_data.py as a command, for a corpus and for ten times as much, on one core."""

import functools
import os
from pathlib import Path

from benchmarks import commands
from benchmarks.ours import classifier
from benchmarks.protocol import Result, Rounds, Settings

MODES = {"exact": ["--nostreaming"], "streaming": ["--streaming", "--num_workers=1"]}
CORPUS_FILE = "1x.txt"


def load(settings: Settings) -> Rounds:
    """Writes the two corpora; upstream's way reads the smaller."""
    one_core()
    text = Path(settings.corpus).read_text(encoding="utf-8").rstrip() + "\n\n"
    if settings.effort.text_rows is not None:
        text = "".join(text.splitlines(keepends=True)[: settings.effort.text_rows])
    rounds: Rounds = {}
    for times, suffix in ((1, ""), (10, ", ten times the text")):
        corpus = settings.folder / f"{times}x.txt"
        corpus.write_text(text * times, encoding="utf-8")
        for mode in MODES:
            rounds[f"{mode}{suffix}"] = functools.partial(_round, settings, corpus, mode)
    return rounds


def one_core() -> None:
    """Holds this process and those that it starts to one core."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])


def result(ran: commands.Ran) -> Result:
    """Time and memory of a command."""
    return Result({"s": ran.seconds, "MiB": ran.peak_mib})


def _round(settings: Settings, corpus: Path, mode: str) -> Result:
    files = [f"--input_file={corpus}", f"--output_file={settings.folder / mode}"]
    files.append(f"--vocab_file={classifier.vocab_file(settings)}")
    return result(commands.python(["create_pretraining_data.py", *files, *MODES[mode]], settings.folder))
