"""Damaged files of every kind: read, or refused in one line. Seconds by default, minutes with `-m slow`."""

import contextlib
import dataclasses
import gzip
import io
import itertools
import json
import logging
import lzma
import os
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from common.checkpoints import latest_checkpoint
from common.errors import BertError
from common.files import file_digest
from common.run_directory import RunDirectory
from estimator.hooks.metrics_log import MetricsLog
from estimator.hooks.periodic_evaluation import earlier_scores
from estimator.learning_curve import curves
from export.conversion import describe
from modeling.checkpoints.locate import locate_checkpoint
from modeling.checkpoints.restore import verify_checkpoint
from modeling.config import BertConfig
from processors.entities.source import SentenceFiles
from processors.entities.tagged_file import DEFAULT_FORM
from processors.pretraining.checks import kind_of_records
from processors.pretraining.corpus import CorpusReader
from processors.pretraining.instance_records import InstanceSerializer
from processors.pretraining.instances import TrainingInstance
from processors.records import record_sets
from processors.records.manifests import manifest_path, write_manifest_of
from processors.squad.examples import SquadReader
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, Split, TableSpec, parse_labels
from processors.text_lines import read_text_lines
from serving.lines import answer_lines
from serving.predictor import _tokenizer_settings
from tasks.span.files import stored_threshold
from tests.support import tiny
from tests.support.mutations import damaged
from tokenization import WORDPIECE_TOKENS, BulkTokenizer, ByteBpeTokenizer, check_stated_settings, load_vocab
from tokenization.kinds import KINDS, Asked

FEW, MANY = 60, 3000
ROWS = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in tiny.rows(6))
OBJECTS = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in tiny.rows(6))
SENTENCES = "# id = 1\nAnn\tNNP\tB-person\nBerg\tNNP\tI-person\nran\tVBD\tO\n\nOslo\tNNP\tB-place\n" * 2
QUESTION = {"id": "1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}], "is_impossible": False}
SQUAD = {"version": "2.0", "data": [{"title": "a", "paragraphs": [{"context": "Ann ran.", "qas": [QUESTION]}]}]}
QUESTION_ROW = {"id": "1", "context": "Ann ran.", "question": "Who?", "answers": {"text": ["Ann"], "answer_start": [0]}}
MRQA_QUESTION = {
    "qid": "1", "question": "Who?", "answers": ["Ann"],
    "detected_answers": [{"text": "Ann", "char_spans": [[0, 2]]}],
}  # fmt: skip
MRQA = [{"header": {"dataset": "a"}}, {"id": "", "context": "Ann ran.", "qas": [MRQA_QUESTION]}]
RUN = {"created": "x", "identity": {"task": "table", "labels": ["a", "b"]}, "flags": {"data_dir": "x", "seed": 1}}
TOKENIZER = {
    "do_lower_case": True, "tokenizer_class": "BertTokenizer", "strip_accents": None, "unk_token": "[UNK]",
    "added_tokens_decoder": {"0": {"content": "[PAD]"}},
}  # fmt: skip
EVENT = {"event": "periodic_eval", "time": 1.5, "step": 5, "metric": "loss", "value": 0.5, "loss": 0.5}


@dataclasses.dataclass(frozen=True)
class Reader:
    """A file that a person may give, and what reads it.

    Args:
      name: of the file.
      content: of a file that is whole.
      read: called with the path.
    """

    name: str
    content: bytes
    read: Callable[[Path], Any]


def table(path: Path) -> None:
    """Reads a table as a training does."""
    spec = TableSpec(columns=Columns("text", None, "label"), splits={"train": Split(str(path))}, dev_fraction=0.0)
    processor = TableProcessor(spec, data_dir=str(path.parent))
    processor.get_labels()
    consume(processor.get_train_examples(str(path.parent)))


def questions(path: Path) -> None:
    """Reads questions as a training, an evaluation and a prediction do."""
    for learns, is_training, version_2, skips in (
        (True, True, True, False),
        (True, True, False, True),
        (True, False, True, True),
        (False, False, False, True),
    ):
        with contextlib.suppress(BertError):
            reader = SquadReader(path, learns, is_training, version_2, skips)
            consume(reader)
            assert "\n" not in reader.report()
    consume(SquadReader(path, True, True, True))


def sentences(path: Path) -> None:
    """Reads tagged sentences as a training and a prediction do; each word has its tag."""
    source = SentenceFiles({"train": path, "test": path}, DEFAULT_FORM)
    for split in ("train", "test"):
        for sentence in source.sentences(split):
            assert len(sentence.words) == len(sentence.tags or sentence.words)
            "".join(sentence.words).encode()


def consume(items: Iterable[Any]) -> None:
    for _ in items:
        pass


def events(path: Path) -> None:
    found = MetricsLog(path.parent).read()
    earlier_scores(found, "loss", 100)
    curves(found)


def vocabulary(path: Path) -> None:
    load_vocab(path)
    BulkTokenizer(str(path)).encode(["a good film"])


class Echo:
    """Answers a row with its own texts."""

    text_names = required_names = ("text_a", "text_b")
    list_names = ()

    def answer(self, rows: Any, batch_size: int) -> list[dict[str, Any]]:
        del batch_size
        return [{"label": row} for row in rows]


def lines(path: Path) -> None:
    with path.open("rb") as source:
        answer_lines(Echo(), source, io.StringIO(), 8)


def zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def checkpoint_state(path: Path) -> None:
    for step in (0, 5, 10):
        for suffix in ("index", "data-00000-of-00001"):
            (path.parent / f"model.ckpt-{step}.{suffix}").touch()
    with contextlib.suppress(BertError):
        latest_checkpoint(path.parent)
    locate_checkpoint(path.parent)


def small_json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def wordpiece_json(path: Path) -> None:
    KINDS["wordpiece"].load(path, Asked(), WORDPIECE_TOKENS)


def byte_bpe(path: Path) -> None:
    (path.parent / "merges.txt").write_text("#version: 0.2\na b\n")
    ByteBpeTokenizer(path)


WORDPIECE_JSON = {
    "added_tokens": [],
    "normalizer": {
        "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {
        "type": "WordPiece", "continuing_subword_prefix": "##",
        "vocab": {token: index for index, token in enumerate(tiny.TOKENS[:8])},
    },
}  # fmt: skip
BYTE_BPE_JSON = {
    "added_tokens": [{"id": 0, "content": "<s>", "special": True}],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
    "model": {
        "type": "BPE", "vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6},
        "merges": [["a", "b"]],
    },
}  # fmt: skip

READERS = [
    Reader("train.tsv", ROWS.encode(), table),
    Reader("train.csv", ROWS.replace("\t", ",").encode(), table),
    Reader("train.jsonl", OBJECTS.encode(), table),
    Reader("train.json", json.dumps([json.loads(line) for line in OBJECTS.splitlines()]).encode(), table),
    Reader("train.tsv.gz", gzip.compress(ROWS.encode()), table),
    Reader("train.tsv.xz", lzma.compress(ROWS.encode()), table),
    Reader("train.tsv.zip", zipped("train.tsv", ROWS.encode()), table),
    Reader("train.json", json.dumps(SQUAD).encode(), questions),
    Reader("rows.json", json.dumps([QUESTION_ROW]).encode(), questions),
    Reader("mrqa.jsonl", "".join(json.dumps(line) + "\n" for line in MRQA).encode(), questions),
    Reader("train.conll", SENTENCES.encode(), sentences),
    Reader("train.jsonl", b'{"tokens": ["Ann", "ran"], "tags": ["B-person", "O"]}\n' * 3, sentences),
    Reader("train.jsonl", b'{"text": "Ann ran", "entities": [[0, 3, "person"]]}\n' * 3, sentences),
    Reader("train.jsonl", b'{"text": "Ann ran", "label": {"person": {"Ann": [[0, 2]]}}}\n' * 3, sentences),
    Reader("lines.txt", b"a text\na text ||| another\n\n", lambda path: consume(read_text_lines(path))),
    Reader("corpus.txt", b"a text\nmore\n\nanother\n" * 20, lambda path: consume(CorpusReader([path]).documents())),
    Reader("labels.txt", b"neg\npos\n", lambda path: parse_labels(str(path))),
    Reader("input", b'a\tb\n{"text_a": "a", "text_b": "b"}\na\tb\n', lines),
    Reader("bert_config.json", json.dumps(tiny.CONFIG).encode(), BertConfig.from_json_file),
    Reader("vocab.txt", "".join(f"{token}\n" for token in tiny.TOKENS).encode(), vocabulary),
    Reader("tokenizer.json", small_json(WORDPIECE_JSON), wordpiece_json),
    Reader("tokenizer.json", small_json(BYTE_BPE_JSON), ByteBpeTokenizer),
    Reader("vocab.json", b'{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "ab": 6}', byte_bpe),
    Reader("tokenizer_config.json", json.dumps(TOKENIZER).encode(), lambda path: check_stated_settings({}, path)),
    Reader("added_tokens.json", b'{"<a>": 5}', lambda path: check_stated_settings({}, path)),
    Reader("run.json", json.dumps(RUN).encode(), lambda path: RunDirectory(path.parent).check({"task": "table"})),
    Reader("run.json", json.dumps(RUN).encode(), lambda path: describe(path.parent)),
    Reader("null_threshold.json", b'{"null_score_diff_threshold": 1.5}', lambda path: stored_threshold(path.parent)),
    Reader("metrics.jsonl", (json.dumps(EVENT) + "\n").encode() * 3, events),
    Reader("checkpoint", b'model_checkpoint_path: "model.ckpt-10"\nall_model_checkpoint_paths: "model.ckpt-5"\n',
           checkpoint_state),
]  # fmt: skip


def survives(reader: Reader, folder: Path, count: int, seed: int) -> None:
    """Reads damaged versions of a file; an error must be a line for the user."""
    path = folder / reader.name
    for number, content in enumerate(itertools.islice(damaged(reader.content, seed), count)):
        path.write_bytes(content)
        told = ""
        try:
            reader.read(path)
        except BertError as error:
            told = str(error)
        except Exception as error:
            raise AssertionError(f"{reader.name} {seed} {number}: {content[:300]!r}") from error
        assert "\n" not in told, f"{reader.name} {seed} {number}: {told}"
        assert len(told) < 2000, f"{reader.name} {seed} {number}: {told[:200]}"


@pytest.fixture(autouse=True)
def quiet():
    """Thousands of warnings say nothing."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("reader", READERS, ids=[f"{index}-{reader.name}" for index, reader in enumerate(READERS)])
def test_small_files(reader, tmp_path):
    path = tmp_path / reader.name
    path.write_bytes(reader.content)
    reader.read(path)
    survives(reader, tmp_path, FEW, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS, ids=[f"{index}-{reader.name}" for index, reader in enumerate(READERS)])
def test_small_files_at_length(reader, tmp_path):
    survives(reader, tmp_path, MANY, seed=2)


def records(path: Path) -> Path:
    instance = TrainingInstance([2, 5, 4, 3, 7, 3], [0, 0, 0, 0, 1, 1], [2], [6], True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for _ in range(4):
            writer.write(InstanceSerializer(8, 3).serializer()(instance))
    return path


def record_readers(folder: Path) -> list[Reader]:
    path = records(folder / "train.tf_record")
    write_manifest_of(path, {"fingerprint": "a", "sha256": file_digest(path), "num_examples": 4, "num_records": 4})
    manifest = manifest_path(path)
    return [
        Reader(manifest.name, manifest.read_bytes(), lambda _: record_sets.load(path, "a")),
        Reader(manifest.name, manifest.read_bytes(), lambda _: record_sets.count_records(path)),
        Reader("other.tf_record", path.read_bytes(), lambda other: kind_of_records([other], 8, 3, 10)),
        Reader("other.tf_record", path.read_bytes(), lambda other: record_sets.given([other])),
    ]


def weight_readers(model: Path, folder: Path) -> list[Reader]:
    from safetensors.numpy import save

    data = (model / "bert_model.ckpt.data-00000-of-00001").read_bytes()
    index = (model / "bert_model.ckpt.index").read_bytes()
    (folder / "a.data-00000-of-00001").write_bytes(data)
    (folder / "b.index").write_bytes(index)
    with tf.Graph().as_default():
        weights = save({"embeddings.word_embeddings.weight": tf.make_ndarray(tf.make_tensor_proto([[1.0, 2.0]]))})
    shards = {"weight_map": {"embeddings.word_embeddings.weight": "model-1.safetensors"}}
    (folder / "model-1.safetensors").write_bytes(weights)
    return [
        Reader("other.safetensors", weights, lambda path: verify_checkpoint(str(path))),
        Reader("model.safetensors.index.json", json.dumps(shards).encode(), lambda path: verify_checkpoint(str(path))),
        Reader("b.data-00000-of-00001", data, lambda path: verify_checkpoint(str(path))),
        Reader("a.index", index, lambda path: verify_checkpoint(str(path))),
    ]


def export_readers(folder: Path) -> list[Reader]:
    (folder / "assets").mkdir()
    settings = {"problem_type": "single_label", "inputs": ["text_a"], "do_lower_case": True}
    return [Reader(os.path.join("assets", "tokenizer.json"), json.dumps(settings).encode(),  # noqa: PTH118
                   lambda path: _tokenizer_settings(path.parents[1]))]  # fmt: skip


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY // 2, marks=pytest.mark.slow)])
def test_records_weights_and_exports(tiny_model, tmp_path, count):
    for reader in (*record_readers(tmp_path), *weight_readers(tiny_model, tmp_path), *export_readers(tmp_path)):
        path = tmp_path / reader.name
        path.write_bytes(reader.content)
        reader.read(path)
        survives(reader, tmp_path, count, seed=3)
