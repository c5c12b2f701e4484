"""Where the graph runs, and how it computes."""

from typing import Any

from command_line.flags.declaration import Flag, Group, Scope, default_of
from common import onednn
from common.cluster.machines import PATIENCE
from estimator.config import DeviceSettings
from modeling.settings import BF16, FLOAT32, FP16


def _default(field: str) -> Any:
    return default_of(DeviceSettings, field)


DEVICES = Group(
    "Devices",
    (
        Flag(
            "precision",
            (FLOAT32, BF16, FP16),
            _default("precision"),
            "Type of the matrix products: bf16 on devices that have bfloat16, fp16 with a dynamic loss scale. Weights, "
            "optimizer, checkpoints and exports are float32.",
            Scope.FREE,
            is_main=True,
        ),
        Flag(
            "use_xla",
            bool,
            _default("use_xla"),
            "Compile the graph with XLA; every row is padded to --max_seq_length. A TPU always does so.",
            Scope.FREE,
        ),
        Flag("num_gpus", int, _default("num_gpus"), "GPUs to train on. Without it, all of this machine.", Scope.FREE,
             minimum=1),
        Flag("require_gpu", bool, _default("require_gpu"), "Stop where TensorFlow sees no GPU, rather than run on the "
             "CPU.", Scope.FREE),
        Flag(
            "pad_to_max_length",
            bool,
            _default("pad_to_max_length"),
            "Pad every row to --max_seq_length, as XLA needs; slower elsewhere.",
            Scope.FREE,
        ),
        Flag(
            "onednn",
            onednn.CHOICES,
            onednn.AUTO,
            "oneDNN's kernels in TensorFlow, which round otherwise than its own. With auto a processor with AVX2 has "
            "them, unless TF_ENABLE_ONEDNN_OPTS is set; later commands take what the first one had.",
            Scope.REMEMBERED,
        ),
        Flag("num_workers", int, None, "Processes that convert text to records. Without it, all cores for more than "
             "8 MiB of data, else 1.", Scope.FREE, minimum=1),
        Flag(
            "cluster_timeout",
            float,
            PATIENCE,
            "Seconds in which every machine of the cluster that TF_CONFIG describes must have come.",
            Scope.FREE,
            minimum=1.0,
        ),
        Flag("use_tpu", bool, _default("use_tpu"), "Run on a TPU.", Scope.FREE),
        Flag("tpu_name", str, _default("tpu_name"), "Name or grpc:// address of the TPU.", Scope.FREE),
        Flag("tpu_zone", str, _default("tpu_zone"), "Zone of the TPU.", Scope.FREE),
        Flag("gcp_project", str, _default("gcp_project"), "Cloud project of the TPU.", Scope.FREE),
        Flag("master", str, _default("master"), "TensorFlow master URL.", Scope.FREE),
        Flag("num_tpu_cores", int, _default("num_tpu_cores"), "TPU cores.", Scope.FREE, minimum=1),
        Flag(
            "iterations_per_loop",
            int,
            _default("iterations_per_loop"),
            "Updates on a TPU between two returns to the host.",
            Scope.FREE,
            minimum=1,
        ),
    ),
)  # fmt: skip

BEAM = Group(
    "Apache Beam",
    (
        Flag(
            "runner",
            str,
            None,
            "With --do_predict: compute as an Apache Beam pipeline on this runner (DirectRunner, FlinkRunner, ... or "
            "module.Class); the answers are the same. It needs apache-beam, and paths that every worker sees.",
            Scope.FREE,
        ),
        Flag(
            "beam_options",
            str,
            "",
            "Flags for Beam, as in '--direct_num_workers=4 --direct_running_mode=multi_processing'.",
            Scope.FREE,
        ),
    ),
)
