"""Errors of a request: what the client did, or what the server cannot do now. Each has an HTTP status.

RequestError              one request is refused; the server goes on
├── InvalidRequestError        400 not what the protocol asks for
├── NotFoundError              404 a model, version or path that is not served
├── TooSlowError               408 the body did not arrive in time
├── TooLargeError              413 a body above the limit
├── UnprocessableError         422 a text that cannot be answered, or one above a limit
├── OverloadedError            429 the queue is full; try again after `retry_after` seconds
├── ModelFailedError           500 the model could not compute an answer
├── UnavailableError           503 no model process right now
└── DeadlineError      504 no answer within the time limit
"""


class RequestError(Exception):
    """Base of what ends one request without an answer."""

    status = 500


class InvalidRequestError(RequestError):
    """The request is not what the protocol asks for."""

    status = 400


class NotFoundError(RequestError):
    """The request names something that is not served."""

    status = 404


class TooSlowError(RequestError):
    """The client did not send its request in time."""

    status = 408


class TooLargeError(RequestError):
    """The body is above the limit."""

    status = 413


class UnprocessableError(RequestError):
    """A text cannot be answered, or there are too many."""

    status = 422


class OverloadedError(RequestError):
    """The queue is full.

    Args:
      message: what is full.
      retry_after: seconds after which there should be room.
    """

    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelFailedError(RequestError):
    """The model raised an error that is not the client's."""

    status = 500


class UnavailableError(RequestError):
    """The model's process has died, or the server stops."""

    status = 503


class DeadlineError(RequestError):
    """No answer within the time limit of a request."""

    status = 504
