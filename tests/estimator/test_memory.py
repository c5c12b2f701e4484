"""The memory a run took is reported, and too little of it names the flags that need less."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from common.errors import BertError
from estimator import memory
from estimator.config import TrainingSettings
from estimator.failures import one_line_errors
from processors.records.record_sets import RecordSet


def allocate(count: int) -> np.ndarray:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        size = tf.compat.v1.placeholder(tf.int64, [])
        return session.run(tf.reduce_sum(tf.fill([size], 1.0)), {size: count})


@pytest.fixture(scope="module")
def exhausted():
    """TensorFlow's own error, which it takes ten seconds to give up for."""
    with pytest.raises(tf.errors.ResourceExhaustedError) as excinfo:
        allocate(2**46)
    return excinfo.value


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            TrainingSettings(train_batch_size=32),
            "--gradient_accumulation_steps=2 (the same updates), --recompute (the same updates, slower), "
            "--train_batch_size=16, a smaller --max_seq_length",
        ),
        (
            TrainingSettings(train_batch_size=24, gradient_accumulation_steps=8, recompute=True),
            "a smaller --max_seq_length",
        ),
        (
            TrainingSettings(train_batch_size=16, gradient_accumulation_steps=8, recompute=True),
            "--gradient_accumulation_steps=16 (the same updates), --train_batch_size=8, a smaller --max_seq_length",
        ),
    ],
)
def test_running_out_of_memory_names_flags_that_need_less(settings, expected, exhausted):
    with pytest.raises(BertError) as excinfo, memory.advice(settings):
        raise exhausted
    message = str(excinfo.value)
    assert message.startswith("training: out of memory (")
    assert "allocat" in message
    assert message.endswith(f"; try {expected}")
    assert "\n" not in message


def test_a_full_disk_is_no_lack_of_memory():
    # As TensorFlow words it, hint and all.
    hint = (
        "Hint: If you want to see a list of allocated tensors when OOM happens, add report_tensor_allocations_upon_oom"
    )
    message = f"Graph execution error:\n\nmodel.ckpt-5.data; No space left on device\n\t [[node save/SaveV2]]\n{hint}"
    full = tf.errors.ResourceExhaustedError(None, None, message)
    with pytest.raises(tf.errors.ResourceExhaustedError) as excinfo, memory.advice(TrainingSettings()):
        raise full
    assert excinfo.value is full
    with (
        pytest.raises(BertError) as excinfo,
        one_line_errors(RecordSet(Path("train.tf_record"), 1, 1, reused=False)),
        memory.advice(TrainingSettings()),
    ):
        raise full
    reason = "model.ckpt-5.data; No space left on device"
    assert str(excinfo.value) == f"the disk is full ({reason}); free disk space, then run the same command again"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's own count is read from /proc")
def test_peak_memory_is_what_the_kernel_counts():
    found = memory.peak_memory()["host_mib"]
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    assert found == pytest.approx(int(line.split()[1]) / 1024, rel=0.02)
