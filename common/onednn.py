"""oneDNN's kernels inside TensorFlow: on or off by type of processor, before TensorFlow is imported.

TensorFlow 2.15 turns them on by itself only for processors with AVX-512 VNNI and newer. Where there is AVX2 alone they
save about a fifth of the time of prediction, and some of that of training. The two round differently, so a run keeps
what it began with.
"""

import os
import sys
from pathlib import Path

AUTO, ON, OFF = "auto", "on", "off"
CHOICES = (AUTO, ON, OFF)
"""Values of `--onednn`."""
VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
"""TensorFlow reads it once, while it is imported."""

_CPU_FILE = Path("/proc/cpuinfo")


def choose(asked: str = AUTO) -> None:
    """Turns the kernels on or off for a TensorFlow that is yet to be imported; otherwise does nothing.

    Args:
      asked: one of `CHOICES`; with `"auto"` the environment variable decides where it is set, else the processor.
    """
    if "tensorflow" in sys.modules or (asked == AUTO and (VARIABLE in os.environ or not _has_avx2())):
        return
    os.environ[VARIABLE] = "0" if asked == OFF else "1"


def state() -> str:
    """Whether the imported TensorFlow has them on: `"on"` or `"off"`."""
    from tensorflow.python.util import _pywrap_util_port

    return ON if _pywrap_util_port.IsMklEnabled() else OFF


def _has_avx2() -> bool:
    try:
        lines = _CPU_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and "avx2" in line.split() for line in lines)
