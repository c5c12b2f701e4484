"""Settings of a server: where it listens, what it accepts, what is computed together, how long anything may take."""

import dataclasses

from serving.errors import UnprocessableError


@dataclasses.dataclass(frozen=True)
class BatchLimits:
    """How texts of different requests become batches.

    Args:
      max_batch_tokens: largest batch, as rows times the estimated tokens of the longest row.
      max_batch: most rows of a batch.
      max_wait_ms: how long a row waits for others while the model is idle.
      max_queue: most rows that wait; more are refused.
      max_queue_characters: most characters of the requests that wait.
    """

    max_batch_tokens: int = 8192
    max_batch: int = 32
    max_wait_ms: float = 2.0
    max_queue: int = 1024
    max_queue_characters: int = 64 << 20


@dataclasses.dataclass(frozen=True)
class RequestLimits:
    """What one request may ask for.

    Args:
      max_body_bytes: largest body.
      max_texts: most rows.
      max_characters: longest text.
      deadline_s: seconds until a request is answered, or refused.
      read_timeout_s: seconds in which a client must send its headers, then its body, then take the answer.
      idle_timeout_s: seconds that a connection may stay open between two requests.
    """

    max_body_bytes: int = 2 << 20
    max_texts: int = 256
    max_characters: int = 100_000
    deadline_s: float = 30.0
    read_timeout_s: float = 10.0
    idle_timeout_s: float = 60.0

    def check_count(self, count: int) -> None:
        """Checks the number of texts, before anything is made of them.

        Raises:
          UnprocessableError: there is none, or there are too many.
        """
        if not count:
            raise UnprocessableError("no text; give at least one")
        if count > self.max_texts:
            raise UnprocessableError(f"{count} texts, at most {self.max_texts} are taken in a request; send several")


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """Where and how a server listens.

    Args:
      limits: of requests.
      host: address; loopback unless the command says otherwise.
      port: of HTTP; 0 takes any that is free.
      grpc_port: of TensorFlow Serving's protocol over gRPC; None for none.
      bert_port: for requests of bert-as-service over ZeroMQ; None for none.
      bert_port_out: for its answers.
      poll_seconds: between two looks for newer exports.
      max_connections: open connections; more get 503.
    """

    limits: RequestLimits = dataclasses.field(default_factory=RequestLimits)
    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int | None = None
    bert_port: int | None = None
    bert_port_out: int = 5556
    poll_seconds: float = 5.0
    max_connections: int = 1024
