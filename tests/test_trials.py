"""Trials on real data with real weights, minutes each on two cores: what the README says of them is what they print.

scripts/test -m slow tests/test_trials.py
"""

import json
import random
import re
from pathlib import Path

import pytest

import create_pretraining_data
import run_classifier
import run_pretraining
import run_squad
from common.run_directory import RunDirectory
from serving.predictor import Predictor
from tests.support import long_documents

pytestmark = pytest.mark.slow

DEV_SHARE = 6  # one article in six is held out


def articles(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["data"]


def write_articles(path: Path, data: list[dict]) -> Path:
    path.write_text(json.dumps({"version": path.stem, "data": data}), encoding="utf-8")
    return path


def squad(minilm: Path, folder: Path, *arguments: str) -> dict[str, float]:
    files = {"init_checkpoint": "model.safetensors", "vocab_file": "vocab.txt", "bert_config_file": "config.json"}
    weights = [f"--{flag}={minilm / name}" for flag, name in files.items()]
    run_squad.main(["run_squad.py", *weights, "--do_eval", f"--output_dir={folder}", *arguments])
    return json.loads((folder / "eval_results.json").read_text())


TRAINING = ["--do_train", "--train_batch_size=8", "--learning_rate=1e-4", "--num_train_epochs=1"]


def test_squad_is_learnt_from_part_of_the_dev_articles(shared, minilm, tmp_path):
    data = articles(shared / "data" / "squad" / "dev-v1.1.json")
    random.Random(1).shuffle(data)
    held_out = round(len(data) / DEV_SHARE)
    dev = write_articles(tmp_path / "dev-1.json", data[:held_out])
    train = write_articles(tmp_path / "train-1.json", data[held_out:])
    before = squad(minilm, tmp_path / "untrained", f"--predict_file={dev}", "--max_eval_examples=400")
    files = [f"--train_file={train}", f"--predict_file={dev}"]
    after = squad(minilm, tmp_path / "run-1", *files, *TRAINING, "--max_train_examples=8000")
    print(f"\nSQuAD 1.1, held-out articles: untrained F1 {before['eval_f1']:.1f}, trained F1 {after['eval_f1']:.1f}")
    assert before["eval_f1"] < 15
    assert after["eval_f1"] > 55

    # Version 2 goes on from there, as MiniLM alone answers nothing after as many steps; the same articles are held out.
    titles = {article["title"] for article in data[:held_out]}
    data = articles(shared / "data" / "squad" / "cs224n-dev-v2.0.json")
    dev = write_articles(tmp_path / "dev-2.json", [one for one in data if one["title"] in titles])
    train = write_articles(tmp_path / "train-2.json", [one for one in data if one["title"] not in titles])
    files = [f"--train_file={train}", f"--predict_file={dev}", f"--init_checkpoint={tmp_path / 'run-1'}"]
    version_2 = ["--version_2_with_negative", "--tune_null_threshold"]
    after = squad(minilm, tmp_path / "run-2", *files, *TRAINING, *version_2)
    nothing_answered = 100.0 * after["eval_NoAns_total"] / after["eval_total"]
    print(f"SQuAD 2.0, held-out articles: F1 {after['eval_f1']:.1f}, nothing answered {nothing_answered:.1f}")
    assert after["eval_f1"] > nothing_answered + 2
    assert after["eval_HasAns_f1"] > 25


def sentences(path: Path) -> str:
    """WikiText as create_pretraining_data.py reads it: a sentence a line, a blank line between articles."""
    lines = []
    for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        if re.fullmatch(r"= [^=].*[^=] =", line):
            lines.append("")
        elif line and not line.startswith("="):
            whole = re.sub(r" @([-,.])@ ", r"\1", line).replace(" <unk>", "").replace("<unk> ", "")
            lines += re.split(r"(?<= [.?!]) (?=[A-Z\"])", whole)
    return "\n".join(lines) + "\n"


def test_pretraining_goes_on_with_wikitext_and_the_result_fine_tunes(shared, minilm, tmp_path):
    for part, passes in (("valid", 5), ("test", 1)):
        corpus, records = tmp_path / f"{part}.txt", tmp_path / f"{part}.tf_record"
        corpus.write_text(sentences(shared / "data" / "wikitext-2" / f"{part}.txt"), encoding="utf-8")
        create_pretraining_data.main(
            [
                "create_pretraining_data.py", f"--input_file={corpus}", f"--output_file={records}",
                f"--vocab_file={minilm / 'vocab.txt'}", "--no_nsp", f"--dupe_factor={passes}", "--nopad_records",
            ]
        )  # fmt: skip
    run = tmp_path / "run"
    run_pretraining.main(
        [
            "run_pretraining.py", f"--input_file={tmp_path / 'valid.tf_record'}",
            f"--eval_input_file={tmp_path / 'test.tf_record'}", f"--init_checkpoint={minilm}", "--do_train",
            "--train_batch_size=16", "--learning_rate=3e-4", "--num_train_steps=400", "--num_warmup_steps=40",
            "--eval_every_n_steps=50", "--max_eval_steps=40", f"--output_dir={run}",
        ]
    )  # fmt: skip
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [event["value"] for event in events if event["event"] == "periodic_eval"]
    print(f"\nWikiText-2, held-out loss every 50 steps: {', '.join(f'{loss:.3f}' for loss in losses)}")
    assert losses == sorted(losses, reverse=True)
    assert (run / "learning_curve.png").is_file()
    run_classifier.main(
        [
            "run_classifier.py", "--task_name=sst-2", f"--data_dir={shared / 'data' / 'glue' / 'SST-2'}",
            f"--init_checkpoint={run}", "--do_train", "--do_eval", "--max_train_examples=2000", "--learning_rate=1e-4",
            "--num_train_epochs=2", f"--output_dir={tmp_path / 'classifier'}",
        ]
    )  # fmt: skip
    scores = json.loads((tmp_path / "classifier" / "eval_results.json").read_text())
    print(f"SST-2 from it, 2,000 rows, 2 epochs: accuracy {scores['eval_accuracy']:.3f}")
    assert scores["eval_accuracy"] > 0.7


DOCUMENTS = [
    "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=128", "--train_batch_size=8",
    "--learning_rate=3e-4", "--freeze=embeddings,0-3", "--num_train_epochs=1", "--do_train", "--do_eval",
]  # fmt: skip


def read_documents(minilm: Path, data: Path, run: Path, *flags: str) -> float:
    """Accuracy on the dev split after one epoch."""
    folders = [f"--data_dir={data}", f"--init_checkpoint={minilm}", f"--output_dir={run}"]
    run_classifier.main(["run_classifier.py", *DOCUMENTS, *folders, *flags])
    return json.loads((run / "eval_results.json").read_text())["eval_accuracy"]


def accuracy_of_export(run: Path, data: Path, names: tuple[str, ...]) -> float:
    """Share of the dev documents that the newest export gives their label."""
    _, *rows = (line.split("\t") for line in (data / "dev.tsv").read_text(encoding="utf-8").splitlines())
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        answers = predictor.answer([dict(zip(names, row, strict=False)) for row in rows])
    return sum(answer["label"] == row[-1] for answer, row in zip(answers, rows, strict=True)) / len(rows)


def test_what_is_behind_the_first_tokens_of_a_document_is_read_in_windows(shared, minilm, tmp_path):
    single, pairs = (
        long_documents.write(shared / "data" / "wikitext-2", tmp_path / name, pairs)
        for name, pairs in (("single", False), ("pairs", True))
    )
    head = read_documents(minilm, single, tmp_path / "head", "--max_train_examples=16")
    assert head == 0.5  # of two documents with the same head it gets one right
    windows = ["--truncation=windows", "--do_export"]
    alone = read_documents(minilm, single, tmp_path / "alone", *windows, "--doc_stride=110")
    both = read_documents(minilm, pairs, tmp_path / "both", *windows, "--doc_stride=90", "--text_b=other")
    served = accuracy_of_export(tmp_path / "alone", single, ("text_a",))
    served_pairs = accuracy_of_export(tmp_path / "both", pairs, ("text_a", "text_b"))
    print(f"\nWikiText documents: head {head:.3f}, windows {alone:.3f}, of pairs {both:.3f}")
    assert min(alone, both) >= 0.9
    assert (served, served_pairs) == pytest.approx((alone, both), abs=1e-6)
