"""What is measured: a declaration for each benchmark."""

import dataclasses
from typing import Any

OURS, PEER, ENGINES = "ours", "peer", "engines"
ENVIRONMENTS = (PEER, ENGINES)
"""Environments besides that of this project; each side in one is a module of the package of its name."""


TRANSFER_WAYS = ("all", "adapters", "lora", "head", "mix")
"""What of a model is trained."""


@dataclasses.dataclass(frozen=True)
class Side:
    """One way to do the work of a benchmark.

    Args:
      name: in the table.
      module: of a worker.
      options: handed to the module, as pairs of name and value.
    """

    name: str
    module: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def environment(self) -> str:
        """Which it runs in: that of this project, of the peer, or of other engines."""
        return next((name for name in ENVIRONMENTS if self.module.startswith(f"benchmarks.{name}.")), OURS)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """Something to measure.

    Args:
      name: for `--only`.
      what: a line for `--help`.
      sides: ours first, then what it is compared with.
      needs: flags that must be given.
      more_is_better: whether values are rates rather than times or sizes.
      in_quick: whether `--quick` runs it unasked: nothing that takes minutes however little a round is, or half a
        minute to say what another says as well.
    """

    name: str
    what: str
    sides: tuple[Side, ...]
    needs: tuple[str, ...] = ("weights", "data_dir")
    more_is_better: bool = True
    in_quick: bool = True


def _sides(name: str, *others: str) -> tuple[Side, ...]:
    known = {
        "peer": Side("peer", f"benchmarks.peer.{name}"),
        "peer, sorted": Side("peer, sorted", f"benchmarks.peer.{name}", (("sorted", True),)),
        "upstream": Side("upstream's way", f"benchmarks.upstream.{name}"),
    }
    return (Side(OURS, f"benchmarks.ours.{name}"), *(known[other] for other in others))


BENCHMARKS = (
    Benchmark("training", "warm steps on MRPC, batch 32, AdamW, dropout", _sides("training", "peer")),
    Benchmark("evaluation", "the MRPC dev set", _sides("evaluation", "peer", "peer, sorted"), in_quick=False),
    Benchmark("prediction", "the MRPC test set", _sides("prediction", "peer", "peer, sorted")),
    Benchmark("tokenization", "texts to ids, rows to model inputs", _sides("tokenization", "peer", "upstream")),
    Benchmark("records", "a text file to records on disk", _sides("records", "peer", "upstream")),
    Benchmark(
        "squad_decoding", "logits to answer files", _sides("squad_decoding", "upstream"), ("weights", "squad_file")
    ),
    Benchmark("export", "latency from raw text to answer", _sides("export", "peer"), more_is_better=False),
    Benchmark(
        "engines",
        "latency from raw text to answer, ONNX files in float32 and int8",
        (
            Side(OURS, "benchmarks.ours.engines"),
            Side("ONNX Runtime", "benchmarks.engines.onnx_runtime", (("engine", "onnx_runtime"),)),
            Side("OpenVINO", "benchmarks.engines.openvino", (("engine", "openvino"),)),
            Side("CTranslate2", "benchmarks.engines.ctranslate"),
        ),
        more_is_better=False,
        in_quick=False,
    ),
    Benchmark(
        "startup", "launch to help, error, first step", _sides("startup", "peer"), more_is_better=False, in_quick=False
    ),
    Benchmark(
        "memory", "peak resident memory of training", _sides("memory", "peer"), more_is_better=False, in_quick=False
    ),
    Benchmark(
        "tagging",
        "entities after equal steps, a seed a round: F1, speed",
        _sides("tagging", "peer"),
        ("weights", "tagged_dir"),
        in_quick=False,
    ),
    Benchmark(
        "writing",
        "paraphrases after equal steps, a seed a round: BLEU, speed",
        _sides("writing", "peer"),
        in_quick=False,
    ),
    Benchmark(
        "transfer",
        "all of the encoder trained, adapters, LoRA, a head, a mix of layers; a seed a round: score, sizes",
        tuple(Side(way, "benchmarks.ours.transfer", (("way", way),)) for way in TRANSFER_WAYS),
        more_is_better=False,
        in_quick=False,
    ),
    Benchmark("machine", "share of the machine's matrix-product rate", _sides("machine"), in_quick=False),
    Benchmark(
        "pretraining_data",
        "create_pretraining_data.py on one core",
        _sides("pretraining_data", "upstream"),
        ("weights", "corpus"),
        more_is_better=False,
        in_quick=False,
    ),
)
