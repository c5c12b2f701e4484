"""Pretraining end to end, through the scripts' own mains: records, training, evaluation, fine-tuning, guessing."""

import dataclasses
import json
import math
import re
import sys

import pytest
import tensorflow as tf

import create_pretraining_data
import run_classifier
import run_pretraining
from common.errors import DataError
from tests.support import tiny

SHAPE = ["--max_seq_length=24", "--max_predictions_per_seq=4"]
TRAINING = [
    "--train_batch_size=16", "--learning_rate=5e-3", "--num_train_steps=60", "--num_warmup_steps=6",
    "--log_every_n_steps=20",
]  # fmt: skip
UPSTREAMS_KEYS = {
    "global_step", "loss", "masked_lm_accuracy", "masked_lm_loss", "next_sentence_accuracy", "next_sentence_loss",
}  # fmt: skip


def results(folder):
    lines = (folder / "eval_results.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(lines)
    return {key: float(value) for key, value in (line.split(" = ") for line in lines)}


def json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def records(tmp_path_factory, tiny_model):
    """A folder with records of a small corpus: two training shards, held-out ones, and some without pairs."""
    folder = tmp_path_factory.mktemp("records")
    texts = [text for text, _ in tiny.rows(96)]
    for name, chosen in (("train", texts[:80]), ("dev", texts[80:])):
        documents = ["\n".join(chosen[start : start + 4]) for start in range(0, len(chosen), 4)]
        (folder / f"{name}.txt").write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    for name, source, more in (
        ("train", "train", ["--dupe_factor=4", "--num_shards=2"]),
        ("dev", "dev", ["--dupe_factor=2"]),
        ("alone", "dev", ["--no_nsp"]),
    ):
        create_pretraining_data.main(
            [
                "create_pretraining_data.py", *SHAPE, *more, f"--input_file={folder / source}.txt",
                f"--output_file={folder / name}.tf_record", f"--vocab_file={tiny_model / 'vocab.txt'}",
            ]
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model, records):
    """Pretraining that went on from an encoder without these heads."""
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    run_pretraining.main(
        [
            "run_pretraining.py", *SHAPE, *TRAINING, f"--input_file={records}/train.tf_record*",
            f"--eval_input_file={records}/dev.tf_record", f"--init_checkpoint={tiny_model}", "--do_train", "--do_eval",
            f"--output_dir={folder}",
        ]
    )  # fmt: skip
    return folder


def test_evaluation_has_upstreams_keys_and_perplexity(trained):
    scores = results(trained)
    assert set(scores) == UPSTREAMS_KEYS | {"perplexity"}
    assert scores["global_step"] == 60
    assert scores["perplexity"] == pytest.approx(math.exp(scores["masked_lm_loss"]), rel=1e-6)
    assert scores["masked_lm_loss"] < 3.0 < math.log(tiny.CONFIG["vocab_size"])
    assert scores["masked_lm_accuracy"] > 0.2


def test_run_directory_has_what_the_next_run_needs(trained, tiny_model):
    description = json.loads((trained / "run.json").read_text())
    assert description["identity"]["task"] == "pretraining"
    assert description["identity"]["next_sentence"] is True
    assert (trained / "vocab.txt").read_bytes() == (tiny_model / "vocab.txt").read_bytes()
    assert (trained / "bert_config.json").is_file()


def test_both_losses_are_reported_and_fall(trained):
    lines = [line for line in json_lines(trained / "metrics.jsonl") if line["event"] == "train"]
    assert [line["step"] for line in lines] == [1, 20, 40, 60]
    for line in lines:
        assert line["loss"] == pytest.approx(line["masked_lm_loss"] + line["next_sentence_loss"], rel=1e-4)
    assert lines[-1]["masked_lm_loss"] < lines[0]["masked_lm_loss"] - 0.5
    assert lines[1]["learning_rate"] == pytest.approx(5e-3 * (1 - 20 / 60), rel=1e-4)


def test_golden_evaluation(golden, tmp_path, run_script):
    expected = json.loads((golden / "pretrain_eval.json").read_text())
    flags = [
        "--max_seq_length=64", "--max_predictions_per_seq=10", f"--init_checkpoint={golden / 'tiny'}", "--do_eval",
        f"--input_file={golden / 'pretrain.tf_record'}", "--max_eval_steps=2", f"--output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    code, _, err = run_script(run_pretraining.main, *flags)
    assert code == 0, err
    scores = results(tmp_path / "run")
    for name in ("masked_lm_loss", "next_sentence_loss"):
        assert scores[name] == pytest.approx(expected[f"first16_{name}"], rel=1e-4)
    assert set(scores) == UPSTREAMS_KEYS | {"perplexity"}
    assert not (tmp_path / "run" / "vocab.txt").exists()  # none was there, and none was needed


def assert_fine_tunes(checkpoint, data, output_dir, run_script):
    """A classifier learns from what pretraining left, with nothing but the flags of any checkpoint."""
    code, _, err = run_script(
        run_classifier.main, "--task_name=table", "--text_a=text", "--label=label", f"--data_dir={data}",
        f"--init_checkpoint={checkpoint}", "--do_train", "--do_eval", "--max_seq_length=24", "--train_batch_size=8",
        "--learning_rate=2e-3", "--num_train_epochs=15", f"--output_dir={output_dir}",
    )  # fmt: skip
    assert code == 0, err
    assert re.search(r"restored (\d+)/(\d+); new: output_weights, output_bias; unused: cls/predictions/\* \(5\)", err)
    assert results(output_dir)["eval_accuracy"] >= 0.8


@pytest.mark.slow
def test_result_fine_tunes_at_the_first_try(trained, table_dir, tmp_path, run_script):
    assert_fine_tunes(trained, table_dir, tmp_path / "run", run_script)


def test_finished_run_says_so_and_more_steps_continue(trained, records, run_script, tmp_path):
    flags = [*SHAPE, *TRAINING, f"--input_file={records}/train.tf_record*", "--do_train", f"--output_dir={trained}"]
    code, _, err = run_script(run_pretraining.main, *flags)
    assert code == 0
    assert "is trained: 60 of 60 steps are done. Nothing to train; raise --num_train_steps to go on" in err


@pytest.mark.slow
def test_masked_pieces_alone_from_scratch_by_lamb_without_a_vocabulary(records, tiny_model, tmp_path, run_script):
    flags = [
        *SHAPE, "--train_batch_size=4", "--num_train_steps=3", "--num_warmup_steps=1", "--do_train", "--do_eval",
        f"--bert_config_file={tiny_model / 'bert_config.json'}", f"--input_file={records}/alone.tf_record",
        f"--output_dir={tmp_path / 'run'}", "--optimizer=lamb",
    ]  # fmt: skip
    code, _, err = run_script(run_pretraining.main, *flags)
    assert code == 0, err
    assert set(results(tmp_path / "run")) == {
        "global_step", "loss", "masked_lm_accuracy", "masked_lm_loss", "perplexity",
    }  # fmt: skip
    assert json.loads((tmp_path / "run" / "run.json").read_text())["identity"]["next_sentence"] is False
    other = [flag.replace("/alone.", "/dev.") for flag in flags]
    code, _, err = run_script(run_pretraining.main, *other)
    assert code == 2
    assert "next_sentence: false there, true now" in err
    (tmp_path / "line.txt").write_text("the [MASK]\n")
    code, _, err = run_script(
        run_pretraining.main, "--do_predict", f"--predict_file={tmp_path}/line.txt", f"--output_dir={tmp_path / 'run'}"
    )
    assert code == 2
    assert "--vocab_file is missing" in err


def test_fill_mask_gives_pieces_and_probabilities_for_each_mask(trained, tmp_path, run_script):
    texts = ["the [MASK] was good", "The [MASK] was [MASK] .", "[MASK]"]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    flags = ["--do_predict", f"--predict_file={tmp_path / 'texts.txt'}", f"--output_dir={trained}", "--top_k=3"]
    code, _, err = run_script(run_pretraining.main, *flags, "--predict_batch_size=2")
    assert code == 0, err
    answers = json_lines(trained / "predictions.jsonl")
    assert [answer["text"] for answer in answers] == texts
    assert [len(answer["masks"]) for answer in answers] == [1, 2, 1]
    for answer in answers:
        for mask in answer["masks"]:
            probabilities = [guess["probability"] for guess in mask]
            assert len(mask) == 3
            assert probabilities == sorted(probabilities, reverse=True)
            assert 0 < sum(probabilities) <= 1
            assert {guess["piece"] for guess in mask} < set(tiny.TOKENS)


def test_export_answers_raw_text_as_the_estimator_does(trained, tmp_path, run_script):
    from serving.predictor import Predictor

    texts = ["the [MASK] was good", "plain", "The[MASK]was [MASK]. [MASK]", "good " * 40 + "[MASK]"]
    path = tmp_path / "texts.txt"
    path.write_text(f"{texts[0]}\n{texts[2]}\n", encoding="utf-8")
    code, _, err = run_script(
        run_pretraining.main, "--do_export", "--do_predict", f"--predict_file={path}", f"--output_dir={trained}"
    )
    assert code == 0, err
    (export,) = (trained / "export").iterdir()
    with Predictor(export) as predictor:
        answers = predictor.answer([{"text": text} for text in texts])
    with Predictor(trained / "export_ids" / export.name) as predictor:  # tokenizes in this process
        assert predictor.answer([{"text": text} for text in texts]) == answers
        with pytest.raises(DataError, match="row 1: text is blank; give a text"):
            predictor.answer([{"text": "plain"}, {"text": ""}])
    assert [len(answer["masks"]) for answer in answers] == [1, 0, 3, 0]
    for answer, same in zip([answers[0], answers[2]], json_lines(trained / "predictions.jsonl"), strict=True):
        for mask, other in zip(answer["masks"], same["masks"], strict=True):
            assert [guess["piece"] for guess in mask] == [guess["piece"] for guess in other]
            expected = pytest.approx([guess["probability"] for guess in other], rel=1e-4)
            assert [guess["probability"] for guess in mask] == expected


def answers_of_standard_input(run_script, monkeypatch, path, *flags):
    with path.open(encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        code, out, err = run_script(run_pretraining.main, "--predict_file=-", *flags)
    return code, [json.loads(line) for line in out.splitlines()], err


def test_fill_mask_of_standard_input_is_that_of_a_file(trained, tmp_path, run_script, monkeypatch):
    path = tmp_path / "texts.txt"
    path.write_text("the [MASK] was good\nthe food was [MASK] !\n", encoding="utf-8")
    flags = ["--do_predict", f"--output_dir={trained}"]
    code, _, err = run_script(run_pretraining.main, *flags, f"--predict_file={path}")
    assert code == 0, err
    from_file = json_lines(trained / "predictions.jsonl")
    code, answers, err = answers_of_standard_input(run_script, monkeypatch, path, *flags)
    assert code == 0, err
    assert [answer["text"] for answer in answers] == [answer["text"] for answer in from_file]
    for answer, same in zip(answers, from_file, strict=True):
        for mask, other in zip(answer["masks"], same["masks"], strict=True):
            assert [g["piece"] for g in mask] == [g["piece"] for g in other]
            assert [g["probability"] for g in mask] == pytest.approx([g["probability"] for g in other], rel=1e-4)


def test_scores_are_what_fill_mask_says_of_each_piece(trained, tmp_path, run_script, monkeypatch):
    pieces = ["the", "film", "was", "good"]
    path = tmp_path / "texts.txt"
    path.write_text("the film was good\n\nlovely\n", encoding="utf-8")
    code, _, err = run_script(run_pretraining.main, "--do_score", f"--predict_file={path}", f"--output_dir={trained}")
    assert code == 0, err
    scores = json_lines(trained / "scores.jsonl")
    assert [score["pieces"] for score in scores] == [4, 0, 1]
    assert scores[1]["pseudo_perplexity"] is None
    for score in (scores[0], scores[2]):
        mean = score["pseudo_log_likelihood"] / score["pieces"]
        assert score["pseudo_perplexity"] == pytest.approx(math.exp(-mean))
    masked = [" ".join([*pieces[:i], "[MASK]", *pieces[i + 1 :]]) for i in range(len(pieces))]
    path.write_text("\n".join(masked) + "\n", encoding="utf-8")
    code, answers, err = answers_of_standard_input(
        run_script, monkeypatch, path, "--do_predict", f"--output_dir={trained}", "--top_k=40"
    )
    assert code == 0, err
    found = [
        next(guess["probability"] for guess in answer["masks"][0] if guess["piece"] == piece)
        for piece, answer in zip(pieces, answers, strict=True)
    ]
    assert sum(map(math.log, found)) == pytest.approx(scores[0]["pseudo_log_likelihood"], rel=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fine [MASK]\nno place to guess\n", "texts.txt:2: no [MASK] in 'no place to guess'"),
        ("[MASK] " * 5, "texts.txt:1: 5 times [MASK], but --max_predictions_per_seq=4; shorten the line or raise"),
        ("good " * 40 + "[MASK]", "texts.txt:1: [MASK] number 1 is piece 42 of the line, but --max_seq_length=24"),
    ],
    ids=["no mask", "many", "far"],
)
def test_line_that_cannot_be_guessed_in_is_named(trained, tmp_path, run_script, text, message):
    (tmp_path / "texts.txt").write_text(text, encoding="utf-8")
    code, _, err = run_script(
        run_pretraining.main, "--do_predict", f"--predict_file={tmp_path / 'texts.txt'}", f"--output_dir={trained}"
    )
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_untrained_head_does_not_guess(tiny_model, tmp_path, run_script):
    (tmp_path / "texts.txt").write_text("the [MASK]\n")
    code, _, err = run_script(
        run_pretraining.main, *SHAPE, "--do_predict", f"--predict_file={tmp_path / 'texts.txt'}",
        f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 2
    assert "has no masked-language-model head" in err
    assert not (tmp_path / "run").exists()


def test_records_that_do_not_fit_are_refused_before_anything_is_written(records, tiny_model, tmp_path, run_script):
    flags = [f"--init_checkpoint={tiny_model}", "--do_train", f"--output_dir={tmp_path / 'run'}"]
    code, _, err = run_script(
        run_pretraining.main, *flags, "--max_seq_length=32", f"--input_file={records}/dev.tf_record"
    )
    assert code == 2
    assert "is made for max_seq_length 24, but --max_seq_length=32; give --max_seq_length=24" in err
    both = f"--input_file={records}/dev.tf_record,{records}/alone.tf_record"
    code, _, err = run_script(run_pretraining.main, *flags, *SHAPE, both)
    assert code == 2
    assert "has next_sentence_labels and" in err
    assert not (tmp_path / "run").exists()


def test_damaged_records_are_named_and_kept(records, tiny_model, tmp_path, run_script):
    path = tmp_path / "others.tf_record"  # without a manifest, as google-research/bert leaves them
    whole = (records / "train.tf_record-00000-of-00002").read_bytes() * 8
    path.write_bytes(whole[:-200] + b"\xff" + whole[-199:])
    flags = [
        *SHAPE, f"--init_checkpoint={tiny_model}", "--do_eval", f"--input_file={path}", f"--output_dir={tmp_path}/run"
    ]  # fmt: skip
    code, _, err = run_script(run_pretraining.main, *flags, "--max_eval_steps=1000")
    assert code == 2
    assert "others.tf_record: corrupt record (" in err
    assert "copy the records or make them again" in err
    assert path.is_file()
    path.write_bytes(whole[:-100])
    code, _, err = run_script(run_pretraining.main, *flags)
    assert code == 2
    assert "ends within record" in err


def test_records_of_other_types_far_into_a_file_are_one_line(records, tiny_model, tmp_path, run_script):
    whole = [record.numpy() for record in tf.data.TFRecordDataset(str(records / "train.tf_record-00000-of-00002"))]
    changed = tf.train.Example.FromString(whole[0])
    del changed.features.feature["next_sentence_labels"].int64_list.value[:]
    changed.features.feature["next_sentence_labels"].float_list.value.append(1.0)
    path = tmp_path / "mixed.tf_record"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (whole * 9)[:208] + [changed.SerializeToString()] * 8:
            writer.write(record)
    code, _, err = run_script(
        run_pretraining.main, *SHAPE, "--do_train", f"--input_file={path}", f"--init_checkpoint={tiny_model}",
        f"--output_dir={tmp_path / 'run'}", "--train_batch_size=216", "--num_train_steps=2",
    )  # fmt: skip
    assert code == 2, err
    assert err.splitlines()[-1].startswith(
        f"error: {path}: a record is not as the task reads it (Name: <unknown>, Key: next_sentence_labels, Index: "
    )
    assert err.splitlines()[-1].endswith("; make the records again with the flags of this run")


def test_counting_without_a_manifest_agrees_with_it(records, tmp_path):
    from processors.records import record_sets as record_sets

    written = records / "dev.tf_record"
    copy = tmp_path / "copy.tf_record"
    copy.write_bytes(written.read_bytes())
    assert record_sets.count_records(copy) == record_sets.count_records(written) > 4


def test_validate_only_reports_and_writes_nothing(records, tiny_model, tmp_path, run_script):
    code, out, err = run_script(
        run_pretraining.main, *SHAPE, "--validate_only", f"--input_file={records}/train.tf_record*",
        f"--eval_input_file={records}/dev.tf_record", f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path}/run",
    )  # fmt: skip
    assert code == 0, err
    assert re.search(r"train: \d+ records in 2 files", out)
    assert "next-sentence labels: in every record" in out
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_evaluation_under_tpu_estimator_has_the_same_numbers(trained, records, tmp_path):
    from estimator.config import DeviceSettings, ExperimentSettings, TrainingSettings
    from estimator.experiment import Experiment
    from modeling.config import BertConfig
    from modeling.settings import ModelSettings
    from tasks.base import DEV
    from tasks.pretraining.task import PretrainingSettings, PretrainingTask

    config = BertConfig.from_json_file(trained / "bert_config.json")
    task = PretrainingTask(config, PretrainingSettings(24, 4), {DEV: [records / "dev.tf_record"]})
    settings = ExperimentSettings(
        tmp_path / "run", ModelSettings(config, str(trained)), TrainingSettings(eval_batch_size=3, max_eval_steps=100)
    )
    (tmp_path / "run").mkdir()
    plain = Experiment(task, settings).evaluate()
    devices = DeviceSettings(tpu_estimator_on_cpu=True)
    static = Experiment(task, dataclasses.replace(settings, devices=devices)).evaluate()
    assert static.keys() == plain.keys()
    for name in plain.keys() - {"loss"}:  # a mean over batches, the last of which is filled up here
        assert static[name] == pytest.approx(plain[name], rel=1e-4), name


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--do_train", "--output_dir=x"], "--input_file is missing"),
        (["--do_predict", "--output_dir=x"], "--predict_file is missing"),
        (["--do_eval", "--output_dir=x", "--input_file=a", "--predict_file=b"], "--predict_file needs --do_predict or"),
        (["--do_predict", "--do_score", "--predict_file=-", "--output_dir=x"], "can be read only once; give"),
        (["--output_dir=x"], "nothing to do: give at least one of --do_train"),
        (["--do_train", "--input_file=/no/such*", "--output_dir=x"], "--input_file: '/no/such*' matches no file"),
    ],
    ids=["no input", "no text", "no use for text", "read twice", "nothing", "no match"],
)
def test_flags_that_do_not_go_together(run_script, flags, message):
    code, _, err = run_script(run_pretraining.main, *flags)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
