"""What a run is said to take before it begins."""

import dataclasses
import re

import pytest
import tensorflow as tf

import run_classifier
from estimator import forecast
from estimator.hooks.progress import clock
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from tests.support import tiny

BASE = BertConfig(vocab_size=30522, type_vocab_size=2)


@pytest.mark.parametrize("groups", [None, 1])
def test_parameters_are_those_of_the_encoder_but_for_small_ones(groups):
    config = BertConfig.from_dict({**tiny.CONFIG, "vocab_size": 5000, "num_hidden_layers": 4})
    with tf.Graph().as_default():
        BertModel(config, False, tf.zeros([1, 4], tf.int32))
        there = sum(variable.shape.num_elements() for variable in tf.compat.v1.trainable_variables())
    shared = dataclasses.replace(config, num_hidden_groups=groups)
    assert sum(forecast.parameters(config)) == pytest.approx(there, rel=0.01)
    assert (sum(forecast.parameters(shared)) < there / 1.05) == (groups == 1)


def test_bert_base_on_32_rows_of_128_tokens():
    """About 110 million weights; 6 operations a weight and token and a little for attention (2.1e12 in all)."""
    work = forecast.Work(BASE, 32, 128, 128, 10)
    assert sum(forecast.parameters(BASE)) == pytest.approx(109e6, rel=0.01)
    assert forecast.operations_per_step(work) == pytest.approx(2.2e12, rel=0.1)
    assert 4 < forecast.memory_bytes(work) / forecast.GIB < 6
    recomputed = dataclasses.replace(work, recompute=True)
    assert forecast.memory_bytes(recomputed) < 0.7 * forecast.memory_bytes(work)
    assert forecast.operations_per_step(recomputed) > forecast.operations_per_step(work)
    halves = dataclasses.replace(work, devices=2, micro_batches=2)
    assert forecast.memory_bytes(halves) < 0.6 * forecast.memory_bytes(work)
    assert forecast.line(halves, True, clock) == (
        "10 updates of 32 rows, 16 on each of 2 devices, in 2 parts, 128 tokens a row; about 3.0 GiB of memory of each "
        "GPU"
    )


def test_a_run_says_what_it_will_take(run_script, tiny_model, table_dir, tmp_path):
    code, _, err = run_script(
        run_classifier.main, "--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--do_train",
        "--train_batch_size=8", "--num_train_epochs=0.25", f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}",
        f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 0, err
    assert re.search(r"2 updates of 8 rows, \d+ tokens a row; about 0\.6 GiB of memory, 0:\d\d of training", err), err
