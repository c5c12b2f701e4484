"""Devices: one builder of run configurations and estimators for CPU, GPUs and TPU."""

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import config as tensorflow_config

from common import command_records, onednn
from common.cluster.base import ALONE, Cluster
from common.errors import FlagError
from common.files import without_pattern
from estimator import machines
from estimator.config import DeviceSettings, TrainingSettings
from modeling.settings import FP16

log = logging.getLogger(__name__)

PLAIN = DeviceSettings()


class _DeprecationFilter(logging.Filter):
    """Drops TensorFlow's advice to leave `tf.estimator`: it is the reason for pinning TensorFlow 2.15."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "deprecated and will be removed" not in record.getMessage()


def quiet_tensorflow() -> None:
    """Lowers TensorFlow's log to warnings, without its deprecation notices of the API this project is built on."""
    logger = tf.get_logger()
    logger.setLevel(logging.WARNING)
    if not any(isinstance(one, _DeprecationFilter) for one in logger.filters):
        logger.addFilter(_DeprecationFilter())
    # What TensorFlow's own iterator over several devices does in graph mode.
    warnings.filterwarnings("ignore", "To make it possible to preserve tf.data options", UserWarning)


def num_gpus(device: DeviceSettings = PLAIN) -> int:
    """GPUs of this machine that a run trains on."""
    there = len(tf.config.list_physical_devices("GPU"))
    return there if device.num_gpus is None else min(device.num_gpus, there)


def check_gpus(device: DeviceSettings) -> None:
    """Checks that there are the GPUs that were asked for.

    Raises:
      FlagError: there are not.
    """
    there = len(tf.config.list_physical_devices("GPU"))
    advice = "check nvidia-smi, and CUDA and cuDNN as BUILD.md names them"
    if device.require_gpu and there == 0:
        raise FlagError(f"--require_gpu: TensorFlow sees no GPU; {advice}, or leave the flag out to run on the CPU")
    if device.num_gpus is not None and device.num_gpus > there:
        raise FlagError(f"--num_gpus={device.num_gpus}: TensorFlow sees {there}; {advice}, or give a smaller number")


def banner(device: DeviceSettings = PLAIN) -> str:
    """One line that answers "is my GPU used?": devices, threads, versions, precision."""
    gpus = tf.config.list_physical_devices("GPU")
    used = num_gpus(device)
    some = f"{used} of {len(gpus)}" if used < len(gpus) else used
    where = f"{some} GPU(s)" if gpus else "CPU only (TensorFlow sees no GPU)"
    how = f"{device.precision}{', XLA' if device.use_xla else ''}"
    if device.precision == FP16 and not gpus:
        how += " (a CPU emulates float16, at a hundredth of its speed: --precision=bf16 is the one to use)"
    kernels = " with oneDNN" if onednn.state() == onednn.ON else ""
    return f"TensorFlow {tf.__version__}{kernels} on {where}, {os.cpu_count()} CPU threads, {how}"


def description(device: DeviceSettings, cluster: Cluster = ALONE) -> dict[str, Any]:
    """What a run computes on, as plain JSON: the parts that decide the last bits of its results."""
    gpus = tf.config.list_physical_devices("GPU")[: num_gpus(device)]
    return {
        "banner": banner(device),
        "gpus": [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus],
        "onednn": onednn.state(),
        "machines": len(cluster.member.names) if cluster.member else 1,
        **command_records.machine(),
    }


@contextlib.contextmanager
def deterministic_operations(is_on: bool) -> Iterator[None]:
    """Keeps TensorFlow to operations that give the same bits in every run of a block, whose graphs all need a seed."""
    if not is_on:
        yield
        return
    tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        tensorflow_config.disable_op_determinism()


def build_estimator(
    model_fn: Callable[..., Any],
    output_dir: Path,
    training: TrainingSettings,
    devices: DeviceSettings,
    cluster: Cluster = ALONE,
) -> Any:
    """A `tf.estimator.Estimator`, or a TPUEstimator, over `model_fn` with its checkpoints in `output_dir`.

    Args:
      cluster: the machines that train together; within `machines.session_mode` where they are several.
    """
    if devices.uses_tpu_estimator:
        return _build_tpu_estimator(model_fn, output_dir, training, devices)
    compiled = {"session_config": compiling_session()} if devices.use_xla else {}
    strategy, target = _strategy(num_gpus(devices)), ""
    if cluster.member is not None:
        strategy, server = machines.strategy_and_server(cluster.member, num_gpus(devices))
        target = server.target
    config = machines.RunConfig(
        target,
        model_dir=without_pattern(output_dir),
        train_distribute=strategy,
        eval_distribute=None,
        save_checkpoints_steps=None,  # `hooks.checkpoints` saves
        **compiled,
        # A follower's would go to the chief's folder.
        **{**_common(training), **({} if cluster.is_chief else {"log_step_count_steps": None})},
    )
    return tf.estimator.Estimator(model_fn, config=config, params={})


def plain_session() -> tf.compat.v1.ConfigProto:
    """Session configuration of an Estimator that is given none."""
    config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    rewriting = config.graph_options.rewrite_options
    rewriting.meta_optimizer_iterations = type(rewriting).ONE
    return config


def compiling_session() -> tf.compat.v1.ConfigProto:
    """Session configuration that compiles by XLA whatever it can of a graph.

    For the CPU, `--tf_xla_cpu_global_jit` has to be in the environment variable `TF_XLA_FLAGS`, too, before TensorFlow
    looks at its devices: see `command_line.app.let_xla_compile_for_cpu`.
    """
    config = plain_session()
    config.graph_options.optimizer_options.global_jit_level = tf.compat.v1.OptimizerOptions.ON_1
    return config


def _common(training: TrainingSettings) -> dict[str, Any]:
    return {
        "tf_random_seed": training.seed,
        "keep_checkpoint_max": training.keep_checkpoint_max or None,
        # Our own reports write what TensorBoard shows; the graph as text takes seconds and nothing reads it.
        "save_summary_steps": None,
        "checkpoint_save_graph_def": False,
        # Our own progress reports take the place of the estimator's lines.
        "log_step_count_steps": training.log_every_n_steps,
    }


def _strategy(gpus: int) -> tf.distribute.Strategy | None:
    """Several GPUs of this machine, or none."""
    return tf.distribute.MirroredStrategy([f"/gpu:{index}" for index in range(gpus)]) if gpus > 1 else None


def _build_tpu_estimator(
    model_fn: Callable[..., Any], output_dir: Path, training: TrainingSettings, devices: DeviceSettings
) -> Any:
    tpu = tf.compat.v1.estimator.tpu
    cluster = None
    if devices.use_tpu and devices.tpu_name:
        cluster = tf.distribute.cluster_resolver.TPUClusterResolver(
            devices.tpu_name, zone=devices.tpu_zone, project=devices.gcp_project
        )
    config = tpu.RunConfig(
        cluster=cluster,
        master=devices.master,
        model_dir=without_pattern(output_dir),
        tpu_config=tpu.TPUConfig(
            iterations_per_loop=devices.iterations_per_loop,
            num_shards=devices.num_tpu_cores,
            per_host_input_for_training=tpu.InputPipelineConfig.PER_HOST_V2,
        ),
        save_checkpoints_steps=training.save_checkpoints_steps,
        **_common(training),
    )
    return tpu.TPUEstimator(
        model_fn=model_fn,
        config=config,
        use_tpu=devices.use_tpu,
        train_batch_size=training.train_batch_size,
        eval_batch_size=training.eval_batch_size,
        predict_batch_size=training.predict_batch_size,
        export_to_tpu=False,
    )
