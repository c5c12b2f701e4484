"""A process that holds exports and answers batches: a crash of it, or its memory, is not the server's."""

import contextlib
import dataclasses
import json
import logging
import multiprocessing
import os
import signal
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from common import onednn
from common.errors import BertError, ExportError, one_line
from common.files import json_object
from export.signatures import SIGNATURES_FILE
from processors.records.document_windows import WINDOWS
from serving.engines import AUTO
from serving.errors import ModelFailedError, RequestError, UnavailableError, UnprocessableError
from serving.rows import Description, Row
from serving.tensors import types_of
from tasks.answers import Answer

if TYPE_CHECKING:
    from serving.predictor import Predictor

log = logging.getLogger(__name__)

LOAD_SECONDS = 300.0
BATCH_SECONDS = 300.0
"""A process that needs longer than this is taken for one that hangs, and killed."""
WARM_UP = ("good", "a first text " * 10)
"""A short text first: kernels keep constant weights in the layout that their first call wants."""


class Model(Protocol):
    """What a process answers with: a `serving.predictor.Predictor`, or another model of texts."""

    def answer(self, rows: Sequence[Row], batch_size: int) -> list[Answer]:
        """One answer a row."""


class WorkerDiedError(Exception):
    """The process ended, or hangs."""


class Worker:
    """A process of one model, or of several on one base; for one caller at a time.

    Args:
      exports: export directories by model name.
      device: value of CUDA_VISIBLE_DEVICES for the process; None leaves it as it is.
      engine: computes the answers, one of `serving.engines.ENGINES`; the process imports TensorFlow only for its own.
    """

    def __init__(self, exports: Mapping[str, Path], device: str | None = None, engine: str = AUTO) -> None:
        self.exports = dict(exports)
        self.device = device
        self.engine = engine
        self._process: Any = None
        self._connection: Connection | None = None

    def start(self) -> dict[str, Description]:
        """Starts the process, loads the exports and answers a first text with each.

        Returns:
          What each export says of itself, by its name.

        Raises:
          ExportError: an export cannot be loaded, or the process dies while it loads.
        """
        # "spawn": a forked child would share the threads and locks of a server.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self.exports, self.device, self.engine)
        self._process = context.Process(target=_serve, args=arguments, name="model", daemon=True)
        self._process.start()
        theirs.close()
        try:
            found = self._received(LOAD_SECONDS)
        except WorkerDiedError as error:
            paths = ", ".join(map(str, self.exports.values()))
            raise ExportError(f"{paths}: the process that loads it {error}; is there memory for it?") from None
        if not isinstance(found, dict):
            self.stop()
            raise ExportError(str(found))
        return found

    def answer(self, name: str, rows: Sequence[Row]) -> list[Answer | RequestError]:
        """Answers rows in one batch; a row that cannot be answered has an error in place of its answer.

        Args:
          name: of the model.
          rows: texts by input name.

        Raises:
          WorkerDiedError: the process ended, or did not answer in time; `start` makes another.
        """
        if self._connection is None:
            raise WorkerDiedError("is not running")
        try:
            self._connection.send((name, list(rows)))
        except OSError:
            raise self._died() from None
        return self._received(BATCH_SECONDS)

    def kill(self) -> None:
        """Kills the process; whoever waits for its answer is told."""
        if self._process is not None:
            with contextlib.suppress(ValueError):  # it was closed meanwhile
                self._process.kill()

    def stop(self) -> None:
        """Ends the process, at once; not while another thread waits for its answer."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None

    def pid(self) -> int | None:
        """Id of the process."""
        return None if self._process is None else self._process.pid

    def _received(self, seconds: float) -> Any:
        assert self._connection is not None
        try:
            if self._connection.poll(seconds):
                return self._connection.recv()
        except (EOFError, OSError):
            raise self._died() from None
        self.stop()
        raise WorkerDiedError(f"gave no answer in {seconds:.0f} seconds")

    def _died(self) -> WorkerDiedError:
        code = None
        if self._process is not None:
            self._process.join(1)
            code = self._process.exitcode
        self.stop()
        return WorkerDiedError(f"was ended by signal {-code}" if code and code < 0 else f"ended with exit code {code}")


def _serve(connection: Connection, exports: Mapping[str, Path], device: str | None, engine: str) -> None:
    """The process: loads, says what it has loaded, then answers until the other end closes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the server drains its queue first, then closes the connection
        signal.signal(number, signal.SIG_IGN)
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    onednn.choose()
    warnings.simplefilter("ignore")  # TensorFlow's satellites speak to their maintainers
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the server is gone
        try:
            predictors = _load(exports, engine)
            descriptions = {name: _described(one, exports[name]) for name, one in predictors.items()}
        except BertError as error:
            connection.send(str(error))
            return
        connection.send(descriptions)
        while True:
            name, rows = connection.recv()
            connection.send(answers(predictors[name], rows))


def _load(exports: Mapping[str, Path], engine: str) -> "dict[str, Predictor]":
    from serving.predictor import Predictor

    if len(exports) == 1:
        return {name: Predictor(path, engine) for name, path in exports.items()}
    from serving.adapters import AdapterPredictor

    return AdapterPredictor(exports).predictors


def _described(predictor: "Predictor", export_dir: Path) -> Description:
    """What an export says of itself, once it has answered a first text."""
    settings = json.loads((export_dir / "assets" / "tokenizer.json").read_bytes())  # read by the predictor before
    labels_file = export_dir / "assets" / "labels.txt"
    labels = labels_file.read_text(encoding="utf-8").split("\n")[:-1] if labels_file.is_file() else []
    description = Description(
        problem_type=settings["problem_type"],
        text_names=tuple(predictor.text_names),
        required_names=tuple(predictor.required_names),
        labels=tuple(labels),
        max_seq_length=int(settings.get("max_seq_length") or 512),
        reads_windows=predictor.reader.reads_windows or settings.get("truncation") == WINDOWS,
        signatures=_signatures(export_dir),
        settings=settings,
    )
    for text in WARM_UP:
        predictor.answer([_row(description, text)], 1)
    outputs = predictor.run({name: [value] for name, value in _row(description, WARM_UP[0]).items()})
    return dataclasses.replace(description, outputs=types_of(outputs))


def _row(description: Description, text: str) -> dict[str, Any]:
    """A row that has a text in every place."""
    return {name: [text, text] if name in description.list_names else text for name in description.required_names}


def _signatures(export_dir: Path) -> dict[str, Any]:
    """The signatures of a SavedModel in the JSON form that TensorFlow Serving gives of them.

    An export for other engines says them in a file, since the schema of a SavedModel is TensorFlow's.
    """
    path = export_dir / SIGNATURES_FILE
    if path.is_file():
        return json_object(path.read_bytes())
    from google.protobuf import json_format
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString((export_dir / "saved_model.pb").read_bytes())
    signatures = saved_model.meta_graphs[0].signature_def
    return {
        name: json_format.MessageToDict(
            signature, including_default_value_fields=True, preserving_proto_field_name=True
        )
        for name, signature in sorted(signatures.items())
    }


def answers(model: Model, rows: Sequence[Row]) -> list[Answer | RequestError]:
    """Answers of rows that belong to different requests: one that cannot be answered spoils no other."""
    try:
        return list(model.answer(rows, len(rows)))
    except Exception as error:
        if len(rows) > 1:
            middle = len(rows) // 2
            return answers(model, rows[:middle]) + answers(model, rows[middle:])
        if isinstance(error, BertError):
            return [UnprocessableError(one_line(error))]
        log.exception("the model could not compute an answer")
        return [ModelFailedError(f"the model could not compute an answer ({type(error).__name__})")]


def refused(error: WorkerDiedError) -> RequestError:
    """What the requests of a batch are told that a process took with it."""
    return UnavailableError(f"the process of the model {error} while it computed this request; send it again")
