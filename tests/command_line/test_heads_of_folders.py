"""Fine-tuned folders of Hugging Face answer, are scored and are exported at once, under their own label names."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import convert_checkpoint
import run_classifier
import run_ner
import run_pretraining
import run_squad
from common.run_directory import RunDirectory
from modeling.checkpoints.label_order import LabelOrder
from modeling.families import registry
from processors.entities.tags import scheme_of_labels
from serving.predictor import Predictor
from tests.command_line.test_families import GUESSING, each, write_questions
from tests.support import tiny, tiny_sentences
from tests.support.families import model_folder

BERT, SECOND, _, ROBERTA, *_ = registry.FAMILIES
TAGS = ["O", "B-good", "I-good", "B-bad", "I-bad"]
LABELS = ["no", "maybe", "yes"]
TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=12"]


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def succeeds(run_script):
    """Runs a script that must not speak of weights that nothing has trained; gives the log."""

    def run(script, *flags) -> str:
        code, _, err = run_script(script.main, *flags)
        assert code == 0, err
        assert "untrained" not in err
        return err

    return run


def set_labels(folder: Path, labels: list[str]) -> None:
    """Changes what the folder calls its labels."""
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}
    (folder / "config.json").write_text(json.dumps(config))


@each(registry.FAMILIES)
def test_words_are_tagged_at_once(family, tmp_path, succeeds, run_script, monkeypatch):
    source = model_folder(family, tmp_path / "model", "ForTokenClassification")
    data, run = tiny_sentences.write_splits(tmp_path / "data"), tmp_path / "run"
    flags = [f"--data_dir={data}", f"--init_checkpoint={source}", "--max_seq_length=12"]
    log = succeeds(run_ner, *flags, f"--output_dir={run}", "--do_eval", "--do_predict", "--do_export")
    assert (run / "labels.txt").read_text().split() == TAGS
    assert "another order" not in log
    rows = lines_of(run / "predictions.jsonl")
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        answers = predictor.answer([{"text": row["text"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert answer["tags"] == row["tags"]
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-4)
    # The same labels in another order: of the types that the user lists.
    other = tmp_path / "other"
    log = succeeds(run_ner, *flags, f"--output_dir={other}", "--labels=bad,good", "--do_eval", "--do_predict")
    assert "has the labels in another order (O, B-good, I-good, B-bad, I-bad); they are matched by name" in log
    for row, moved in zip(rows, lines_of(other / "predictions.jsonl"), strict=True):
        assert moved["tags"] == row["tags"]
        assert moved["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    scores = [json.loads((folder / "eval_results.json").read_text()) for folder in (run, other)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    # Standard input alone, from a new directory; then with other weights, from the directory that has an export by now.
    (tmp_path / "in.txt").write_text(f"{rows[0]['text']}\n")
    second = shutil.copytree(source, tmp_path / "second")
    weights = load_file(second / "model.safetensors")
    weights["classifier.bias"] = np.array([0, 50, 0, 0, 0], np.float32)  # so that every word begins something good
    save_file(weights, second / "model.safetensors", {"format": "pt"})
    expected = {source: rows[0]["tags"], second: ["B-good"] * len(rows[0]["tags"])}
    for folder, tags in expected.items():
        with (tmp_path / "in.txt").open() as stream:
            monkeypatch.setattr("sys.stdin", stream)
            given = [f"--init_checkpoint={folder}", "--max_seq_length=12", f"--output_dir={tmp_path / 'in'}"]
            code, out, err = run_script(run_ner.main, *given, "--do_predict", "--predict_file=-")
        assert code == 0, err
        assert json.loads(out)["tags"] == tags


@each(registry.FAMILIES)
def test_texts_are_classified_at_once(family, tmp_path, succeeds):
    source = model_folder(family, tmp_path / "model", "ForSequenceClassification")
    texts = [text for text, _ in tiny.rows(30)]
    rows = "".join(f"{text}\t{LABELS[index % 3]}\n" for index, text in enumerate(texts))
    for name in ("dev", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    flags = [*TABLE, f"--data_dir={tmp_path}", f"--init_checkpoint={source}"]
    run, other = tmp_path / "run", tmp_path / "other"
    succeeds(run_classifier, *flags, f"--output_dir={run}", "--do_eval", "--do_predict", "--do_export")
    assert (run / "labels.txt").read_text().split() == LABELS
    answers = lines_of(run / "predictions.jsonl")
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        exported = predictor.answer([{"text_a": text} for text in texts])
    log = succeeds(
        run_classifier, *flags, f"--output_dir={other}", "--labels=yes,no,maybe", "--do_eval", "--do_predict"
    )
    assert "has the labels in another order (no, maybe, yes); they are matched by name" in log
    moved = lines_of(other / "predictions.jsonl")
    for one, two, three in zip(answers, exported, moved, strict=True):
        assert one["label"] == two["label"] == three["label"]
        assert two["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)
        assert three["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)
    scores = [json.loads((folder / "eval_results.json").read_text()) for folder in (run, other)]
    assert scores[0]["eval_accuracy"] == scores[1]["eval_accuracy"] > 0


@each(registry.FAMILIES)
def test_questions_are_answered_at_once(family, tmp_path, succeeds):
    source = model_folder(family, tmp_path / "model", "ForQuestionAnswering")
    file, run = write_questions(tmp_path / "questions.json"), tmp_path / "run"
    succeeds(
        run_squad, f"--init_checkpoint={source}", f"--predict_file={file}", f"--output_dir={run}",
        "--max_seq_length=14", "--doc_stride=3", "--max_query_length=4", "--do_predict", "--do_eval", "--do_export",
    )  # fmt: skip
    (paragraph,) = json.loads(file.read_text())["data"][0]["paragraphs"]
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        found = predictor.answer(
            [{"question": one["question"], "context": paragraph["context"]} for one in paragraph["qas"]]
        )
    expected = json.loads((run / "predictions.json").read_text())
    assert [one["answer"] for one in found] == [expected[one["id"]] for one in paragraph["qas"]]


@pytest.mark.slow
@each(GUESSING, ROBERTA)
def test_masks_are_filled_at_once(family, tmp_path, succeeds):
    source, run = model_folder(family, tmp_path / "model", "ForMaskedLM"), tmp_path / "run"
    text = tmp_path / "texts.txt"
    text.write_text(f"the film was {family.special_tokens.mask} here\n")
    succeeds(
        run_pretraining, f"--init_checkpoint={source}", f"--output_dir={run}", "--max_seq_length=14",
        "--max_predictions_per_seq=3", f"--predict_file={text}", "--do_predict", "--do_export", "--top_k=3",
    )  # fmt: skip
    (row,) = lines_of(run / "predictions.jsonl")
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        (answer,) = predictor.answer([{"text": text.read_text().strip()}])
    pieces = [[one["piece"] for one in made["masks"][0]] for made in (row, answer)]
    assert pieces[0] == pieces[1]


@pytest.mark.slow
def test_a_field_of_ours_is_matched_by_name_too(tmp_path, succeeds, tiny_model):
    """Transitions between tags move along both of their axes."""
    data = tiny_sentences.write_splits(tmp_path / "data")
    flags = [f"--data_dir={data}", "--max_seq_length=16", "--use_crf"]
    run, other = tmp_path / "run", tmp_path / "other"
    succeeds(
        run_ner, *flags, f"--init_checkpoint={tiny_model}", f"--output_dir={run}", "--do_train", "--do_predict",
        "--learning_rate=5e-3", "--crf_learning_rate=5e-2", "--num_train_epochs=2", "--train_batch_size=8",
    )  # fmt: skip
    log = succeeds(
        run_ner, *flags, f"--init_checkpoint={run}", f"--output_dir={other}", "--labels=good,bad", "--do_predict"
    )
    assert "has the labels in another order (O, B-bad, I-bad, B-good, I-good)" in log
    for one, two in zip(*(lines_of(folder / "predictions.jsonl") for folder in (run, other)), strict=True):
        assert one["tags"] == two["tags"]
        assert one["probabilities"] == pytest.approx(two["probabilities"], abs=1e-5)


def test_a_head_of_another_kind_is_no_head_of_this_task(tmp_path, run_script):
    source = model_folder(BERT, tmp_path / "model", "ForSequenceClassification")
    data = tiny_sentences.write_splits(tmp_path / "data")
    flags = [f"--data_dir={data}", f"--init_checkpoint={source}", f"--output_dir={tmp_path / 'run'}"]
    code, _, err = run_script(run_ner.main, *flags, "--max_seq_length=12", "--do_export")
    assert code == 2
    assert (
        "has no trained checkpoint; run with --do_train first, or give an --init_checkpoint that has a trained head"
        in err
    )
    assert not (tmp_path / "run").exists()


def test_labels_in_a_scheme_that_is_not_computed_are_refused(tmp_path, run_script):
    source = model_folder(BERT, tmp_path / "model", "ForTokenClassification")
    set_labels(source, ["O", "B-good", "I-good", "E-good", "S-good"])
    data = tiny_sentences.write_splits(tmp_path / "data")
    flags = [f"--data_dir={data}", f"--init_checkpoint={source}", f"--output_dir={tmp_path / 'run'}"]
    code, _, err = run_script(run_ner.main, *flags, "--max_seq_length=12", "--do_predict")
    assert code == 2
    assert "its labels begin with B, E, I, S, expected the B and I of IOB2; train it further (--do_train)" in err
    assert not (tmp_path / "run").exists()


def test_labels_move_along_their_axes():
    order = LabelOrder((2, 0, 1), {"crf/transitions": (0, 1), "crf/start": (0,)})
    between = np.arange(9).reshape(3, 3)
    assert order.arranged("crf/transitions", between).tolist() == [[8, 6, 7], [2, 0, 1], [5, 3, 4]]
    assert order.arranged("crf/start", between[:, 0]).tolist() == [6, 0, 3]
    assert order.moves("crf/start")
    assert not order.moves("bert/pooler/dense/bias")
    assert not LabelOrder((), order.axes).moves("crf/start")


@pytest.mark.parametrize(
    ("labels", "scheme"),
    [(TAGS, "iob2"), (["NOUN", "VERB", "O"], "none"), (["B", "I", "O"], "iob2"), (["B-x", "I-x"], "none")],
)
def test_scheme_of_labels(labels, scheme):
    assert scheme_of_labels(labels) == scheme


@pytest.mark.slow
def test_a_tagger_of_ours_becomes_a_folder_of_hugging_face(tmp_path, run_script):
    """With its labels; what it has and that class has not is named."""
    source = model_folder(BERT, tmp_path / "model", "ForTokenClassification")
    data = tiny_sentences.write_splits(tmp_path / "data")
    code, _, err = run_script(
        run_ner.main, f"--data_dir={data}", f"--init_checkpoint={source}", f"--output_dir={tmp_path / 'run'}",
        "--max_seq_length=12", "--train_batch_size=50", "--num_train_epochs=1", "--use_crf", "--do_train",
    )  # fmt: skip
    assert code == 0, err
    code, out, err = run_script(
        convert_checkpoint.main, f"--init_checkpoint={tmp_path / 'run'}", f"--output_dir={tmp_path / 'hf'}",
        "--format=huggingface",
    )  # fmt: skip
    assert code == 0, err
    assert "no counterpart, kept under their own names: crf/end, crf/start, crf/transitions; no model reads them" in out
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["architectures"] == ["BertForTokenClassification"]
    assert list(config["id2label"].values()) == ["O", "B-bad", "I-bad", "B-good", "I-good"]
    assert "problem_type" not in config
    shutil.rmtree(tmp_path / "run")
    code, _, err = run_script(
        run_ner.main, f"--data_dir={data}", f"--init_checkpoint={tmp_path / 'hf'}", f"--output_dir={tmp_path / 'run'}",
        "--max_seq_length=12", "--do_eval", "--use_crf",
    )  # fmt: skip
    assert code == 0, err
    assert np.isfinite(json.loads((tmp_path / "run" / "eval_results.json").read_text())["eval_accuracy"])
