"""Fields of a JSON request: one that would change the answer is read, or refused, and never passed over."""

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any

from common.errors import closest, one_line
from serving.errors import InvalidRequestError, UnprocessableError

OFFERED: Mapping[str, Collection[str]] = {
    "truncation_direction": ("right", "Right"),
    "output_dtype": ("float", "float32"),
    "prompt": (),
    "prompt_name": (),
    "truncate_prompt_tokens": (),
}
"""Fields of text-embeddings-inference and of other servers of vectors, with the values that are taken besides null."""
ALIKE = 0.75
"""Of `difflib.SequenceMatcher.ratio`: a name that is as near to a known one is taken for a misspelt one."""


def flag(body: Mapping[str, Any], name: str, default: bool) -> bool:
    """A field that is true or false; null, or no field, is the default.

    Raises:
      InvalidRequestError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise InvalidRequestError(f"{name} is {one_line(json.dumps(value), 80)}, expected true or false")
    return value


def whole_number(body: Mapping[str, Any], name: str) -> int | None:
    """A field that is a whole number; None where it is null or not there.

    Raises:
      InvalidRequestError: it is something else.
    """
    value = body.get(name)
    if value is not None and type(value) is not int:
        raise InvalidRequestError(f"{name} is no whole number")
    return value


def check_fields(body: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuses what is not offered, and names that are nearly those of known fields.

    Other names are left alone, as the servers of these protocols do: clients send some that do not concern the answer,
    such as the `options` of Hugging Face.

    Args:
      body: of the request.
      known: names of its fields, apart from `OFFERED`.

    Raises:
      InvalidRequestError: a name is nearly that of a known field.
      UnprocessableError: a field has a value that is not offered.
    """
    names = {*known, *OFFERED}
    for name in body.keys() - names:
        if difflib.get_close_matches(name.lower(), names, cutoff=ALIKE):
            raise InvalidRequestError(f"unknown field {one_line(repr(name), 80)}; {closest(name.lower(), names)}")
    for name, values in OFFERED.items():
        value = body.get(name)
        if value is not None and value not in values:
            taken = " or ".join(map(repr, values)) or "null"
            raise UnprocessableError(f"{name} is {one_line(repr(value), 80)}; this server takes {taken} alone")
