"""What a training run will take, said before it begins: batches, steps, memory, time."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from modeling.config import BertConfig

GIB = 2.0**30
PROBE_SIZE = 768
"""Side of the matrices whose product says how fast this machine multiplies."""
_SHARE = 0.5
"""How much of the speed of bare products a training step is taken to reach: an assumption, not a measurement."""
_BASE_BYTES = 0.55 * GIB
"""Of a process with TensorFlow that has done nothing yet."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What is to be computed.

    Args:
      config: of the encoder.
      rows: of one update, over all devices.
      tokens: real tokens of a row on average; the padded length where rows are padded.
      longest: tokens of the longest row.
      steps: updates that are left.
      devices: that share the rows.
      micro_batches: parts of a batch on each device.
      recompute: activations are computed again in the backward pass.
    """

    config: BertConfig
    rows: int
    tokens: float
    longest: int
    steps: int
    devices: int = 1
    micro_batches: int = 1
    recompute: bool = False


def parameters(config: BertConfig) -> tuple[int, int]:
    """Weights of the embeddings and of all layers together; layers that share weights count once for memory."""
    hidden, inner = config.hidden_size, config.intermediate_size
    layer = 4 * hidden * hidden + 2 * hidden * inner + 9 * hidden + inner
    tables = (config.vocab_size + config.max_position_embeddings + config.type_vocab_size) * config.embedding_width
    return tables, layer * (config.num_hidden_groups or config.num_hidden_layers)


def memory_bytes(work: Work) -> float:
    """Most memory at once, of the host on a CPU, of each GPU elsewhere: roughly.

    Weights, gradients and two slots in float32; of each layer what the backward pass reads: about 17 vectors a token,
    and three matrices of attention a head (arXiv:2205.05198, without its half precision).
    """
    config = work.config
    rows = work.rows / work.devices / work.micro_batches
    vectors = 17.0 * 4 * rows * work.tokens * config.hidden_size
    attention = 3.0 * 4 * rows * config.num_attention_heads * work.longest**2
    kept = 4.0 * rows * work.tokens * config.hidden_size * config.num_hidden_layers
    activations = kept + vectors + attention if work.recompute else (vectors + attention) * config.num_hidden_layers
    return 16.0 * sum(parameters(config)) + activations + _BASE_BYTES


def operations_per_step(work: Work) -> float:
    """Multiplications and additions of one update: forward, and twice as many backward."""
    config = work.config
    layers = parameters(config)[1]
    layers *= config.num_hidden_layers // (config.num_hidden_groups or config.num_hidden_layers)
    tokens = work.rows * work.tokens
    attention = 4.0 * tokens * work.longest * config.hidden_size * config.num_hidden_layers
    return (4.0 if work.recompute else 3.0) * (2.0 * tokens * layers + attention)


def products_per_second() -> float:
    """How many multiplications and additions a second this machine's CPU makes in a product of matrices."""
    matrix = np.ones((PROBE_SIZE, PROBE_SIZE), np.float32)
    matrix @ matrix  # wakes the threads
    started = time.perf_counter()
    matrix @ matrix
    return 2.0 * PROBE_SIZE**3 / max(time.perf_counter() - started, 1e-9)


def line(work: Work, on_gpu: bool, shown: Callable[[float], str]) -> str:
    """The forecast in words.

    Args:
      work: of the run.
      on_gpu: whether it runs on GPUs, whose speed is not probed.
      shown: writes a number of seconds.
    """
    share = f"{work.rows // work.devices} on each of {work.devices} devices, " if work.devices > 1 else ""
    parts = f"in {work.micro_batches} parts, " if work.micro_batches > 1 else ""
    made = f"{work.steps:,} updates of {work.rows} rows, {share}{parts}{work.tokens:.0f} tokens a row"
    memory = f"about {memory_bytes(work) / GIB:.1f} GiB of memory{' of each GPU' if on_gpu else ''}"
    if on_gpu:
        return f"{made}; {memory}"
    seconds = work.steps * operations_per_step(work) / (_SHARE * products_per_second())
    return f"{made}; {memory}, {shown(seconds)} of training"
