"""A run as `--init_checkpoint` whose head reads the encoder otherwise than this run's."""

import json

import pytest

import convert_checkpoint
import run_classifier
from modeling.config import BertConfig
from modeling.families.bert import FAMILY
from modeling.reading import Reading, is_recorded, recorded_text
from tests.command_line.test_run_classifier import TABLE
from tests.support import tiny
from tests.support.families import model_folder

LABELS = ["no", "maybe", "yes"]


@pytest.fixture
def source(tmp_path):
    """Weights with a head, and a `run.json` that says what it reads."""
    folder = model_folder(FAMILY, tmp_path / "model")
    (folder / "run.json").write_text(json.dumps({"identity": {"labels": LABELS}, "flags": {"pooling": "mean"}}))
    return folder


@pytest.fixture
def command(source, tmp_path):
    rows = "".join(f"{text}\t{LABELS[index % 3]}\n" for index, (text, _) in enumerate(tiny.rows(6)))
    for name in ("train", "dev"):
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    return [
        *TABLE, f"--data_dir={tmp_path}", f"--init_checkpoint={source}", f"--labels={','.join(LABELS)}",
        f"--output_dir={tmp_path / 'run'}", "--max_seq_length=12", "--do_eval", "--train_batch_size=3",
        "--num_train_epochs=1",
    ]  # fmt: skip


TOLD = "was trained with --pooling=mean, and its head goes on with --pooling=pooled"


def test_answers_are_refused_and_training_is_warned(command, source, run_script, tmp_path):
    code, _, err = run_script(run_classifier.main, *command)
    assert code == 2
    assert f"error: --init_checkpoint={source} {TOLD}, which it was not trained on; give --pooling=mean\n" in err
    assert not (tmp_path / "run").exists()
    code, _, err = run_script(run_classifier.main, *command, "--do_train")
    assert (code, f"{TOLD}: what one learned need not suit the other; give --pooling=mean" in err) == (0, True)


def test_the_same_reading_is_not_spoken_of(command, run_script):
    code, _, err = run_script(run_classifier.main, *command, "--pooling=mean")
    assert (code, "was trained with --pooling" in err) == (0, False)


@pytest.mark.slow
def test_a_new_head_reads_what_it_likes(command, run_script):
    code, _, err = run_script(run_classifier.main, *command, "--labels=no,maybe,yes,never")
    assert (code, "was trained with --pooling" in err) == (0, False)


def test_a_checkpoint_that_cannot_say_it_is_not_written(source, run_script, tmp_path):
    given = [f"--init_checkpoint={source}", f"--output_dir={tmp_path / 'made'}", "--format=tensorflow"]
    code, _, err = run_script(convert_checkpoint.main, *given)
    assert (code, "trained with --pooling=mean, which no file of this format says; serve its export" in err) == (
        2,
        True,
    )
    assert not (tmp_path / "made").exists()


def test_recorded_flags_are_compared_as_they_are_meant():
    config = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 2})
    assert is_recorded(Reading(), {}, config)
    assert is_recorded(Reading(pooling="cls", concat_layers=(0, 1)), {"pooling": "cls", "concat_layers": "0-1"}, config)
    assert not is_recorded(Reading(pooling="cls", concat_layers=(1,)), {"pooling": "cls", "concat_layers": 5}, config)
    assert not is_recorded(Reading(mix="free", mixed=(0, 1)), {"layer_mix": "free", "mix_layers": "1"}, config)
    assert recorded_text({"layer_mix": "free", "mix_layers": "1", "head_width": 8}) == "--layer_mix=free --mix_layers=1"
