"""Corpus to pretraining records: upstream's transform of a corpus in memory, or the same block by block at any size.

`exact` keeps the corpus in memory as upstream does, and with the same seed gives the same records in the same order.

`stream` cuts the corpus into blocks of consecutive documents, applies that transform to each block with a generator
seeded by the block's number, and writes consecutive blocks to a shard. It differs in that random next sentences, and
neighbours after the shuffle, come from the same block; a document longer than a block is cut. Blocks are made on any
number of processes and written in order, so the result depends on corpus, settings, seed, number of shards and size of
blocks alone. A shard appears when it is whole, with a manifest; the next run keeps it.
"""

import collections
import dataclasses
import itertools
import json
import logging
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from errors import DataError, FlagError
from processors import records
from processors.files import write_atomically
from processors.masking import Alphabet
from processors.pretraining_corpus import CorpusReader, CorpusStatistics, CorpusTokenizer, DuplicateCounter, Lines
from processors.pretraining_instances import InstanceSettings, shuffled_instances
from processors.pretraining_records import (
    REPORT_SUFFIX,
    InstanceSerializer,
    read_manifest,
    record_sink,
    remove_records,
    shard_paths,
    write_manifest,
)
from processors.workers import ordered_map

STREAM_FROM_BYTES = 64 << 20
"""Corpora of larger files are streamed unless a flag says otherwise: in memory they would take gigabytes."""
BLOCK_SIZE = 1 << 20

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PretrainingData:
    """Everything that decides the records, and how they are made.

    Args:
      files: the corpus, in order.
      outputs: record files to write.
      tokenizer: a `tokenization.BulkTokenizer`.
      instances: how documents become instances.
      seed: of all random choices.
      segmented: blanks in the corpus separate words, whose pieces whole-word masking keeps together.
      pad: write rows of one length.
      num_shards: files to write in place of a single output.
      block_size: characters of text in a block of the streaming mode.
    """

    files: Sequence[Path]
    outputs: Sequence[Path]
    tokenizer: Any
    instances: InstanceSettings = dataclasses.field(default_factory=InstanceSettings)
    seed: int = 12345
    segmented: bool = False
    pad: bool = True
    num_shards: int | None = None
    block_size: int = BLOCK_SIZE

    @property
    def shards(self) -> list[Path]:
        """The files to write."""
        return shard_paths(self.outputs, self.num_shards)

    @property
    def report_path(self) -> Path:
        """Where the corpus report goes: beside the first output."""
        return self.outputs[0].with_name(self.outputs[0].name + REPORT_SUFFIX)

    @property
    def serializer(self) -> InstanceSerializer:
        """Instances to bytes."""
        settings = self.instances
        limit = settings.masking.max_predictions_per_seq
        return InstanceSerializer(settings.max_seq_length, limit, settings.next_sentence, self.pad)

    def fingerprint(self, streaming: bool) -> str:
        """Digest of corpus and settings: equal digests give equal records."""
        inputs = {
            "tokenizer": self.tokenizer.fingerprint(),
            "instances": dataclasses.asdict(self.instances),
            "seed": self.seed,
            "segmented": self.segmented,
            "pad": self.pad,
            "shards": len(self.shards),
            "block_size": self.block_size if streaming else None,
        }
        return records.fingerprint(inputs, self.files)


def exact(data: PretrainingData) -> dict[str, Any]:
    """Upstream's transform, the whole corpus in memory.

    Returns:
      The report, which is written beside the output, too.

    Raises:
      DataError: no text, too little of it for a pair, or files that cannot be read or written.
    """
    started = time.monotonic()
    digest = data.fingerprint(streaming=False)
    manifests = [read_manifest(path, digest) for path in data.shards]
    if all(manifests) and data.report_path.is_file():
        log.info("keeping %s: made from the same corpus and settings", ", ".join(map(str, data.shards)))
        return json.loads(data.report_path.read_text(encoding="utf-8"))
    reader, duplicates, statistics = CorpusReader(data.files), DuplicateCounter(), CorpusStatistics()
    tokenize = CorpusTokenizer(data.tokenizer, data.segmented)
    documents = []
    for block in reader.blocks(BLOCK_SIZE, cut_documents=False):
        _count_duplicates(block, duplicates)
        made, counts = tokenize.documents(block)
        documents += made
        statistics.add(counts)
    _check_text(data, reader, statistics.documents)
    alphabet = Alphabet.of_ids(data.tokenizer.vocab)
    serialize = data.serializer.serializer()
    serialized = shuffled_instances(documents, alphabet, data.instances, random.Random(data.seed), serialize)
    _check_instances(len(serialized))
    with record_sink(data.shards) as sink:
        sink.write(serialized)
    for path, count in zip(data.shards, sink.counts, strict=True):
        write_manifest(path, digest, data.serializer.spec, count, {})
    return _report(data, statistics, reader, duplicates, len(serialized), started)


def stream(data: PretrainingData, num_workers: int = 1) -> dict[str, Any]:
    """The same transform block by block: memory does not grow with the corpus, and shards that are there are kept.

    Args:
      data: corpus, outputs, settings.
      num_workers: processes that make blocks; 1 makes them in this one. The records are the same.

    Returns:
      The report, which is written beside the output, too.

    Raises:
      DataError: no text, too little of it for a pair, or files that cannot be read or written.
      FlagError: more shards than blocks.
    """
    started = time.monotonic()
    reader, duplicates = CorpusReader(data.files), DuplicateCounter()
    num_blocks = num_documents = 0
    for block in reader.blocks(data.block_size, cut_documents=True):
        _count_duplicates(block, duplicates)
        num_blocks += 1
        num_documents += len(block)
    _check_text(data, reader, num_documents)
    _check_shards(data, num_blocks)
    statistics, num_records = CorpusStatistics(), 0
    with ordered_map(BlockMaker(data), num_workers) as make:
        for path, digest, blocks in _shards(data, reader, num_blocks):
            manifest = read_manifest(path, digest)
            if manifest is None:
                count, counts = _write_shard(path, make(blocks))
                write_manifest(path, digest, data.serializer.spec, count, counts.to_json())
                log.info("wrote %d records to %s", count, path)
            else:
                collections.deque(blocks, maxlen=0)  # read past its part of the corpus
                count, counts = manifest["num_records"], CorpusStatistics.from_json(manifest["statistics"])
                log.info("keeping %d records of %s", count, path)
            statistics.add(counts)
            num_records += count
    if num_records == 0:
        remove_records(data.shards)
    _check_instances(num_records)
    return _report(data, statistics, reader, duplicates, num_records, started)


class BlockMaker:
    """Makes the records of one block. Can be pickled.

    Args:
      data: corpus, outputs, settings.
    """

    def __init__(self, data: PretrainingData) -> None:
        self._data = data
        self._tokenize = CorpusTokenizer(data.tokenizer, data.segmented)

    def __call__(self, block: tuple[int, list[Lines]]) -> tuple[list[bytes], CorpusStatistics]:
        """Serialized instances of a block in their final order, and the counts of its text.

        Args:
          block: its number in the corpus, which with the seed decides all random choices, and its documents.
        """
        number, texts = block
        data = self._data
        documents, counts = self._tokenize.documents(texts)
        # A text, unlike a tuple, seeds a generator the same way in every version of Python and in every process.
        rng = random.Random(f"{data.seed}/{number}")
        alphabet = Alphabet.of_ids(data.tokenizer.vocab)
        return shuffled_instances(documents, alphabet, data.instances, rng, data.serializer.serializer()), counts


Blocks = Iterable[tuple[int, list[Lines]]]
Made = Iterator[tuple[list[bytes], CorpusStatistics]]


def _shards(data: PretrainingData, reader: CorpusReader, num_blocks: int) -> Iterator[tuple[Path, str, Blocks]]:
    """Each shard's file, fingerprint and blocks, which have to be used up before the next shard's are asked for."""
    digest = data.fingerprint(streaming=True)
    numbered = enumerate(reader.blocks(data.block_size, cut_documents=True))
    shards = data.shards
    for index, path in enumerate(shards):
        size = num_blocks * (index + 1) // len(shards) - num_blocks * index // len(shards)
        yield path, records.fingerprint({"data": digest, "shard": index}, []), itertools.islice(numbered, size)


def _write_shard(path: Path, made: Made) -> tuple[int, CorpusStatistics]:
    statistics = CorpusStatistics()
    with record_sink([path]) as sink:
        for serialized, counts in made:
            sink.write(serialized)
            statistics.add(counts)
    return sum(sink.counts), statistics


def _count_duplicates(block: list[Lines], duplicates: DuplicateCounter) -> None:
    for lines in block:
        duplicates.add(lines)


def _check_text(data: PretrainingData, reader: CorpusReader, num_documents: int) -> None:
    """Raises where there is nothing to learn from, and warns of what may not be meant."""
    names = ", ".join(map(str, data.files[:3])) + (", ..." if len(data.files) > 3 else "")
    if num_documents == 0:
        raise DataError(f"--input_file: {names}: no text, expected a sentence a line; check the files")
    if num_documents == 1 and data.instances.next_sentence:
        log.warning(
            "%s: only one document, so that no sentence can come from another: all pairs are true continuations; put "
            "blank lines between documents, or give --no_nsp", names,
        )  # fmt: skip
    if reader.undecodable:
        log.warning("%s: dropped bytes that are not UTF-8 from %d lines", names, reader.undecodable)
    if reader.cut:
        log.warning(
            "%s: cut %d times inside a document longer than --block_size=%d", names, reader.cut, data.block_size
        )
    if reader.run_on:
        log.warning(
            "%s does not end with a blank line (%d such files): its last document goes on in the next file, as only "
            "blank lines end documents", reader.run_on[0], len(reader.run_on),
        )  # fmt: skip


def _check_shards(data: PretrainingData, num_blocks: int) -> None:
    if num_blocks < len(data.shards):
        raise FlagError(
            f"{len(data.shards)} shards (--num_shards, --output_file), but the corpus makes {num_blocks} blocks of "
            f"--block_size={data.block_size} characters; ask for fewer shards, or smaller blocks"
        )


def _check_instances(count: int) -> None:
    if count == 0:
        raise DataError(
            "--input_file: no pair of sentences could be made from the corpus, expected a sentence a line and blank "
            "lines between documents; add text, or give --no_nsp"
        )


def _report(
    data: PretrainingData,
    statistics: CorpusStatistics,
    reader: CorpusReader,
    duplicates: DuplicateCounter,
    num_records: int,
    started: float,
) -> dict[str, Any]:
    """Writes and logs the report of a finished run."""
    report = {
        **statistics.summary(),
        **duplicates.summary(),
        "undecodable_lines": reader.undecodable,
        "instances": num_records,
        "files": [path.name for path in data.shards],
    }
    write_atomically(data.report_path, json.dumps(report, indent=2) + "\n")
    log.info(
        "%d documents, %d sentences (%d duplicates), %.2f%% unknown pieces, sentences of %s pieces at most (half: %s)",
        report["documents"], report["sentences"], report["duplicate_sentences"], 100 * report["unknown_piece_rate"],
        report["sentence_length_percentiles"]["100"], report["sentence_length_percentiles"]["50"],
    )  # fmt: skip
    seconds = max(time.monotonic() - started, 1e-9)
    log.info(
        "%d instances in %.1f s (%.0f/s); report in %s", num_records, seconds, num_records / seconds, data.report_path
    )
    return report
