"""A connection of each machine to the chief.

The chief listens at its own address until every machine has come. The connections stay open: over them the machines
compare their commands, wait for each other, and notice when one of them is gone. Tensors go other ways.
"""

import json
import logging
import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, final

from common.cluster.base import ALONE, Cluster
from common.cluster.connection import BEAT, Peer, close_socket, objects, send_object
from common.cluster.member import VARIABLE, ClusterError, Member, host_and_port
from common.errors import BertError, FlagError, one_line

log = logging.getLogger(__name__)

PATIENCE = 600.0
"""Seconds to wait until every machine has come."""
_GRACE = 5.0
"""Seconds for a process to end by itself once a machine is lost. One that waits for tensors never would."""


def joined(member: Member | None, patience: float = PATIENCE) -> Cluster:
    """Joins the cluster.

    Args:
      member: this machine's place in it; None for one machine.
      patience: seconds to wait for the others.

    Raises:
      ClusterError: a machine did not come in time, or the port of this one is taken.
    """
    if member is None:
        return ALONE
    listener = _listening(member)
    log.info("%s of %d machines; waiting for the others", member.name, len(member.names))
    if member.is_chief:
        return _Chief(member, listener, patience)
    listener.close()
    return _Follower(member, patience)


def _listening(member: Member) -> socket.socket:
    """The port of this machine, which TensorFlow will use after us.

    Raises:
      ClusterError: another process has it. TensorFlow would share it, and wait for ever.
    """
    _, port = host_and_port(member.address)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # After a run that has just ended, its connections still hold the port; a process that listens is refused all the
    # same.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("", port))
        listener.listen(len(member.names))
    except OSError as error:
        listener.close()
        raise ClusterError(
            f"{VARIABLE}: port {port} of {member.name} cannot be used ({error.strerror}); end the process that has it "
            "or give the machine another port"
        ) from None
    return listener


class _Connected(Cluster):
    """What chief and followers share: a queue of messages for each machine, and an end when one is lost."""

    def __init__(self, member: Member) -> None:
        super().__init__()
        self.member = member
        self.is_chief = member.is_chief
        self._messages: dict[str, queue.Queue[Any]] = {name: queue.Queue() for name in member.names}
        self._is_closed = False
        self._is_ending = False
        self._gone: set[str] = set()
        self._peers: dict[str, Peer] = {}

    def _peer(self, name: str, connected: socket.socket, received: Iterator[dict[str, Any]]) -> None:
        self._peers[name] = Peer(name, connected, self._on_message, self._on_loss)
        self._peers[name].start(received)

    def _on_message(self, name: str, message: Mapping[str, Any]) -> None:
        kind, value = message.get("kind"), message.get("value")
        if kind == "stop":
            self.on_stop()
        elif kind == "bye":
            self._gone.add(name)
            self._messages[name].put(("lost", ClusterError(f"{name} has ended before this machine has")))
        elif kind == "error":
            self._end(name, ClusterError(f"{name}: {value}"))
        else:
            self._messages[name].put((kind, value))

    def _on_loss(self, name: str, reason: str) -> None:
        if name in self._gone:
            return
        self._end(
            name,
            ClusterError(
                f"{VARIABLE}: lost {name} of {len(self._messages)} machines ({reason}); start the same command again "
                "on all of them: it goes on from the last checkpoint"
            ),
        )

    def _end(self, name: str, error: ClusterError) -> None:
        """Ends this machine's part: whoever waits for a message raises, and a process that cannot raise is ended."""
        if self._is_closed or self._is_ending:  # the first reason is the cause; a lost connection often follows it
            return
        self._is_ending = True
        for one, messages in self._messages.items():
            messages.put(("lost", error))
            if one != name and self.is_chief and one in self._peers:
                self._peers[one].send("error", str(error))
        timer = threading.Timer(_GRACE, self._exit, (error,))
        timer.daemon = True
        timer.start()

    def _exit(self, error: ClusterError) -> None:
        if self._is_closed:
            return
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(error.exit_code)

    def _next(self, name: str, kind: str) -> Any:
        """The next message of a machine.

        Raises:
          ClusterError: it is lost, or another is.
        """
        found, value = self._messages[name].get()
        if found == "lost":
            raise value
        if found != kind:
            raise ClusterError(f"{name} sent {one_line(found, 20)}, expected {kind}; run one version everywhere")
        return value

    @final
    def close(self, error: BaseException | None = None) -> None:
        """Leaves; the others learn of an error before they notice that the connection has ended."""
        told = str(error) if isinstance(error, BertError) else "was stopped"
        for peer in self._peers.values():
            peer.send("bye") if error is None else peer.send("error", one_line(told, 1000))
        self._is_closed = True
        for peer in self._peers.values():
            peer.close()


class _Chief(_Connected):
    """The machine that writes."""

    def __init__(self, member: Member, listener: socket.socket, patience: float) -> None:
        super().__init__(member)
        until = time.monotonic() + patience
        try:
            with listener:
                while len(self._peers) < len(member.names) - 1:
                    self._accept(listener, until, patience)
        except ClusterError as error:
            self.close(error)
            raise

    def _accept(self, listener: socket.socket, until: float, patience: float) -> None:
        absent = [name for name in self._messages if name != self.member_name and name not in self._peers]
        listener.settimeout(max(until - time.monotonic(), 0.01))
        try:
            connected, _ = listener.accept()
        except TimeoutError:
            raise ClusterError(
                f"{VARIABLE}: {', '.join(absent)} of {len(self._messages)} machines did not come within "
                f"{patience:.0f} s; start the same command on every machine, with its own task in {VARIABLE}"
            ) from None
        connected.settimeout(BEAT)
        received = objects(connected)
        try:
            name = next(received).get("value")
        except (OSError, ValueError, StopIteration):
            name = None
        if name in absent and send_object(connected, threading.Lock(), "welcome", len(self._messages)):
            self._peer(str(name), connected, received)
        elif name in self._messages:
            send_object(connected, threading.Lock(), "refused", f"{name} is there already")
            close_socket(connected)
        else:
            close_socket(connected)  # somebody who knocks at every port

    @property
    def member_name(self) -> str:
        """Of this machine."""
        return self.member.name if self.member else ""

    def agree(self, facts: Mapping[str, Any], what: str) -> None:
        """See `Cluster.agree`."""
        for name in self._peers:
            theirs = self._next(name, "facts")
            different = [
                f"{key} is {_shown(facts.get(key))} on {self.member_name} and {_shown(theirs.get(key))} on {name}"
                for key in sorted({*facts, *theirs})
                if _plain(facts.get(key)) != theirs.get(key)
            ]
            if different:
                raise FlagError(f"{VARIABLE}: {'; '.join(different[:5])}; {what}")
        self.tell()

    def tell(self, value: Any = None) -> Any:
        """See `Cluster.tell`."""
        for peer in self._peers.values():
            peer.send("told", value)
        return value

    def ask_to_stop(self) -> None:
        """The chief stops, and the others with it."""
        self.on_stop()


class _Follower(_Connected):
    """Any other machine."""

    def __init__(self, member: Member, patience: float) -> None:
        super().__init__(member)
        self._chief = member.names[0]
        until = time.monotonic() + patience
        while not self._has_come():
            if time.monotonic() > until:
                raise ClusterError(
                    f"{VARIABLE}: {self._chief} at {member.chief_address} was not there within {patience:.0f} s; start "
                    f"the same command on every machine, with its own task in {VARIABLE}"
                )
            time.sleep(0.3)

    def _has_come(self) -> bool:
        """Introduces this machine to the chief; says whether it is welcome.

        Raises:
          ClusterError: another process is already taken for this machine.
        """
        assert self.member is not None
        try:
            connected = socket.create_connection(host_and_port(self.member.chief_address), timeout=BEAT)
        except OSError:
            return False
        received = objects(connected)
        try:
            send_object(connected, threading.Lock(), "name", self.member.name)
            answer = next(received)
        except (OSError, ValueError, StopIteration):  # another process, or the one before, which is about to end
            close_socket(connected)
            return False
        if answer.get("kind") != "welcome":
            close_socket(connected)
            raise ClusterError(f"{VARIABLE}: {answer.get('value')}; give every machine its own task in {VARIABLE}")
        self._peer(self._chief, connected, received)
        return True

    def agree(self, facts: Mapping[str, Any], what: str) -> None:
        """See `Cluster.agree`."""
        self._peers[self._chief].send("facts", dict(facts))
        self.tell()

    def tell(self, value: Any = None) -> Any:
        """See `Cluster.tell`."""
        return self._next(self._chief, "told")

    def ask_to_stop(self) -> None:
        """See `Cluster.ask_to_stop`."""
        self._peers[self._chief].send("stop")


def _plain(value: Any) -> Any:
    """As the value arrives on the other side."""
    return json.loads(json.dumps(value))


def _shown(value: Any) -> str:
    return "not given" if value is None else one_line(value, 60)
