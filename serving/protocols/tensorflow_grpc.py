"""TensorFlow Serving's protocol over gRPC: `PredictionService`, and the state of a model.

Requests are of the signatures `text` and `single_text`, as over REST (`tensorflow_rest`). Messages and stubs are those
of the package tensorflow-serving-api, which imports TensorFlow.
"""

import contextlib
import logging
import math
import os
import time
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import FlagError
from serving.errors import InvalidRequestError, RequestError
from serving.gate import ApiKeys
from serving.models import Version
from serving.protocols.tensorflow_rest import class_scores, numbers, require_text_signature, rows_of_columns
from serving.service import Service
from serving.tensors import TEXT, output_arrays
from tasks.answers import Answer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # TensorFlow's satellites speak to their maintainers
    import grpc
    from google.protobuf import json_format
    from tensorflow.core.framework import tensor_pb2, types_pb2
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
        regression_pb2,
    )

log = logging.getLogger(__name__)

CODES: Mapping[int, Any] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.INVALID_ARGUMENT,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""By the status of an error over HTTP; others are internal."""
_TYPES = {
    TEXT: types_pb2.DT_STRING,
    "bool": types_pb2.DT_BOOL,
    "int32": types_pb2.DT_INT32,
    "int64": types_pb2.DT_INT64,
    "float32": types_pb2.DT_FLOAT,
    "float64": types_pb2.DT_DOUBLE,
}


class PredictionServer:
    """Listens for gRPC.

    Args:
      service: models, limits, metrics.
      keys: API keys that are asked for, in the metadata of a call.
      host: address to listen at.
      port: 0 takes any that is free.
      max_calls: calls at a time; further ones are refused.

    Attributes:
      port: it listens at, once it does.
    """

    def __init__(self, service: Service, keys: ApiKeys, host: str, port: int, max_calls: int) -> None:
        self._service = service
        self._host = host
        self.port = port
        options = [
            ("grpc.max_receive_message_length", service.limits.max_body_bytes),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=max_calls)
        handlers = _Handlers(service, keys)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(handlers, self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(handlers, self._server)

    async def start(self) -> None:
        """Listens.

        Raises:
          FlagError: the address cannot be had.
        """
        address = f"[{self._host}]" if ":" in self._host else self._host
        try:
            self.port = self._server.add_insecure_port(f"{address}:{self.port}")
        except RuntimeError:
            raise FlagError(
                f"--grpc_port={self.port}: cannot be listened at on {self._host}; choose another port, or end the "
                "process that has it"
            ) from None
        await self._server.start()
        log.info("TensorFlow Serving's gRPC at %s:%d", self._host, self.port)

    async def close(self) -> None:
        """Takes no further call, and answers those that it has."""
        await self._server.stop(self._service.limits.deadline_s)


class _Handlers:
    """The calls, by the names of the two services.

    `GetModelStatus` and `GetModelMetadata` are read off the loaded version, the others are answered by it.
    """

    def __init__(self, service: Service, keys: ApiKeys) -> None:
        self._service = service
        self._keys = keys

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Outputs by name for inputs by name."""
        async with self._call("predict", context):
            version = self._version(request.model_spec)
            lists = version.description.list_names
            columns = {name: _texts(name, tensor, name in lists) for name, tensor in request.inputs.items()}
            rows = rows_of_columns(columns, version.description.text_names, self._service.limits)
            answers = await version.answer(rows, self._service.limits)
            arrays = output_arrays(version.description, answers)
            for name in request.output_filter:
                if name not in arrays:
                    raise InvalidRequestError(f"no output {name[:80]!r}; {version.name} has {', '.join(arrays)}")
            response = predict_pb2.PredictResponse(model_spec=_spec(version, request.model_spec))
            for name in request.output_filter or arrays:
                response.outputs[name].CopyFrom(_tensor(arrays[name]))
            return response

    async def Classify(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Labels with their scores."""
        async with self._call("classify", context):
            version = self._version(request.model_spec)
            scores = class_scores(version, await self._examples(version, request.input))
            response = classification_pb2.ClassificationResponse(model_spec=_spec(version, request.model_spec))
            for row in scores:
                classes = response.result.classifications.add().classes
                for label, score in row:
                    classes.add(label=label, score=score)
            return response

    async def Regress(self, request: Any, context: Any) -> Any:  # noqa: N802
        """A number each."""
        async with self._call("regress", context):
            version = self._version(request.model_spec)
            values = numbers(version, await self._examples(version, request.input))
            response = regression_pb2.RegressionResponse(model_spec=_spec(version, request.model_spec))
            for value in values:
                response.result.regressions.add(value=value)
            return response

    async def MultiInference(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Not offered."""
        del request
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "MultiInference is not offered; call Predict")

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Signatures."""
        async with self._call("metadata", context):
            if list(request.metadata_field) != ["signature_def"]:
                raise InvalidRequestError("metadata_field: expected signature_def alone")
            version = self._version(request.model_spec)
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec(version, request.model_spec))
            signatures = get_model_metadata_pb2.SignatureDefMap()
            json_format.ParseDict({"signature_def": version.description.signatures}, signatures)
            response.metadata["signature_def"].Pack(signatures)
            return response

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The loaded version."""
        async with self._call("status", context):
            version = self._version(request.model_spec)
            response = get_model_status_pb2.GetModelStatusResponse()
            available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
            response.model_version_status.add(version=version.number, state=available)
            return response

    async def HandleReloadConfigRequest(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Not offered: no path is loaded that a request names."""
        del request
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "models are named when the server is started")

    @contextlib.asynccontextmanager
    async def _call(self, name: str, context: Any) -> AsyncIterator[None]:
        """Checks the key, counts the call, and turns errors into the codes of gRPC."""
        started = time.monotonic()
        status, error = 200, None
        try:
            self._check_key(context)
            yield
        except RequestError as refused:
            status, error = refused.status, refused
        except Exception:
            status, error = 500, RequestError("internal error; the server's log has it")
            log.exception("gRPC %s", name)
        finally:
            self._service.metrics.observe_request(f"grpc.{name}", status, time.monotonic() - started)
        if error is not None:
            await context.abort(CODES.get(status, grpc.StatusCode.INTERNAL), str(error))

    def _check_key(self, context: Any) -> None:
        headers = {
            key.encode(): value.encode() for key, value in context.invocation_metadata() if isinstance(value, str)
        }
        if self._keys and not self._keys.accept(headers):
            error = RequestError("the API key is missing or wrong; send authorization: Bearer KEY")
            error.status = 401
            raise error

    def _version(self, spec: Any) -> Version:
        require_text_signature(spec.signature_name)
        if spec.version_label:
            raise InvalidRequestError(f"no version label {spec.version_label[:80]!r}; name a version by its number")
        return self._service.models.version(spec.name, spec.version.value if spec.HasField("version") else None)

    async def _examples(self, version: Version, given: Any) -> list[Answer]:
        with_context = given.WhichOneof("kind") == "example_list_with_context"
        listed = given.example_list_with_context if with_context else given.example_list
        self._service.limits.check_count(len(listed.examples))
        shared = _row(given.example_list_with_context.context) if with_context else {}
        rows = [{**shared, **_row(example)} for example in listed.examples]
        return await version.answer(rows, self._service.limits)


def _row(example: Any) -> dict[str, Any]:
    """The texts of a `tf.Example`."""
    return {name: _decoded(name, feature.bytes_list.value) for name, feature in example.features.feature.items()}


def _decoded(name: str, values: Sequence[bytes]) -> str:
    if len(values) != 1:
        raise InvalidRequestError(f"feature {name[:80]!r} has {len(values)} texts, expected one")
    return _text(name, values[0])


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{name[:80]!r} is not UTF-8") from None


def _texts(name: str, tensor: Any, is_list: bool) -> list[Any]:
    """The texts of an input `[N]` or `[N, 1]`; lists of texts, of one `[N, C]`."""
    if tensor.dtype != types_pb2.DT_STRING:
        kind = types_pb2.DataType.Name(tensor.dtype)
        raise InvalidRequestError(f"input {name[:80]!r} is {kind}, expected DT_STRING: texts")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if not (len(shape) == 2 if is_list else len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        expected = "[N, C]" if is_list else "[N] or [N, 1]"
        raise InvalidRequestError(f"input {name[:80]!r} has the shape {shape[:8]}, expected {expected}")
    size = math.prod(shape)
    if len(tensor.string_val) != size:
        raise InvalidRequestError(f"input {name[:80]!r} has {len(tensor.string_val)} texts, its shape says {size}")
    texts = [_text(name, value) for value in tensor.string_val]
    return [texts[start : start + shape[1]] for start in range(0, size, shape[1] or 1)] if is_list else texts


def _tensor(array: NDArray[Any]) -> Any:
    tensor = tensor_pb2.TensorProto(dtype=_TYPES[TEXT if array.dtype == object else array.dtype.name])
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        tensor.string_val.extend(array.ravel().tolist())
    else:
        tensor.tensor_content = np.ascontiguousarray(array).tobytes()
    return tensor


def _spec(version: Version, asked: Any) -> Any:
    spec = type(asked)(name=version.name, signature_name=asked.signature_name)
    spec.version.value = version.number
    return spec
