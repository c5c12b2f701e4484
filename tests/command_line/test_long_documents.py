"""Documents in windows through the classifier: trained, evaluated, predicted, exported, served; what is refused."""

import json
import random
import shutil
from pathlib import Path

import pytest

import run_classifier
from common.run_directory import RunDirectory
from estimator.config import DeviceSettings
from serving import worker
from serving.engines import TENSORFLOW
from serving.predictor import Predictor
from tests.command_line.test_families import FAMILIES
from tests.support import tiny
from tests.support.families import model_folder

LENGTH = 12
TABLE = ["--task_name=table", "--text_a=text", "--label=label", f"--max_seq_length={LENGTH}", "--train_batch_size=8"]
WINDOWS = [*TABLE, "--truncation=windows"]


def document(index: int, before: int = 14, after: int = 12) -> tuple[str, str]:
    """A text with the word that gives its label away behind the first `LENGTH` tokens."""
    rng = random.Random(index)
    label, words = (("pos", tiny.GOOD), ("neg", tiny.BAD))[index % 2]
    head = rng.choices(tiny.FILLERS, k=rng.randint(before, before * 2))
    tail = rng.choices(tiny.FILLERS, k=rng.randint(0, after))
    return " ".join([*head, rng.choice(words), *tail]), label


def write_documents(folder: Path, train: int = 48, dev: int = 9) -> Path:
    """train.tsv, dev.tsv; test.tsv with a document of more windows than are computed at once."""
    folder.mkdir(parents=True)
    for name, count in (("train", train), ("dev", dev)):
        rows = "".join("\t".join(document(index)) + "\n" for index in range(count))
        (folder / f"{name}.tsv").write_text(f"text\tlabel\n{rows}", encoding="utf-8")
    texts = [document(0)[0], document(1, before=4000, after=10)[0], "good film", document(2)[0]]
    (folder / "test.tsv").write_text("text\n" + "".join(f"{text}\n" for text in texts), encoding="utf-8")
    return folder


def answers(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]


def assert_same_answers(found: list[dict], expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if "probabilities" not in other:
            assert one["label"] == pytest.approx(other["label"], abs=1e-5)
            continue
        assert one["label"] == other["label"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model):
    """One run that does everything; the tests of this module look at what it left."""
    folder = tmp_path_factory.mktemp("documents")
    run_classifier.main(
        [
            "run_classifier.py", *WINDOWS, f"--data_dir={write_documents(folder / 'data')}", "--num_train_epochs=2",
            f"--init_checkpoint={tiny_model}", "--learning_rate=2e-3", f"--output_dir={folder / 'run'}", "--do_train",
            "--do_eval", "--do_predict", "--do_export",
        ]
    )  # fmt: skip
    return folder


def test_a_document_is_one_example_and_has_one_answer(trained):
    run = trained / "run"
    manifests = [json.loads(path.read_text()) for path in sorted(run.glob("*.tf_record.manifest.json"))]
    assert sorted((one["num_examples"], one["num_records"]) for one in manifests) == [(4, 4), (9, 9), (48, 48)]
    assert json.loads((run / "eval_results.json").read_text())["global_step"] == 12
    texts = (trained / "data" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert [answer["text_a"] for answer in answers(run)] == texts
    assert len({answer["probabilities"]["pos"] for answer in answers(run)}) == 4


def test_the_export_and_the_server_answer_documents_of_any_length_as_the_run_does(trained):
    export = RunDirectory(trained / "run").latest_export()
    settings = json.loads((export / "assets" / "tokenizer.json").read_text())
    assert (settings["truncation"], settings["doc_stride"], settings["max_windows"]) == ("windows", None, None)
    model = worker._load({"documents": export}, TENSORFLOW)["documents"]
    description = worker._described(model, export)
    expected = answers(trained / "run")
    rows = [{"text_a": answer["text_a"]} for answer in expected]
    assert_same_answers(model.answer(rows, 4), expected)
    assert description.tokens(rows[1]) > 4000 > 100 > description.tokens(rows[2])


@pytest.mark.slow
def test_an_export_on_ids_takes_windows_and_their_lengths(trained):
    run = trained / "run"
    (export,) = (run / "export_ids").iterdir()
    expected = answers(run)
    with Predictor(export) as predictor:
        assert_same_answers(predictor.answer([{"text_a": expected[0]["text_a"]}]), expected[:1])


def test_a_later_command_reads_the_same_windows_and_static_shapes_change_no_score(trained, run_script, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    expected = json.loads((run / "eval_results.json").read_text())
    static = ["--pad_to_max_length", "--max_windows=9"]
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}", *static)
    assert code == 0, err
    assert "--truncation=windows" in err
    assert json.loads((run / "eval_results.json").read_text()) == pytest.approx(expected, abs=1e-5)
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}", "--use_xla", "--max_windows=2")
    assert code == 2
    assert err.splitlines()[-1].endswith(
        "windows of --max_seq_length=12, expected at most --max_windows=2 (shapes are static); raise it, shorten the "
        "text or leave the row out"
    )
    assert "example dev-" in err.splitlines()[-1]


@pytest.mark.parametrize("flag", ["--doc_stride=3", "--pool_windows=max", "--truncation=head"])
def test_another_reading_of_documents_is_refused_in_the_same_directory(trained, run_script, flag):
    run = trained / "run"
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={run}", flag)
    assert code == 2
    assert err.count("\n") == 1
    assert f"{flag} contradicts --output_dir={run}" in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--doc_stride=4"], "--doc_stride describes windows, which --truncation=head does not make"),
        (["--max_windows=4", "--truncation=tail"], "--max_windows describes windows, which --truncation=tail does not"),
        (["--pool_windows=mean"], "--pool_windows describes windows, which --truncation=head does not make"),
        (["--truncation=windows", "--doc_stride=0"], "--doc_stride=0: windows would never advance; expected 1 to 10"),
        (["--truncation=windows", "--doc_stride=11"], "--doc_stride=11 is larger than the 10 tokens of text in a"),
        (["--truncation=windows", "--max_windows=0"], "--max_windows=0"),
        (["--truncation=windows", "--pad_to_max_length"], "--max_windows is missing: --use_tpu, --use_xla and --pad"),
        (["--truncation=windows", "--do_export", "--export_onnx"], "--export_onnx: windows are computed in a loop"),
        (["--truncation=windows", "--pool_windows=sum"], "--pool_windows=sum"),
    ],
)
def test_flags_that_cannot_be_are_one_line_and_nothing_is_written(
    trained, tiny_model, run_script, tmp_path, flags, message
):
    code, _, err = run_script(
        run_classifier.main, *TABLE, f"--data_dir={trained / 'data'}", f"--init_checkpoint={tiny_model}", *flags,
        "--do_train", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 2
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_the_report_says_what_is_cut_with_windows_and_without(trained, run_script, tiny_model):
    reports = []
    for bound in ([], ["--max_windows=2"]):
        code, out, err = run_script(
            run_classifier.main, *WINDOWS, f"--data_dir={trained / 'data'}", f"--init_checkpoint={tiny_model}",
            "--validate_only", *bound,
        )  # fmt: skip
        assert code == 0, err
        reports.append(out[out.index("dev: 9 rows") :].splitlines()[:7])
    for report in reports:
        assert any(line.endswith("9 rows (100.0%) are longer than 12") for line in report)
        assert any(line.startswith("  windows a row: 50% ") for line in report)
    whole, cut = ([line for line in report if "pieces that are cut" in line] for report in reports)
    assert whole[0].startswith("  pieces that are cut: 0.0% with windows, ")
    assert not whole[0].endswith(" 0.0% without")
    assert any(line.endswith("; 0 rows (0.0%) lose pieces") for line in reports[0])
    assert any(line.endswith("rows (100.0%) lose pieces") or "rows (8" in line for line in reports[1])
    assert whole != cut


def a_run(folder: Path, model: Path, data: Path, run_script, *flags: str) -> list[dict]:
    """Trains a little, evaluates, predicts, exports; the export answers as the run does."""
    run = folder / "run"
    code, _, err = run_script(
        run_classifier.main, "--task_name=table", f"--data_dir={data}", f"--init_checkpoint={model}", "--label=label",
        "--text_a=text", "--max_seq_length=12", "--train_batch_size=8", "--num_train_epochs=1", "--truncation=windows",
        f"--output_dir={run}", "--do_train", "--do_eval", "--do_predict", "--do_export", *flags,
    )  # fmt: skip
    assert code == 0, err
    expected = answers(run)
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        rows = [{name: answer[name] for name in ("text_a", "text_b") if answer[name]} for answer in expected]
        assert_same_answers(predictor.answer(rows), expected)
    return expected


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_every_family_reads_documents(family, tmp_path, run_script):
    model = model_folder(family, tmp_path / "model", "ForSequenceClassification")
    data = write_documents(tmp_path / "data", train=16)
    a_run(tmp_path, model, data, run_script)


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ["--doc_stride=3", "--pool_windows=max", "--gradient_accumulation_steps=4"],
        ["--pool_windows=first", "--max_windows=3", "--class_weights=balanced", "--label_smoothing=0.1"],
        ["--eval_every_n_steps=2", "--keep_best_checkpoint", "--deterministic", "--recompute"],
        ["--export_frozen_graph"],
    ],
    ids=" ".join,
)
def test_it_goes_with_other_flags(flags, tmp_path, run_script, tiny_model):
    a_run(tmp_path, tiny_model, write_documents(tmp_path / "data", train=32), run_script, *flags)


@pytest.mark.slow
@pytest.mark.parametrize("static", ["--use_xla", "--iterations_per_loop=1", "--pad_to_max_length"])
def test_static_shapes_train_and_answer(static, tmp_path, run_script, tiny_model, monkeypatch):
    if static == "--iterations_per_loop=1":  # a flag of TPUs, whose estimator runs without one
        monkeypatch.setattr(DeviceSettings, "uses_tpu_estimator", True)
    data = write_documents(tmp_path / "data", train=32)
    (data / "test.tsv").write_text(f"text\n{document(3)[0]}\ngood film\n", encoding="utf-8")
    a_run(tmp_path, tiny_model, data, run_script, static, "--max_windows=9")


@pytest.mark.slow
@pytest.mark.parametrize("problem_type", ["single_label", "multi_label", "regression"])
def test_pairs_of_every_problem_type(problem_type, tmp_path, run_script, tiny_model):
    """Half of the pairs have the document as their second text."""
    data = tmp_path / "data"
    data.mkdir()
    several, numbers = {"pos": "pos,long", "neg": ""}, {"pos": "1.5", "neg": "-2"}
    of_label = {"single_label": {}, "multi_label": several, "regression": numbers}
    short = "the film here"
    for name in ("train", "dev", "test"):
        rows = [document(index) for index in range(24)]
        texts = [(text, short) if number % 4 < 2 else (short, text) for number, (text, _) in enumerate(rows)]
        labels = [of_label[problem_type].get(label, label) for _, label in rows]
        lines = ["\t".join([*pair, label]) for pair, label in zip(texts, labels, strict=True)]
        (data / f"{name}.tsv").write_text("\n".join(["text\tother\tlabel", *lines]) + "\n", encoding="utf-8")
    found = a_run(tmp_path, tiny_model, data, run_script, "--text_b=other", f"--problem_type={problem_type}")
    assert len(found) == 24
