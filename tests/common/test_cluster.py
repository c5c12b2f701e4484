"""Machines find each other, compare their commands and notice when one is gone: over real connections on loopback."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from common.cluster.base import Alone, Cluster
from common.cluster.machines import joined
from common.cluster.member import ClusterError, Member, member_here, member_of, require_one_machine
from common.errors import FlagError

SAME = "give every machine the same command"


def free_ports(count):
    """Ports that nobody listens at now."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in made:
            one.bind(("", 0))
        return [one.getsockname()[1] for one in made]


def members(count):
    jobs = {"worker": tuple(f"127.0.0.1:{port}" for port in free_ports(count))}
    return [Member(jobs, "worker", index) for index in range(count)]


def at_once(*calls):
    """Calls functions in threads, as machines of their own; gives what each returned or raised."""
    found = [None] * len(calls)

    def call(index):
        try:
            found[index] = calls[index]()
        except Exception as error:
            found[index] = error

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return found


def test_machines_find_each_other_and_hear_the_chief():
    def take_part(member, facts, value=None):
        with joined(member, 20.0) as machines:
            machines.agree(facts, SAME)
            heard = machines.tell(value)
            machines.wait()
            return machines.is_chief, heard

    chief, *others = members(3)
    facts = {"--seed": 1, "--layers": (1, 2)}
    calls = [lambda: take_part(chief, facts, {"step": 5})] + [lambda one=one: take_part(one, facts) for one in others]
    assert at_once(*calls) == [(True, {"step": 5}), (False, {"step": 5}), (False, {"step": 5})]


def test_different_flags_are_a_line_on_every_machine():
    def take_part(member, facts):
        with joined(member, 20.0) as machines:
            machines.agree(facts, SAME)

    chief, other = members(2)
    here, there = at_once(lambda: take_part(chief, {"--seed": 1}), lambda: take_part(other, {"--seed": 2, "--x": "a"}))
    line = (
        f"TF_CONFIG: --seed is 1 on worker 0 and 2 on worker 1; --x is not given on worker 0 and a on worker 1; {SAME}"
    )
    assert (type(here), str(here)) == (FlagError, line)
    assert (type(there), str(there)) == (ClusterError, f"worker 0: {line}")


def test_a_cluster_that_never_forms_is_a_line():
    chief, other, _ = members(3)
    alone, early = at_once(lambda: joined(chief, 0.6), lambda: joined(other, 0.3))
    assert str(alone) in (
        "TF_CONFIG: worker 2 of 3 machines did not come within 1 s; start the same command on every machine, with its "
        "own task in TF_CONFIG",
    )
    assert isinstance(early, Cluster)
    early.close()
    _, late = members(2)
    with pytest.raises(ClusterError) as refused:
        joined(late, 0.1)
    assert f"worker 0 at {late.chief_address} was not there within 0 s; start the same command on" in str(refused.value)


def test_a_port_in_use_is_a_line():
    chief, _ = members(2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(chief.address.rpartition(":")[2])))
        taken.listen()
        with pytest.raises(ClusterError) as refused:
            joined(chief, 0.1)
    port = chief.address.rpartition(":")[2]
    assert str(refused.value) == (
        f"TF_CONFIG: port {port} of worker 0 cannot be used (Address already in use); end the process that has it or "
        "give the machine another port"
    )


def test_the_same_task_twice_is_a_line():
    chief, one, _ = members(3)
    waiting = threading.Thread(target=lambda: at_once(lambda: joined(chief, 3.0)))
    waiting.start()
    first = joined(one, 10.0)
    with pytest.raises(ClusterError) as refused:
        joined(one, 10.0)
    assert str(refused.value) == ("TF_CONFIG: worker 1 is there already; give every machine its own task in TF_CONFIG")
    waiting.join()
    first.close()


def test_what_knocks_at_the_port_is_no_machine():
    chief, other = members(2)

    def knock():
        for _ in range(50):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(chief.address[10:]))) as one:
                one.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return
            time.sleep(0.05)

    def take_part(member):
        with joined(member, 20.0) as machines:
            machines.wait()
            return True

    assert at_once(lambda: take_part(chief), knock, lambda: time.sleep(0.3) or take_part(other)) == [True, None, True]


WAITING = """
import json, os, sys, time
from common.cluster.machines import joined
from common.cluster.member import member_here
with joined(member_here(), 20.0) as machines:
    machines.wait()
    print("here", flush=True)
    time.sleep(60)  # as if it waited for tensors
"""


def started(member):
    config = {"cluster": member.jobs, "task": {"type": member.job, "index": member.index}}
    return subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TF_CONFIG": json.dumps(config)},
    )  # fmt: skip


def test_a_killed_machine_ends_the_others_with_a_line():
    processes = [started(member) for member in members(3)]
    for process in processes:
        assert process.stdout.readline() == "here\n", process.stderr.read()
    processes[1].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    lines = [process.communicate(timeout=30)[1].splitlines()[-1:] for process in processes]
    assert time.monotonic() - killed < 20
    assert [process.returncode for process in processes] == [2, -9, 2]
    lost = (
        "TF_CONFIG: lost worker 1 of 3 machines (its process has ended); start the same command again on all of them: "
        "it goes on from the last checkpoint"
    )
    assert lines == [[f"error: {lost}"], [], [f"error: worker 0: {lost}"]]


@pytest.mark.parametrize("job", ["worker", "chief", "master"])
def test_a_cluster_of_one_machine_is_this_machine(monkeypatch, caplog, job):
    found = {"cluster": {job: ["localhost:1"]}, "task": {"type": job, "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(found))
    with caplog.at_level("INFO"):
        assert member_here() is None
    assert "TF_CONFIG names a cluster of one machine, this one; it is not needed" in caplog.text
    assert "TF_CONFIG" not in os.environ
    assert isinstance(joined(None), Alone)


TWO = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ("nonsense", "is not JSON (Expecting value: line 1 column 1 (char 0))"),
        ({"cluster": ["a:1"]}, "has no lists of addresses under cluster"),
        ({"cluster": TWO}, "says that this machine is task 0 of job None, which is not under cluster"),
        ({"cluster": TWO, "task": {"type": "worker", "index": 2}}, "says that this machine is task 2 of job worker, w"),
        (
            {"cluster": TWO, "task": {"type": "evaluator", "index": 0}},
            "has a job evaluator, but machines train as chief",
        ),
        ({"cluster": {**TWO, "ps": ["c:1"]}, "task": {"type": "worker"}}, "has a job ps, but machines train as chief"),
        ({"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief"}}, "has more than one chief"),
        ({"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker"}}, "has the address b, which is no host:port"),
    ],
)
def test_a_variable_that_describes_no_cluster_is_a_line(found, message):
    text = found if isinstance(found, str) else json.dumps(found)
    with pytest.raises(FlagError) as refused:
        member_of(text)
    assert f": {message}" in str(refused.value)
    assert "; expected what a scheduler of jobs sets, or nothing; unset it to run on this machine" in str(refused.value)


def test_the_chief_leads_whatever_the_order():
    jobs = {"worker": ("b:1", "c:1"), "chief": ("a:1",)}
    assert [Member(jobs, "worker", 0).is_chief, Member(jobs, "chief", 0).is_chief] == [False, True]
    assert Member(jobs, "worker", 1).names == ["chief 0", "worker 0", "worker 1"]
    assert Member(jobs, "worker", 1).chief_address == "a:1"


def test_what_does_not_train_is_a_command_of_its_own(monkeypatch):
    require_one_machine("extract_features.py")
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 1}}))
    with pytest.raises(FlagError) as refused:
        require_one_machine("extract_features.py")
    assert str(refused.value) == (
        "TF_CONFIG names a cluster of 2 machines, which train together and do nothing else; run extract_features.py as "
        "a command of its own without TF_CONFIG"
    )
