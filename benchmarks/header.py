"""What a result was measured on."""

import os
import platform
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")


def header(arguments: Sequence[str], versions: Mapping[str, str], effort: str) -> dict[str, str]:
    """Processor, cores, load, versions, date and command, each as a line of text.

    Args:
      arguments: of the command.
      versions: by environment and package, such as `{"ours tensorflow": "2.15.1"}`.
      effort: how much work the rounds were.
    """
    return {
        "command": shlex.join(["python", "-m", "benchmarks", *arguments]),
        "date": time.strftime("%Y-%m-%d %H:%M %z"),
        "processor": processor(),
        "cores": str(cores()),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()) + " (1, 5, 15 minutes, before the first round)",
        "effort": effort,
        **{
            side: ", ".join(
                f"{name.removeprefix(side + ' ')} {version}"
                for name, version in versions.items()
                if name.startswith(side + " ")
            )
            for side in sorted({name.split(" ")[0] for name in versions})
        },
    }


def processor() -> str:
    """The processor's name as its maker gives it."""
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
