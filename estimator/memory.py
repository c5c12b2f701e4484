"""How much memory a run took, and what to do when it was too much."""

import contextlib
import errno
import logging
import os
import resource
import sys
from collections.abc import Iterator

import tensorflow as tf

from common.errors import BertError
from estimator.config import TrainingSettings
from estimator.hooks.metrics_log import MetricsLog

log = logging.getLogger(__name__)


def peak_memory() -> dict[str, float]:
    """Most memory in use at once since the process began, in MiB, by where it is: `host_mib`, `gpu_0_mib` ..."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"host_mib": used / (2**20 if sys.platform == "darwin" else 2**10)}
    for index, _ in enumerate(tf.config.list_physical_devices("GPU")):
        try:
            found[f"gpu_{index}_mib"] = tf.config.experimental.get_memory_info(f"GPU:{index}")["peak"] / 2**20
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            # A trained model is worth more than the number; the host's is there all the same.
            log.warning("peak memory of GPU %d is not known: %s", index, error)
    return {name: round(value, 1) for name, value in found.items()}


@contextlib.contextmanager
def advice(training: TrainingSettings) -> Iterator[None]:
    """Turns TensorFlow's lack of memory at a training step into one line that says which flags to give.

    Raises:
      BertError: the memory did not suffice.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        reason = out_of_memory(error)
        if reason is None:
            raise
        raise BertError(f"training: out of memory ({reason}); try {', '.join(smaller(training))}") from error


def out_of_memory(error: tf.errors.ResourceExhaustedError) -> str | None:
    """The line of an error that says what could not be allocated; None where something else, a disk say, is full."""
    lines = str(error.message).splitlines()
    if full_disk(error):  # whose message ends with TensorFlow's hint about OOM all the same
        return None
    return next((line.strip() for line in lines if "OOM" in line or "alloc" in line), None)


def full_disk(error: tf.errors.ResourceExhaustedError) -> str | None:
    """The line of an error that says which file found no space; None where it is memory that is exhausted."""
    signs = [os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT)]
    return next((line.strip() for line in str(error.message).splitlines() if line.strip().endswith(tuple(signs))), None)


def smaller(training: TrainingSettings) -> list[str]:
    """Flags that lower the memory of training, those that change no result first."""
    rows, steps = training.train_batch_size, training.gradient_accumulation_steps
    found = []
    if rows % (steps * 2) == 0:
        found.append(f"--gradient_accumulation_steps={steps * 2} (the same updates)")
    if not training.recompute:
        found.append("--recompute (the same updates, slower)")
    if rows // 2 >= steps and rows // 2 % steps == 0:
        found.append(f"--train_batch_size={rows // 2}")
    return [*found, "a smaller --max_seq_length"]


def report(metrics: MetricsLog) -> None:
    """Logs the peak memory, and writes a line of metrics."""
    peak = peak_memory()
    shown = (f"{name.removesuffix('_mib')} {mib:,.0f} MiB" for name, mib in peak.items())
    log.info("peak memory: %s", ", ".join(shown))
    metrics.write("memory", peak)
