"""Small compressed files that are large inside: refused in one line, in bounded memory."""

import gzip
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from common.errors import DataError
from processors import reading
from processors.pretraining import corpus
from processors.pretraining.corpus import CorpusReader
from processors.squad.examples import SquadReader
from processors.tables import json_rows
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, Split, TableSpec
from processors.text_lines import read_text_lines

ROOT = Path(__file__).resolve().parents[2]
MOST_MIB = 700
"""Most memory of a process that reads a hostile file: a small multiple of the longest line."""


def consume(items):
    for _ in items:
        pass


def read_table(path):
    spec = TableSpec(Columns("text", label="label"), splits={"train": Split(str(path))}, dev_fraction=0, labels="ab")
    consume(TableProcessor(spec, str(path.parent)).get_train_examples(str(path.parent)))


def read_corpus(path):
    consume(CorpusReader([path]).blocks(1 << 20, cut_documents=True))


def read_questions(path):
    consume(SquadReader(path))


READERS = {
    "tsv": ("train.tsv.gz", b"text\tlabel\n", b"a ", read_table),
    "tabs": ("train.tsv.gz", b"text\tlabel\n", b"ab\t", read_table),
    "csv": ("train.csv.gz", b'text,label\n"', b"a ", read_table),
    "quoted": ("train.csv.gz", b'text,label\n"', b"a\n", read_table),
    "header": ("train.csv.gz", b"", b"a ", read_table),
    "jsonl": ("train.jsonl.gz", b'{"text": "a", "label": "a"}\n{"text": "', b"a ", read_table),
    "first": ("train.jsonl.gz", b'{"text": "', b"a ", read_table),
    "nested": ("train.jsonl.gz", b'{"text": "a", "label": "a"}\n{"text": ', b'{"a":[', read_table),
    "array": ("train.json.gz", b'[{"text": "', b"a ", read_table),
    "items": ("train.json.gz", b"[", b'{"text": "a", "label": "a"}, ', read_table),
    "columns": ("train.json.gz", b'{"text": [', b'"a",\n', read_table),
    "squad": (
        "train.json.gz",
        b'{"data": [{"paragraphs": [{"context": "',
        b"a ",
        read_questions,
    ),
    "keys": ("train.json.gz", b"{", b'"a": 1, ', read_questions),
    "lines": ("text.txt.gz", b"the film\n", b"a ", lambda path: consume(read_text_lines(path))),
    "corpus": ("text.txt.gz", b"the film\n", b"a ", read_corpus),
}


def write(folder, name, size):
    file, head, unit, _ = READERS[name]
    path = folder / file
    with gzip.open(path, "wb", 6) as stream:
        stream.write(head)
        part = unit * (min(1 << 20, size) // len(unit))
        for _ in range(0, size, len(part)):
            stream.write(part)
    return path


@pytest.mark.parametrize("name", sorted(READERS))
def test_what_is_longer_than_a_limit_is_refused_in_a_line(name, tmp_path, monkeypatch):
    for module in (reading, corpus):
        monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    for module in (reading, json_rows, sys.modules["processors.json_stream"], sys.modules["processors.squad.forms"]):
        monkeypatch.setattr(module, "LARGEST_VALUE", 3000)
    monkeypatch.setattr(sys.modules["processors.json_stream"], "_READ_CHARACTERS", 100)
    path = write(tmp_path, name, 20_000)
    with pytest.raises(DataError) as refused:
        READERS[name][3](path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


def test_nested_brackets_take_the_memory_that_their_text_takes(tmp_path):
    path = tmp_path / "train.jsonl"
    row = {"text": "a", "label": "a", "unused": json.loads("[" * 36 + '"a"' + "]" * 36)}
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"label": "b"}) + "\n")
    tracemalloc.start()
    read_table(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(READERS))
def test_200_megabytes_of_a_line(name, tmp_path):
    path = write(tmp_path, name, 200 << 20)
    assert path.stat().st_size < 2 << 20
    code = (
        "import resource, sys, pathlib; from tests.processors import test_bounded_memory as here\n"
        "try: here.READERS[sys.argv[1]][3](pathlib.Path(sys.argv[2]))\n"
        "except here.DataError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *message, mib = done.stdout.splitlines()
    print(name, message, mib)
    assert len(message) == 1
    assert int(mib) < MOST_MIB
