"""The Open Inference Protocol, version 2, over HTTP, with the binary form of tensors: as KServe and Triton speak it.

    GET  /v2                                      name of the server and its extensions
    GET  /v2/health/live, /v2/health/ready        200, or 503 while a model is not there
    GET  /v2/models/NAME[/versions/N]             inputs and outputs
    GET  /v2/models/NAME[/versions/N]/ready       200, or 503
    POST /v2/models/NAME[/versions/N]/infer       {"inputs": [...]} -> {"outputs": [...]}

Inputs are texts: BYTES of shape [N] or [N, 1]. Tensors may stand behind the JSON as bytes
(`Inference-Header-Content-Length`), in requests and, where they are asked for so, in answers.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md; for the binary form
github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import InvalidRequestError, NotFoundError, RequestError
from serving.models import Version
from serving.protocols.fields import flag
from serving.protocols.tensorflow_rest import rows_of_columns
from serving.service import Service, attended, endpoint, json_mapping, json_response, parsed, read_body, returned
from serving.tensors import TEXT, output_arrays

HEADER_LENGTH = "Inference-Header-Content-Length"
DATATYPES: Mapping[str, str] = {
    TEXT: "BYTES", "bool": "BOOL", "int32": "INT32", "int64": "INT64", "float16": "FP16", "float32": "FP32",
    "float64": "FP64",
}  # fmt: skip
PLATFORM = "tensorflow_savedmodel"
_LENGTH = struct.Struct("<I")


def routes(service: Service) -> list[Route]:
    """The paths of the protocol."""
    got = {
        "/v2": ("server", _server),
        "/v2/health/live": ("live", _live),
        "/v2/health/ready": ("ready", _ready),
    }
    for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        got |= {model: ("metadata", _metadata), f"{model}/ready": ("model_ready", _model_ready)}
    made = [
        Route(path, endpoint(service, f"inference.{name}", handler, _error), methods=["GET"])
        for path, (name, handler) in got.items()
    ]
    infer = endpoint(service, "inference.infer", _infer, _error)
    return made + [
        Route(path, infer, methods=["POST"])
        for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer")
    ]


def _error(error: RequestError) -> dict[str, str]:
    return {"error": str(error)}


async def _server(service: Service, request: Request) -> Response:
    del service, request
    return json_response({"name": "run_server.py", "version": "2", "extensions": ["binary_tensor_data"]})


async def _live(service: Service, request: Request) -> Response:
    del service, request
    return json_response({"live": True})


async def _ready(service: Service, request: Request) -> Response:
    del request
    is_ready = service.models.are_ready()
    return json_response({"ready": is_ready}, 200 if is_ready else 503)


async def _model_ready(service: Service, request: Request) -> Response:
    version = _addressed(service, request)
    is_ready = version.ready_workers > 0
    return json_response({"name": version.name, "ready": is_ready}, 200 if is_ready else 503)


async def _metadata(service: Service, request: Request) -> Response:
    version = _addressed(service, request)
    description = version.description
    return json_response(
        {
            "name": version.name,
            "versions": [str(version.number)],
            "platform": PLATFORM,
            "inputs": [
                {"name": name, "datatype": "BYTES", "shape": [-1] * (1 + (name in description.list_names))}
                for name in description.text_names
            ],
            "outputs": [
                {"name": name, "datatype": DATATYPES[kind], "shape": [-1] * rank}
                for name, (kind, rank) in description.outputs.items()
            ],
        }
    )


def _addressed(service: Service, request: Request) -> Version:
    number = request.path_params.get("version")
    if number is not None and not (number.isascii() and number.isdigit() and len(number) <= 18):
        raise NotFoundError(f"no version {number[:80]!r}; versions are numbers")
    return service.models.version(request.path_params["model"], None if number is None else int(number))


async def _infer(service: Service, request: Request) -> Response:
    content, binary = _split(await read_body(request, service.limits), request.headers.get(HEADER_LENGTH))
    version = _addressed(service, request)  # only now: another may have taken its place while the body came
    asked = _Asked(content, version)
    inputs = content.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise InvalidRequestError("the body needs inputs, a list of tensors")
    columns: dict[str, list[Any]] = {}
    for number, one in enumerate(inputs):
        name, values, binary = _tensor(json_mapping(one, f"inputs[{number}]"), binary, version.description.list_names)
        if name in columns:
            raise InvalidRequestError(f"input {name[:80]!r} is given twice")
        columns[name] = values
    if binary:
        raise InvalidRequestError(f"{len(binary)} bytes behind the last tensor; correct the sizes")
    rows = rows_of_columns(columns, version.description.text_names, service.limits)
    answers = await attended(request, version.answer(rows, service.limits))
    return _response(version, asked, output_arrays(version.description, answers))


def _split(body: bytes, header: str | None) -> tuple[dict[str, Any], bytes]:
    """The JSON of a request, and the bytes behind it."""
    if header is None:
        return json_mapping(parsed(body)), b""
    if not (header.isascii() and header.isdigit() and int(header[:20]) <= len(body)):
        raise InvalidRequestError(f"{HEADER_LENGTH} is {header[:80]!r}, expected the length of the JSON in the body")
    return json_mapping(parsed(body[: int(header)])), body[int(header) :]


def _tensor(given: dict[str, Any], binary: bytes, list_names: Sequence[str]) -> tuple[str, list[Any], bytes]:
    """Name and texts of an input (lists of texts, for those of `list_names`), and the bytes that follow it."""
    name = given.get("name")
    if not isinstance(name, str):
        raise InvalidRequestError("an input has no name")
    if given.get("datatype") != "BYTES":
        raise InvalidRequestError(f"input {name[:80]!r} is {str(given.get('datatype'))[:80]!r}, expected BYTES: texts")
    shape = given.get("shape")
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidRequestError(f"input {name[:80]!r} has no shape, as in [2]")
    is_list = name in list_names
    if not (len(shape) == 2 if is_list else len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        expected = "[N, C]" if is_list else "[N] or [N, 1]"
        raise InvalidRequestError(f"input {name[:80]!r} has the shape {shape[:8]}, expected {expected}")
    size = _parameters(given).get("binary_data_size")
    if size is None:
        values = _flat(given.get("data"), name, shape if is_list else None)
    elif type(size) is int and 0 <= size <= len(binary):
        values, binary = _texts(binary[:size], name), binary[size:]
    else:
        raise InvalidRequestError(f"input {name[:80]!r}: binary_data_size is not that of bytes in the body")
    if len(values) != math.prod(shape):
        raise InvalidRequestError(f"input {name[:80]!r} has {len(values)} texts, its shape says {math.prod(shape)}")
    if is_list:
        values = [values[row * shape[1] : (row + 1) * shape[1]] for row in range(shape[0])]
    return name, values, binary


def _parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    return json_mapping(given.get("parameters") or {}, "parameters")


def _flat(data: Any, name: str, lists: Sequence[int] | None) -> list[Any]:
    """Texts, also where each is in a list of its own; those of lists of the shape `lists`, one after the other."""
    if not isinstance(data, list):
        raise InvalidRequestError(f"input {name[:80]!r} has no data")
    if lists is None:
        return [one[0] if isinstance(one, list) and len(one) == 1 else one for one in data]
    if not any(isinstance(one, list) for one in data):
        return data
    for number, one in enumerate(data):
        if not isinstance(one, list) or len(one) != lists[1]:
            found = f"{len(one)} texts" if isinstance(one, list) else f"a {type(one).__name__}"
            raise InvalidRequestError(
                f"input {name[:80]!r}: data[{number}] is {found}, the shape {list(lists)} says {lists[1]} texts; "
                'fill lists up with ""'
            )
    return [text for one in data for text in one]


def _texts(binary: bytes, name: str) -> list[str]:
    """Texts of which each stands behind its length."""
    texts, at = [], 0
    while at < len(binary):
        end = at + _LENGTH.size
        if end <= len(binary):
            end += _LENGTH.unpack_from(binary, at)[0]
        if end > len(binary) or end < at + _LENGTH.size:
            raise InvalidRequestError(f"input {name[:80]!r}: the bytes end inside a text")
        try:
            texts.append(binary[at + _LENGTH.size : end].decode("utf-8"))
        except UnicodeDecodeError:
            raise InvalidRequestError(f"input {name[:80]!r}: text {len(texts)} is not UTF-8") from None
        at = end
    return texts


class _Asked:
    """The outputs that a request asks for, and in which form; its `id` stands in the answer.

    Args:
      content: of the request.
      version: whose outputs may be asked for.

    Raises:
      InvalidRequestError: the model has no such output, or a field cannot be taken.
    """

    def __init__(self, content: Mapping[str, Any], version: Version) -> None:
        self.id = returned(content.get("id"), "id")
        by_default = flag(_parameters(content), "binary_data_output", False)
        given = content.get("outputs") or []
        if not isinstance(given, list):
            raise InvalidRequestError("outputs is no list")
        known = version.description.outputs
        self.is_binary: dict[str, bool] = dict.fromkeys(() if given else known, by_default)
        for number, one in enumerate(given):
            output = json_mapping(one, f"outputs[{number}]")
            name = output.get("name")
            if not isinstance(name, str) or name not in known:
                raise InvalidRequestError(f"no output {str(name)[:80]!r}; {version.name} has {', '.join(known)}")
            parameters = _parameters(output)
            if parameters.get("classification"):
                raise InvalidRequestError("classification is not offered; ask for labels and probabilities")
            self.is_binary[name] = flag(parameters, "binary_data", by_default)


def _response(version: Version, asked: _Asked, arrays: dict[str, NDArray[Any]]) -> Response:
    outputs, parts = [], []
    for name, is_binary in asked.is_binary.items():
        array = arrays[name]
        kind = version.description.outputs[name][0]
        output: dict[str, Any] = {"name": name, "datatype": DATATYPES[kind], "shape": list(array.shape)}
        if is_binary:
            parts.append(_bytes(array))
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            flat = array.ravel().tolist()
            output["data"] = [text.decode() for text in flat] if kind == TEXT else flat
        outputs.append(output)
    answer = {"model_name": version.name, "model_version": str(version.number), "outputs": outputs}
    if isinstance(asked.id, str):
        answer["id"] = asked.id
    if not parts:
        return json_response(answer)
    head = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(
        b"".join([head, *parts]), headers={HEADER_LENGTH: str(len(head))}, media_type="application/octet-stream"
    )


def _bytes(array: NDArray[Any]) -> bytes:
    if array.dtype != object:
        return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return b"".join(_LENGTH.pack(len(text)) + text for text in array.ravel())
