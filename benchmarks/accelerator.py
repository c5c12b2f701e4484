"""Runs the whole path on the device that is here, and compares it with the CPU.

    python -m benchmarks.accelerator
    python -m benchmarks.accelerator --epochs=4 --batch=64 --json=accelerator.json

Each case trains, evaluates, predicts, exports and asks the export, in processes of their own: float32, bfloat16,
float16 on a GPU, XLA, accumulation, recomputation, two replicas where there are two GPUs. The first row is the CPU's in
float32; the others say how far their losses, scores and probabilities are from it. Dropout is off, so that the numbers
can be compared. Without an accelerator the cases run on the CPU. The exit code is 1 where a case fails or differs by
more than its tolerance.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import commands
from benchmarks.__main__ import demo_weights
from benchmarks.header import header
from benchmarks.worker import ROOT, WorkerError
from command_line import app
from common.errors import BertError, FlagError
from common.files import write_atomically
from modeling.checkpoints.locate import find_beside

CPU = "CPU float32"
EXACT, ROUNDED = 5e-3, 8e-2
"""Most that losses and probabilities may differ from the CPU's: in float32, and with 16 bits."""

CLASSIFIER_DROPOUTS = ("classifier_dropout", "classifier_dropout_prob", "seq_classif_dropout")
"""Names in the configuration files of the families. Draws depend on how a graph is built: a comparison has none."""

COLUMNS = (
    "examples/s", "seconds", "peak MiB", "accuracy", "last loss", "losses", "eval loss", "probabilities", "export",
)  # fmt: skip

ON_CPU = {"CUDA_VISIBLE_DEVICES": ""}

_LIST = """
import json, tensorflow as tf
found = tf.config.list_physical_devices("GPU")
print(json.dumps([tf.config.experimental.get_device_details(one).get("device_name", one.name) for one in found]))
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to train.

    Args:
      name: in the table.
      flags: of run_classifier.py.
      tolerance: most that its numbers may differ from the CPU's.
      environment: variables of its processes.
    """

    name: str
    flags: tuple[str, ...] = ()
    tolerance: float = EXACT
    environment: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass
class Numbers:
    """What a case came to.

    Args:
      losses: by step.
      scores: of the evaluation.
      probabilities: of each test row, in label order.
      exported: the same of the first rows, from the export.
      rate: examples a second at the last report of training.
      seconds: of the command that trains, evaluates, predicts and exports, start-up included.
      peak_mib: most memory of the device, of the process on a CPU.
      failure: the last line of a command that failed; None where all ended well.
    """

    losses: dict[int, float] = dataclasses.field(default_factory=dict)
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    probabilities: list[list[float]] = dataclasses.field(default_factory=list)
    exported: list[list[float]] = dataclasses.field(default_factory=list)
    rate: float = 0.0
    seconds: float = 0.0
    peak_mib: float = 0.0
    failure: str | None = None


def cases(gpus: Sequence[str], tpu: str | None = None) -> list[Case]:
    """The cases that a machine can run, that of the CPU first.

    Args:
      gpus: names of the GPUs that TensorFlow sees.
      tpu: name or address of a TPU; None for none.
    """
    if tpu is not None:
        how: tuple[str, ...] = ("--use_tpu", f"--tpu_name={tpu}")
        on = "TPU"
        others: list[tuple[str, tuple[str, ...], float]] = [
            ("float32", (), EXACT),
            ("bf16", ("--precision=bf16",), ROUNDED),
        ]
    else:
        how = ("--num_gpus=1",) if gpus else ()
        on = "GPU" if gpus else "CPU"
        others = [
            *([("float32", (), EXACT)] if gpus else []),
            ("bf16", ("--precision=bf16",), ROUNDED),
            *([("fp16", ("--precision=fp16",), ROUNDED)] if gpus else []),
            ("XLA", ("--use_xla",), EXACT),
            ("recomputation", ("--recompute",), EXACT),
        ]
    others.append(("accumulation", ("--gradient_accumulation_steps=2",), EXACT))
    made = [Case(f"{on} {name}", (*how, *flags), tolerance) for name, flags, tolerance in others]
    if len(gpus) > 1 and tpu is None:
        made.append(Case("2 GPUs", ("--num_gpus=2",)))
        made.append(Case("2 GPUs bf16", ("--num_gpus=2", "--precision=bf16"), ROUNDED))
    return [Case(CPU, environment=tuple(ON_CPU.items())), *made]


def gpus_here(folder: Path) -> list[str]:
    """Names of the GPUs that TensorFlow sees, asked in a process of its own."""
    found: list[str] = json.loads(commands.python(["-c", _LIST], folder).output.strip().splitlines()[-1])
    return found


def run_case(case: Case, options: argparse.Namespace, folder: Path) -> Numbers:
    """Trains, evaluates, predicts, exports, and asks the export; a command that fails ends it.

    Args:
      folder: new, for all that it writes.
    """
    folder.mkdir(parents=True)
    configuration = _without_dropout(options.weights, folder / "config.json")
    run, environment = folder / "run", dict(case.environment)
    train = [
        "run_classifier.py", "--task_name=table", f"--data_dir={options.data_dir}", "--text_a=text", "--label=label",
        f"--init_checkpoint={options.weights}", f"--bert_config_file={configuration}",
        f"--max_seq_length={options.length}",
        f"--train_batch_size={options.batch}", f"--num_train_epochs={options.epochs}", "--learning_rate=5e-5",
        "--hidden_dropout=0", "--attention_dropout=0",
        "--log_every_n_steps=1", "--num_workers=1", "--do_train", "--do_eval", "--do_predict", "--do_export",
        f"--output_dir={run}",
    ]  # fmt: skip
    ask = ["run_classifier.py", "--do_predict", "--predict_file=-", f"--output_dir={run}"]
    numbers = Numbers()
    try:
        ran = commands.python([*train, *case.flags], folder, environment=environment)
        numbers.seconds, numbers.peak_mib = ran.seconds, ran.peak_mib
        _read(run, numbers)
        texts = [json.loads(line)["text_a"] for line in _lines(run / "predictions.jsonl")][: options.asked]
        given = "".join(f"{json.dumps({'text_a': text})}\n" for text in texts)
        answered = commands.python(ask, folder, environment=environment, given=given)
        answers = [json.loads(line) for line in answered.output.splitlines() if line.startswith("{")]
        numbers.exported = [list(one["probabilities"].values()) for one in answers]
    except WorkerError as error:
        numbers.failure = str(error).partition(", expected 0: ")[2] or str(error)
    return numbers


def _without_dropout(weights: str, path: Path) -> Path:
    """Writes the configuration of the weights without the dropout of classifiers, which no flag turns off.

    Raises:
      FlagError: there is none.
    """
    found = find_beside(weights).config_file
    if found is None:
        raise FlagError(f"--weights={weights}: no configuration beside the weights; give a whole model folder")
    settings = json.loads(Path(found).read_text(encoding="utf-8"))
    path.write_text(json.dumps(settings | dict.fromkeys(CLASSIFIER_DROPOUTS, 0.0)), encoding="utf-8")
    return path


def _read(run: Path, numbers: Numbers) -> None:
    events = [json.loads(line) for line in _lines(run / "metrics.jsonl")]
    trained = [one for one in events if one["event"] == "train"]
    numbers.losses = {one["step"]: one["loss"] for one in trained}
    numbers.rate = trained[-1]["examples_per_second"]
    numbers.scores = json.loads((run / "eval_results.json").read_text(encoding="utf-8"))
    rows = _lines(run / "test_results.tsv")
    numbers.probabilities = [[float(cell) for cell in row.split("\t")] for row in rows]
    memory = [event for event in events if event["event"] == "memory"][-1:]
    on_device = [value for event in memory for name, value in event.items() if name.startswith("gpu_")]
    numbers.peak_mib = max(on_device, default=numbers.peak_mib)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def furthest(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """The largest difference between two tables of numbers; infinite where one has other rows."""
    if len(first) != len(second) or not first:
        return float("inf")
    return max(abs(a - b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True))


def differences(numbers: Numbers, cpu: Numbers) -> dict[str, float]:
    """How far a case is from the CPU, and its export from itself."""
    steps = sorted(cpu.losses.keys() & numbers.losses.keys())
    apart = furthest([[numbers.losses[step]] for step in steps], [[cpu.losses[step]] for step in steps])
    return {
        "losses": apart if numbers.losses.keys() == cpu.losses.keys() else float("inf"),
        "eval_loss": abs(numbers.scores.get("eval_loss", float("inf")) - cpu.scores.get("eval_loss", 0.0)),
        "probabilities": furthest(numbers.probabilities, cpu.probabilities),
        "export": furthest(numbers.exported, numbers.probabilities[: len(numbers.exported)]),
    }


def verdict(case: Case, numbers: Numbers, cpu: Numbers) -> str:
    """`ok`, or what is wrong."""
    if numbers.failure is not None:
        return numbers.failure
    if cpu.failure is not None:
        return "nothing to compare with"
    off = [name for name, value in differences(numbers, cpu).items() if not value <= case.tolerance]
    return f"{', '.join(off)} differ by more than {case.tolerance:g}" if off else "ok"


def table(found: Sequence[tuple[Case, Numbers]]) -> list[str]:
    """The results as a table in Markdown, a row a case."""
    cpu = found[0][1]
    titles = ["case", *COLUMNS, ""]
    lines = [f"| {' | '.join(titles)} |", f"|{' --- |' * len(titles)}"]
    for case, numbers in found:
        if numbers.failure is not None:
            lines.append(f"| {case.name} | {'| ' * len(COLUMNS)}{verdict(case, numbers, cpu)} |")
            continue
        last = numbers.losses[max(numbers.losses)]
        off = " | ".join(f"{value:.1e}" for value in differences(numbers, cpu).values())
        lines.append(
            f"| {case.name} | {numbers.rate:,.1f} | {numbers.seconds:.0f} | {numbers.peak_mib:,.0f} | "
            f"{numbers.scores['eval_accuracy']:.3f} | {last:.4f} | {off} | {verdict(case, numbers, cpu)} |"
        )
    return lines


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    examples = str(ROOT / "examples" / "reviews-en")
    made.add_argument("--weights", default="", help="weights to start from; default the demo's")
    made.add_argument("--data_dir", default=examples, help="train, dev and test .tsv with the columns text, label")
    made.add_argument("--batch", type=int, default=16, help="rows of a step")
    made.add_argument("--length", type=int, default=64, help="tokens of a row at most")
    made.add_argument("--epochs", type=float, default=2.0, help="passes over the training rows")
    made.add_argument("--asked", type=int, default=8, help="test rows that the export answers")
    made.add_argument("--only", default="", help="cases by name, separated by commas; the CPU's always runs")
    made.add_argument("--tpu_name", help="run on this TPU (local on a TPU VM)")
    made.add_argument("--json", metavar="FILE", help="also write every number")
    made.add_argument("--work", metavar="FOLDER", help="keep what the commands write")
    return made


def run(options: argparse.Namespace, say: Callable[[str], None] = print) -> list[tuple[Case, Numbers]]:
    """Runs every case that is wanted, one after the other, and prints the table."""
    with tempfile.TemporaryDirectory(prefix="bert_accelerator_") as temporary:
        folder = Path(options.work or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        gpus = gpus_here(folder)
        wanted = {name.strip() for name in options.only.split(",") if name.strip()} | {CPU}
        chosen = [one for one in cases(gpus, options.tpu_name) if not options.only or one.name in wanted]
        device = f"TPU {options.tpu_name}" if options.tpu_name else ", ".join(gpus) or "no accelerator"
        about = header([], {}, f"{options.epochs:g} epochs, batch {options.batch}")
        for name in ("date", "processor", "cores", "load", "effort"):
            say(f"{name}: {about[name]}")
        say(f"device: {device}")
        found: list[tuple[Case, Numbers]] = []
        for number, case in enumerate(chosen):
            found.append((case, run_case(case, options, folder / f"{number}")))
            say(f"{case.name}: {verdict(case, found[-1][1], found[0][1])}")
    say("")
    for line in table(found):
        say(line)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; gives its exit code."""
    app.set_up_log()
    options = parser().parse_args(argv)
    try:
        options.weights = options.weights or demo_weights()
        found = run(options)
    except BertError as error:
        app.fail(error)
    if options.json:
        content = [{"case": case.name, **dataclasses.asdict(numbers)} for case, numbers in found]
        write_atomically(Path(options.json), json.dumps(content, indent=2) + "\n")
    return int(any(verdict(case, numbers, found[0][1]) != "ok" for case, numbers in found))


if __name__ == "__main__":
    sys.exit(main())
