"""The benchmarks' own arithmetic, and that upstream's way computes what ours does. No time is asserted."""

import ast
import dataclasses
import fcntl
import functools
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sacrebleu

from benchmarks import __main__ as command
from benchmarks import commands, tagging
from benchmarks.latency import latency_rounds
from benchmarks.ours import squad_decoding as ours
from benchmarks.ours.flops import model_flops
from benchmarks.protocol import Effort, Settings
from benchmarks.registry import BENCHMARKS, Benchmark, Side
from benchmarks.rounds import Environments, Measurement, measure
from benchmarks.summary import COLUMNS, comparisons, percentile, ratio, shown, spread, table
from benchmarks.upstream import decoding
from benchmarks.upstream.squad_decoding import as_upstream
from benchmarks.worker import Worker, WorkerError
from benchmarks.writing import bleu
from common.errors import BertError
from modeling.config import BertConfig
from processors.base import InputExample
from processors.records.featurizer import PairFeaturizer
from tasks.base import TEST
from tasks.entities.scores import entity_scores
from tasks.span.ranking import DecodingSettings
from tasks.span.task import SpanSettings, SpanTask
from tests.support import tiny
from tokenization import BulkTokenizer, FullTokenizer

ROOT = Path(__file__).resolve().parent.parent
HERE = Environments(Path(sys.executable), None)


def test_spread_percentile_and_ratio():
    assert spread([4.0, 1.0, 2.0, 3.0]) == {"min": 1.0, "median": 2.5, "max": 4.0}
    assert spread([]) == {}
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.95, 1.0)] == [1.0, 2.0, 3.0, 3.0]
    assert ratio(10.0, 5.0, more_is_better=True) == 2.0
    assert ratio(10.0, 5.0, more_is_better=False) == 0.5


@pytest.mark.parametrize(
    ("value", "expected"), [(12345.6, "12,346"), (123.45, "123"), (1.2345, "1.23"), (0.0, "0"), (0.00123, "0.00123")]
)
def test_numbers_are_shown_to_three_digits(value, expected):
    assert shown(value) == expected


def made(benchmark: str, side: str, *values: float, unit: str = "examples/s") -> list[Measurement]:
    return [Measurement(benchmark, "batch 8", side, number, {unit: value}) for number, value in enumerate(values, 1)]


def test_rounds_are_compared_with_their_partners():
    rates = [*made("training", "ours", 20.0, 40.0, 30.0), *made("training", "peer", 10.0, 10.0, 10.0)]
    (found,) = comparisons(rates)
    assert (found.against, found.unit) == ("peer", "examples/s")
    assert found.ratios == [2.0, 4.0, 3.0]
    assert {key: found.to_json()[key] for key in ("min", "median", "max")} == {"min": 2.0, "median": 3.0, "max": 4.0}
    # The peer has stopped in the second round.
    (found,) = comparisons([*made("startup", "ours", 2.0, 4.0, unit="s"), *made("startup", "peer", 6.0, unit="s")])
    assert found.ratios == [3.0]
    # A score of 0 has no ratio, and loses none of the others.
    sides = {"ours": (0.0, 2.0, 4.0), "peer": (0.0, 0.0, 2.0)}
    scores = [one for side, values in sides.items() for one in made("writing", side, *values, unit="BLEU")]
    (found,) = comparisons(scores)
    assert found.ratios == [2.0]
    assert [cell.strip() for cell in table([found]).splitlines()[2].split("|")][4:7] == ["2.00", "peer", "0"]


def test_table_has_a_row_for_each_comparison_and_one_where_there_is_none():
    rates = [*made("evaluation", "ours", 20.0), *made("evaluation", "peer", 10.0), *made("evaluation", "other", 40.0)]
    lines = table(comparisons([*rates, *made("machine", "ours", 150.0, unit="GFLOP/s")])).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(line) for line in lines}) == 1
    assert tuple(cells[0]) == COLUMNS
    assert cells[2] == ["evaluation", "batch 8", "examples/s", "20.0", "peer", "10.0", "2.00", "2.00", "2.00"]
    assert cells[3][4:] == ["other", "40.0", "0.50", "0.50", "0.50"]
    assert cells[4] == ["machine", "batch 8", "GFLOP/s", "150", "", "", "", "", ""]


def test_arithmetic_of_a_model_is_counted():
    config = BertConfig(10, hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=4)
    assert model_flops(config, [3]) == 2 * (3 * (4 * 4 + 2 * 8) + 2 * 2 * 9 + 4)
    # BERT-base at full length: 85 million weights, each used once a piece, and the attention over 128.
    base = model_flops(BertConfig(30522), [128])
    assert base == pytest.approx(2 * 85e6 * 128, rel=0.04)
    assert model_flops(BertConfig(30522), [128, 128]) == 2 * base


def test_latencies_ask_for_batches_of_each_size():
    sizes = []
    rounds = latency_rounds({"x": lambda rows: sizes.append(len(rows))}, [{"text_a": "a"}] * 64, calls=5)
    assert set(rounds["x, batch 1"]().values) == {"ms, p50", "ms, p95"}
    assert sizes == [1] * 6
    rounds["x, batch 32"]()
    assert sizes[6:] == [32] * 3


@pytest.fixture(scope="module")
def settings(tmp_path_factory, shared, minilm) -> Settings:
    return Settings(
        str(tmp_path_factory.mktemp("work")),
        weights=str(minilm),
        squad_file=str(shared / "data" / "squad" / "dev-v1.1.json"),
        effort=Effort(rounds=2, questions=60),
    )


def test_bleu_of_tokens_is_that_of_sacrebleu():
    generator = random.Random(4)
    references = [generator.choices(range(9), k=generator.randint(1, 12)) for _ in range(60)]
    found = [[one for one in row if generator.random() > 0.2] + generator.choices(range(9), k=2) for row in references]
    texts = [[" ".join(map(str, row)) for row in rows] for rows in (found, references)]
    scorer = sacrebleu.BLEU(tokenize="none", smooth_method="none")
    for count in (60, 7):
        expected = scorer.corpus_score(texts[0][:count], [texts[1][:count]]).score
        assert bleu(found[:count], references[:count]) == pytest.approx(expected)
    short = [row[: len(row) // 2 + 1] for row in found]
    texts[0] = [" ".join(map(str, row)) for row in short]
    assert 5 < bleu(short, references) == pytest.approx(scorer.corpus_score(texts[0], [texts[1]]).score)
    assert bleu([[1, 2]], [[3, 4]]) == 0.0


def test_upstreams_way_of_decoding_gives_our_answers(settings, tmp_path):
    task = ours.span_task(settings)
    asked = ours.questions(task, settings.effort.questions)
    ours.decode(task, asked, tmp_path / "ours")
    decoding.write_predictions(as_upstream(task, asked), task.settings.decoding, True, tmp_path / "upstream")
    assert ours.digest(tmp_path / "ours") == ours.digest(tmp_path / "upstream")
    found = [json.loads((tmp_path / side / "nbest_predictions.json").read_text()) for side in ("ours", "upstream")]
    probabilities = [[entry["probability"] for entries in one.values() for entry in entries] for one in found]
    np.testing.assert_allclose(*probabilities, rtol=1e-9)
    # Answers, not fallbacks: most are a few words of the context.
    texts = json.loads((tmp_path / "ours" / "predictions.json").read_text())
    assert len(texts) == 60
    assert np.median([len(text.split()) for text in texts.values()]) < 10


@pytest.mark.parametrize("version", [1, 2])
def test_upstreams_way_of_decoding_gives_upstreams_answers(golden, vocab_dir, tmp_path, version):
    decoder = DecodingSettings(version_2_with_negative=version == 2)
    file = golden / f"squad_v{version}.json"
    tokenizer = BulkTokenizer(vocab_dir / "bert-base-uncased" / "vocab.txt")
    task = SpanTask(tokenizer, SpanSettings(128, 48, 24, decoder), {TEST: file})
    stored = np.load(golden / f"squad_v{version}_logits.npz")
    rows = iter(zip(stored["start_logits"], stored["end_logits"], strict=True))
    asked = [
        question._replace(outputs=[dict(zip(question.outputs[0], next(rows), strict=True)) for _ in question.windows])
        for question in ours.questions(task, None)
    ]
    decoding.write_predictions(as_upstream(task, asked), decoder, True, tmp_path)
    for name in ("predictions", "null_odds")[:version]:
        expected = json.loads((golden / f"squad_v{version}_{name}.json").read_text())
        found = json.loads((tmp_path / f"{name}.json").read_text())
        assert found == (expected if name == "predictions" else pytest.approx(expected))


def test_upstreams_way_of_making_records_gives_our_features(tmp_path):
    from benchmarks.upstream.protocol_buffers import record
    from benchmarks.upstream.records import inputs

    vocab = tmp_path / "vocab.txt"
    vocab.write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    featurizer = PairFeaturizer(BulkTokenizer(vocab), 128, ["0"], "single_label")
    words = random.Random(1).choices([*tiny.GOOD, *tiny.BAD], k=400)
    texts = [" ".join(words[:3]), " ".join(words[:90]), " ".join(words)]
    for example in [InputExample("", a, b) for a in texts for b in [None, *texts]]:
        ((expected,),) = featurizer.featurize([example])
        found = inputs(FullTokenizer(vocab), example)
        for name, values in found.items():
            assert len(values) == 128
            assert values == expected[name] + [0] * (128 - len(expected[name]))
        parsed = featurizer.spec.serialize(dict(found.items()))
        assert len(record(found)) == len(parsed)


ECHO = Benchmark(
    "training", "", (Side("ours", "tests.support.benchmark_sides"), Side("other", "tests.support.benchmark_sides"))
)


def test_rounds_alternate_between_processes_that_load_once(tmp_path):
    log = tmp_path / "training" / "order.txt"
    other = dataclasses.replace(ECHO.sides[1], options=(("name", "other"),))
    benchmark = dataclasses.replace(ECHO, sides=(ECHO.sides[0], other))
    versions: dict[str, str] = {}
    found = list(measure(benchmark, Settings(str(tmp_path), effort=Effort(rounds=2)), HERE, versions))
    assert log.read_text().split() == ["load-ours", "load-other", *["ours-a", "other-a", "ours-b"] * 2]
    assert [(one.case, one.side, one.round) for one in found[:3]] == [
        ("a", "ours", 1),
        ("a", "other", 1),
        ("b", "ours", 1),
    ]
    assert versions["ours python"] == sys.version.split()[0]


def test_sides_that_disagree_are_an_error(tmp_path):
    other = dataclasses.replace(ECHO.sides[1], options=(("name", "other"), ("digest", "y")))
    ours_side = dataclasses.replace(ECHO.sides[0], options=(("digest", "x"),))
    benchmark = dataclasses.replace(ECHO, sides=(ours_side, other))
    with pytest.raises(BertError) as caught:
        list(measure(benchmark, Settings(str(tmp_path)), HERE, {}))
    assert str(caught.value).startswith("training, a: ours and other computed different things; expected the same;")


def test_a_side_that_dies_says_its_last_line(tmp_path):
    worker = Worker(HERE.ours, "tests.support.benchmark_sides", Settings(str(tmp_path), options={"name": "dies"}))
    with pytest.raises(WorkerError) as caught:
        worker.ready()
    assert "tests.support.benchmark_sides ended with 1 (RuntimeError: out of paper)" in str(caught.value)
    assert "--work=FOLDER keeps its log" in str(caught.value)


def test_a_round_at_work_ends_with_the_benchmark_and_so_does_what_it_launched(tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom benchmarks.protocol import Settings\n"
        "from benchmarks.worker import Worker\n"
        "settings = Settings(sys.argv[1], options={'name': 'sleeps'})\n"
        "worker = Worker(Path(sys.executable), 'tests.support.benchmark_sides', settings)\n"
        "worker.ready()\nworker.run('a')\n"
    )
    held = tmp_path / "held"
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT) as parent:
        wait_until(lambda: held.exists() and not is_free(held))
        parent.kill()
    wait_until(lambda: is_free(held))


def is_free(path: Path) -> bool:
    """Whether no process holds a lock on a file."""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_command_that_fails_says_its_last_line(tmp_path):
    assert commands.python(["-c", "print('x')"], tmp_path).output == "x\n"
    with pytest.raises(WorkerError, match=r"ended with 3, expected 0: no ink$"):
        commands.python(["-c", "import sys; print('no ink', file=sys.stderr); sys.exit(3)"], tmp_path)


def run(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only=exprt"], "error: --only: no benchmark 'exprt'; closest 'export'; run with --help for all"),
        (["--data_dir=/no/where"], "error: --data_dir=/no/where: no such file or folder; check the path"),
        (["--rounds=0"], "error: --rounds=0: expected at least 1"),
        (["--only=records"], "error: nothing to measure: give --data_dir, --squad_file or --corpus (run with --help)"),
    ],
)
def test_what_a_user_can_mend_is_one_line(capsys, arguments, message):
    code, error = run(capsys, *arguments)
    assert code == 2
    assert error.splitlines()[-1] == message


def test_what_is_left_out_is_said(caplog, tmp_path):
    caplog.set_level("INFO")
    settings = Settings("", weights="w", data_dir="d")
    names = [benchmark.name for benchmark in command.chosen("training,squad_decoding", settings)]
    assert names == ["training"]
    assert "squad_decoding is left out: it needs --squad_file" in caplog.text
    assert "machine" not in [benchmark.name for benchmark in command.chosen("", settings, quick=True)]
    known = {benchmark.name: benchmark for benchmark in command.BENCHMARKS}
    found = command.environments([known["training"]], peer="nowhere/bin/python", engines="nowhere/bin/python")
    assert (found.peer, found.engines) == (None, None)
    assert "left out: peer, whose nowhere/bin/python is not there; scripts/setup peer installs it" in caplog.text
    assert "scripts/setup engines" not in caplog.text
    command.environments([known["engines"]], peer="nowhere/bin/python", engines="nowhere/bin/python")
    assert "left out: engines, whose nowhere/bin/python is not there; scripts/setup engines inst" in caplog.text


def test_help_lists_every_benchmark():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert all(f"  {benchmark.name} " in done.stdout for benchmark in BENCHMARKS)


@functools.cache
def imported(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {
        name
        for node in nodes
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def test_f1_of_the_tagging_benchmark_is_that_of_the_project():
    rng = random.Random(1)
    tags = ["O", "O", "B-x", "I-x", "B-y", "I-y"]
    gold, predicted = ([rng.choices(tags, k=9) for _ in range(30)] for _ in range(2))
    expected = entity_scores(list(zip(gold, predicted, strict=True)))["eval_f1"]
    assert tagging.entity_f1(gold, predicted) == pytest.approx(100 * expected)
    assert 0 < expected < 1


def test_every_side_is_a_module():
    for benchmark in BENCHMARKS:
        for side in benchmark.sides:
            path = ROOT / f"{side.module.replace('.', '/')}.py"
            functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
            assert "load" in functions, path


def test_what_the_peers_environment_imports_is_there():
    """That environment has neither TensorFlow nor the requirements of the other packages."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"benchmarks", "common"}
    reached, waiting = set(), sorted((ROOT / "benchmarks" / "peer").glob("*.py"))
    while waiting:
        path = waiting.pop()
        reached.add(path)
        assert not {name.split(".")[0] for name in imported(path)} & {*packages, "tensorflow"}, path
        found = (ROOT / f"{name.replace('.', '/')}.py" for name in imported(path) if name.startswith("benchmarks."))
        waiting += [other for other in found if other.is_file() and other not in reached]
    assert ROOT / "benchmarks" / "protocol.py" in reached
