"""TensorFlow Serving's REST protocol: predict, classify, regress, status, metadata.

    GET  /v1/models/NAME[/versions/N]              state of the loaded version
    GET  /v1/models/NAME[/versions/N]/metadata     signatures
    POST /v1/models/NAME[/versions/N]:predict      {"instances": [...]} or {"inputs": {...}}
    POST /v1/models/NAME[/versions/N]:classify     {"examples": [...]} -> labels with their scores
    POST /v1/models/NAME[/versions/N]:regress      {"examples": [...]} -> a number each

Requests are of the signatures `text` and `single_text`, whose names may be left out. Those over token ids are served by
TensorFlow Serving itself.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.errors import InvalidRequestError, NotFoundError, RequestError
from serving.models import Version
from serving.rows import Row
from serving.service import Service, attended, endpoint, json_mapping, json_response, read_json
from serving.settings import RequestLimits
from tasks import exports
from tasks.answers import Answer, Outputs

PATH = re.compile(
    r"(?P<name>[^/:]+)(/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?(?P<verb>:[a-z]+|/metadata)?"
)
TEXT_SIGNATURES = ("text", "single_text")


def routes(service: Service) -> list[Route]:
    """The paths of the protocol."""
    return [
        Route("/v1/models/{path:path}", endpoint(service, "tensorflow.get", _get, _error), methods=["GET"]),
        Route("/v1/models/{path:path}", endpoint(service, "tensorflow.post", _post, _error), methods=["POST"]),
    ]


def _error(error: RequestError) -> dict[str, str]:
    return {"error": str(error)}


async def _get(service: Service, request: Request) -> Response:
    version, verb = _addressed(service, request)
    if verb == "/metadata":
        request.scope["operation"] = "tensorflow.metadata"
        return json_response(
            {
                "model_spec": {"name": version.name, "signature_name": "", "version": str(version.number)},
                "metadata": {"signature_def": {"signature_def": version.description.signatures}},
            }
        )
    if verb:
        raise NotFoundError(f"{verb} is asked for with POST")
    request.scope["operation"] = "tensorflow.status"
    status = {
        "version": str(version.number),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return json_response({"model_version_status": [status]})


async def _post(service: Service, request: Request) -> Response:
    body = json_mapping(await read_json(request, service.limits))
    version, verb = _addressed(service, request)
    handlers = {":predict": _predict, ":classify": _classify, ":regress": _regress}
    if verb not in handlers:
        raise NotFoundError(f"no {verb or 'POST without a verb'}; expected {', '.join(handlers)}")
    request.scope["operation"] = f"tensorflow.{verb[1:]}"
    require_text_signature(body.get("signature_name", ""))
    return json_response(await handlers[verb](service, request, version, body))


def require_text_signature(name: Any) -> None:
    """Refuses signatures on token ids.

    Raises:
      InvalidRequestError: the name is of another signature.
    """
    if name not in ("", *TEXT_SIGNATURES):
        raise InvalidRequestError(
            f"signature_name is {str(name)[:80]!r}; this server answers texts: {' or '.join(TEXT_SIGNATURES)}"
        )


def class_scores(version: Version, answers: Sequence[Answer]) -> list[list[tuple[str, float]]]:
    """Labels with their scores, in the order of the classes.

    Raises:
      InvalidRequestError: the model does not classify.
    """
    if not isinstance(answers[0].get("probabilities"), dict):
        raise InvalidRequestError(f"model {version.name} does not classify; ask with :predict")
    return [list(answer["probabilities"].items()) for answer in answers]


def numbers(version: Version, answers: Sequence[Answer]) -> list[float]:
    """The numbers that a model predicts.

    Raises:
      InvalidRequestError: it predicts something else.
    """
    if not exports.reader(version.description.problem_type).predicts_number:
        raise InvalidRequestError(f"model {version.name} does not predict a number; ask with :predict or :classify")
    return [answer["label"] for answer in answers]


def _addressed(service: Service, request: Request) -> tuple[Version, str]:
    """The version that a path names, and what it asks for."""
    match = PATH.fullmatch(request.path_params["path"])
    if match is None:
        raise NotFoundError("no such path; expected /v1/models/NAME, /versions/N, then :predict, :classify, :regress")
    if match["label"]:
        raise NotFoundError(f"no version label {match['label'][:80]!r}; name a version by its number")
    number = int(match["version"]) if match["version"] else None
    return service.models.version(match["name"], number), match["verb"] or ""


async def _predict(service: Service, request: Request, version: Version, body: dict[str, Any]) -> Any:
    if ("instances" in body) == ("inputs" in body):
        raise InvalidRequestError("the body needs instances (a list of rows) or inputs (lists by input name), not both")
    names = version.description.text_names
    by_row = "instances" in body
    if by_row:
        rows = _rows_of_instances(body["instances"], names, service.limits)
    else:
        rows = rows_of_columns(body["inputs"], names, service.limits)
    answers = await attended(request, version.answer(rows, service.limits))
    outputs = exports.reader(version.description.problem_type).outputs(answers)
    return {"predictions": _by_row(outputs)} if by_row else {"outputs": _by_column(outputs)}


async def _classify(service: Service, request: Request, version: Version, body: dict[str, Any]) -> Any:
    return {"result": class_scores(version, await _examples(service, request, version, body))}


async def _regress(service: Service, request: Request, version: Version, body: dict[str, Any]) -> Any:
    return {"result": numbers(version, await _examples(service, request, version, body))}


async def _examples(service: Service, request: Request, version: Version, body: dict[str, Any]) -> list[Answer]:
    examples = body.get("examples")
    if not isinstance(examples, list):
        raise InvalidRequestError("the body needs examples, a list of objects")
    service.limits.check_count(len(examples))
    context = json_mapping(body.get("context", {}), "context")
    rows = [
        {name: _feature(value) for name, value in (context | json_mapping(example, f"examples[{index}]")).items()}
        for index, example in enumerate(examples)
    ]
    return await attended(request, version.answer(rows, service.limits))


def _feature(value: Any) -> Any:
    """A feature of an example is a value, or a list with it."""
    return _text(value[0] if isinstance(value, list) and len(value) == 1 else value)


def _rows_of_instances(instances: Any, names: Sequence[str], limits: RequestLimits) -> list[Row]:
    if not isinstance(instances, list):
        raise InvalidRequestError("instances is no list")
    limits.check_count(len(instances))
    return [
        {key: _text(value) for key, value in one.items()} if isinstance(one, dict) and "b64" not in one
        else {names[0]: _text(one)}
        for one in instances
    ]  # fmt: skip


def rows_of_columns(columns: Any, names: Sequence[str], limits: RequestLimits) -> list[Row]:
    """Rows from lists by input name; a list of one value holds for every row, as in the signature.

    Args:
      columns: lists by name, or one list, of the first input.
      names: of the inputs.
      limits: of the number of rows.

    Raises:
      InvalidRequestError: no lists, or lists of different lengths.
      UnprocessableError: too many rows, or none.
    """
    if isinstance(columns, list):
        columns = {names[0]: columns}
    columns = json_mapping(columns, "inputs")
    for name, values in columns.items():
        if not isinstance(values, list):
            raise InvalidRequestError(f"input {name[:80]!r} is no list")
    count = max(map(len, columns.values()), default=0)
    limits.check_count(count)
    for name, values in columns.items():
        if len(values) not in (1, count):
            raise InvalidRequestError(
                f"input {name[:80]!r} has {len(values)} values, another {count}; give equally many"
            )
    return [
        {name: _text(values[row] if len(values) > 1 else values[0]) for name, values in columns.items()}
        for row in range(count)
    ]


def _text(value: Any) -> Any:
    """A text, given as a string or as the base64 of its bytes; other values are left to the check of rows."""
    if not isinstance(value, dict):
        return value
    if value.keys() != {"b64"} or not isinstance(value["b64"], str):
        raise InvalidRequestError('a text is a string, or {"b64": "..."}')
    try:
        return base64.b64decode(value["b64"], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidRequestError("b64 is not the base64 of a text in UTF-8") from None


def _by_row(outputs: Outputs) -> list[Any]:
    """One object a row; where there is one output alone, its value."""
    if len(outputs) == 1:
        return next(iter(outputs.values()))
    return [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]


def _by_column(outputs: Outputs) -> Any:
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs
