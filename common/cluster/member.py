"""Which machines train together, as `TF_CONFIG` says, and which of them this is."""

import dataclasses
import logging
import os
from collections.abc import Mapping
from typing import Any

from common.errors import BertError, FlagError, one_line
from common.files import json_object

log = logging.getLogger(__name__)

VARIABLE = "TF_CONFIG"
"""The environment variable that describes a cluster and a machine's place in it."""
CHIEF, WORKER = "chief", "worker"


class ClusterError(BertError):
    """Machines of a cluster did not come, disagree, or were lost."""


@dataclasses.dataclass(frozen=True)
class Member:
    """This machine's place in a cluster.

    Args:
      jobs: addresses (`host:port`) by job, `chief` and `worker`, in the order of TF_CONFIG.
      job: of this machine.
      index: within the job.
    """

    jobs: Mapping[str, tuple[str, ...]] = dataclasses.field(hash=False)
    job: str
    index: int

    @property
    def names(self) -> list[str]:
        """All machines, the chief first: `chief`, or the first worker where there is none."""
        return [f"{job} {index}" for job in (CHIEF, WORKER) for index in range(len(self.jobs.get(job, ())))]

    @property
    def name(self) -> str:
        """As in `names`."""
        return f"{self.job} {self.index}"

    @property
    def is_chief(self) -> bool:
        """Whether this machine writes, and the others wait for it."""
        return self.name == self.names[0]

    @property
    def address(self) -> str:
        """Of this machine."""
        return self.jobs[self.job][self.index]

    @property
    def chief_address(self) -> str:
        """Where the others find the chief."""
        return self.jobs[CHIEF if self.jobs.get(CHIEF) else WORKER][0]


def member_here() -> Member | None:
    """This machine's place in the cluster that the environment describes; what TensorFlow is not to see is taken away.

    TensorFlow would read the variable as well, and refuse to train.

    Raises:
      FlagError: as `member_of`.
    """
    text = os.environ.get(VARIABLE)
    member = member_of(text)
    if text:
        del os.environ[VARIABLE]
        if member is None:
            log.info("%s names a cluster of one machine, this one; it is not needed", VARIABLE)
    return member


def require_one_machine(what: str) -> None:
    """Refuses a cluster of several machines.

    Args:
      what: of this command, `--do_eval` or a script.

    Raises:
      FlagError: there is one.
    """
    member = member_here()
    if member is not None:
        raise FlagError(
            f"{VARIABLE} names a cluster of {len(member.names)} machines, which train together and do nothing else; "
            f"run {what} as a command of its own without {VARIABLE}"
        )


def member_of(text: str | None) -> Member | None:
    """What TF_CONFIG says; None without one, or where it has one machine: job schedulers set it for those, too.

    Raises:
      FlagError: it cannot be read, or has machines that have nothing to do here.
    """
    if not text:
        return None
    try:
        return _parsed(json_object(text.encode()))
    except ValueError as error:
        raise FlagError(
            f"{VARIABLE}={one_line(text, 60)}: {one_line(error, 160)}; expected what a scheduler of jobs sets, or "
            "nothing; unset it to run on this machine"
        ) from None


def _parsed(found: Mapping[str, Any]) -> Member | None:
    given = found.get("cluster") or {}
    if not isinstance(given, dict) or not all(isinstance(addresses, list) for addresses in given.values()):
        raise ValueError("has no lists of addresses under cluster")
    jobs = {job: tuple(map(str, addresses)) for job, addresses in given.items() if addresses}
    if sum(map(len, jobs.values())) <= 1:
        return None
    task = found.get("task")
    task = task if isinstance(task, dict) else {}
    job, index = task.get("type"), task.get("index", 0)
    others = sorted({*jobs, *([str(job)] if job else [])} - {CHIEF, WORKER})
    if others:
        raise ValueError(f"has a job {others[0]}, but machines train as chief and worker alone, evaluate afterwards")
    if job not in jobs or not isinstance(index, int) or not 0 <= index < len(jobs[job]):
        raise ValueError(f"says that this machine is task {index} of job {job}, which is not under cluster")
    if len(jobs.get(CHIEF, ())) > 1:
        raise ValueError("has more than one chief")
    for address in (address for addresses in jobs.values() for address in addresses):
        host_and_port(address)
    return Member(jobs, str(job), index)


def host_and_port(address: str) -> tuple[str, int]:
    """`"10.0.0.1:2222"` -> `("10.0.0.1", 2222)`.

    Raises:
      ValueError: it is none; the message completes "the variable ...".
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"has the address {one_line(address, 40)}, which is no host:port")
    return host.strip("[]"), int(port)
