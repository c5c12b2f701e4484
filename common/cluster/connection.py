"""A connection between two machines: JSON objects, a line each, and signs of life."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from common.errors import one_line
from common.files import json_object

BEAT = 2.0
"""Seconds between two signs of life."""
SILENCE = 60.0
"""Seconds without one after which a machine counts as lost: a cable may have been pulled."""
_LONGEST = 1 << 20
"""Bytes of a line at most."""


class Peer:
    """A connection: JSON objects, a line each. Objects of the kind `beat` only say that the other side is alive.

    Args:
      name: of the machine on the other side.
      connected: the socket.
      on_message: called with each object, in a thread.
      on_loss: called once with the reason when the connection has ended, in a thread.
    """

    def __init__(
        self, name: str, connected: socket.socket, on_message: Callable[[str, Any], None], on_loss: Callable[..., None]
    ) -> None:
        self.name = name
        self._socket = connected
        self._on_message, self._on_loss = on_message, on_loss
        self._lock = threading.Lock()

    def start(self, objects: Iterator[dict[str, Any]]) -> None:
        """Begins to receive, and to show that this side is alive."""
        self._socket.settimeout(SILENCE)
        threading.Thread(target=self._receive, args=(objects,), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def send(self, kind: str, value: Any = None) -> bool:
        """Sends an object; says whether it could."""
        return send_object(self._socket, self._lock, kind, value)

    def close(self) -> None:
        """Ends the connection."""
        close_socket(self._socket)

    def _receive(self, objects: Iterator[dict[str, Any]]) -> None:
        reason = "its process has ended"
        try:
            for message in objects:
                if message.get("kind") != "beat":
                    self._on_message(self.name, message)
        except TimeoutError:
            reason = f"no sign of life for {SILENCE:.0f} s"
        except (OSError, ValueError) as error:
            reason = one_line(error, 80)
        self._on_loss(self.name, reason)

    def _beat(self) -> None:
        while self.send("beat"):
            time.sleep(BEAT)


def send_object(connected: socket.socket, lock: Any, kind: str, value: Any = None) -> bool:
    """Sends an object; says whether it could. The lock keeps the lines of several threads apart."""
    try:
        with lock:
            connected.sendall(json.dumps({"kind": kind, "value": value}).encode() + b"\n")
    except OSError:
        return False
    return True


def close_socket(connected: socket.socket) -> None:
    """Ends a connection for both sides."""
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
    connected.close()


def objects(connected: socket.socket) -> Iterator[dict[str, Any]]:
    """Objects as they come.

    Raises:
      OSError: the connection is broken, or silent for longer than its timeout.
      ValueError: something else came.
    """
    rest = b""
    while True:
        while b"\n" in rest:
            line, _, rest = rest.partition(b"\n")
            yield json_object(line)
        if len(rest) > _LONGEST:
            raise ValueError("sent too long a line")
        received = connected.recv(1 << 16)
        if not received:
            return
        rest += received
