"""Values of a JSON text one after the other, with the place of what is wrong."""

import io
import itertools
import json
import random
from pathlib import Path

import pytest

from common.errors import DataError
from processors import json_stream
from processors.json_stream import JsonStream


def stream(text, **options):
    return JsonStream(io.StringIO(text), Path("data.json"), "a list; check it", **options)


@pytest.fixture(params=[1, 3, 1 << 20])
def read_characters(request, monkeypatch):
    """Reads in parts that end anywhere."""
    monkeypatch.setattr(json_stream, "_READ_CHARACTERS", request.param)


@pytest.mark.usefixtures("read_characters")
def test_items_are_those_of_the_json_module():
    chance = random.Random(3)
    atoms = [None, True, -1, 12345.678, 1e300, "", 'a "quoted" \\ text', "\u20ac\U0001f600", [], {}]
    values = [{"a": chance.choices(atoms, k=4), "b": {"c": chance.choice(atoms)}} for _ in range(20)] + atoms
    for text in (json.dumps(values), json.dumps(values, indent=2), "\ufeff " + json.dumps(values, ensure_ascii=False)):
        reader = stream(text + "\n")
        assert list(reader.items()) == values
        assert reader.peek() == ""
        reader.end()


@pytest.mark.usefixtures("read_characters")
def test_values_and_keys_with_their_lines():
    reader = stream('{"a": 1,\n "b": [2, 3]}\n\n 45 \n67')
    assert {key: reader.value() for key in reader.object_keys()} == {"a": 1, "b": [2, 3]}
    found = []
    while reader.peek():
        found.append((reader.line, reader.value()))
    assert found == [(4, 45), (5, 67)]
    assert list(stream("{}").object_keys()) == list(stream("[ ]").items()) == []


@pytest.mark.usefixtures("read_characters")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1,\n2", "data.json:2: is not JSON that can be read (Expecting ',' delimiter, column 2); expected a list"),
        ("[1,\n2,", ":2: is not JSON that can be read (Expecting value, column 3)"),
        ("[1 2]", "(Expecting ',' delimiter, column 4)"),
        ('["a', "(Unterminated string starting at, column 2)"),
        ('[{"a" 1}]', "(Expecting ':' delimiter, column 7)"),
        ("[nil]", "(Expecting value, column 2)"),
        ("[" * 100_000, "(nested too deep, column 2)"),
        ("[1, " + "7" * 5000 + "]", "(Exceeds the limit (4300 digits)"),
    ],
)
def test_what_is_no_json(text, expected):
    with pytest.raises(DataError) as error:
        list(stream(text).items())
    assert expected in str(error.value)
    assert str(error.value).endswith("; expected a list; check it")


def test_the_rest_is_not_read_after_an_error():
    text = io.StringIO("[nil, " + " " * (8 << 20))
    with pytest.raises(DataError, match="Expecting value"):
        list(JsonStream(text, Path("data.json"), "a list").items())
    assert text.tell() < 2 << 20


@pytest.mark.parametrize("value", ['"' + "a" * 100, "[" + "1, " * 100, "7" * 100])
def test_a_value_that_is_too_large(value, monkeypatch):
    monkeypatch.setattr(json_stream, "_READ_CHARACTERS", 8)
    with pytest.raises(DataError, match=r"data.json:2: found a JSON value of more than 50 characters; expected a list"):
        list(stream("[1,\n" + value, largest=50).items())


def test_a_list_of_any_length_takes_the_memory_of_an_item(monkeypatch):
    monkeypatch.setattr(json_stream, "_READ_CHARACTERS", 64)

    class Endless(io.StringIO):
        def read(self, size=-1):
            return "".join(itertools.islice(self.parts, size))

        parts = itertools.chain("[", itertools.cycle("12, "))

    reader = JsonStream(Endless(), Path("data.json"), "a list", largest=100)
    assert sum(itertools.islice(reader.items(), 1000)) == 12_000
    assert len(reader._buffer) < 300
