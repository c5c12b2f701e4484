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

from common.errors import DataError, FlagError, one_line
from common.files import json_object, write_atomically
from common.workers import ordered_map
from processors.pretraining import packing
from processors.pretraining.corpus import (
    BEGINNING,
    CorpusReader,
    CorpusStatistics,
    CorpusTokenizer,
    DuplicateCounter,
    Lines,
    Place,
)
from processors.pretraining.instance_records import (
    read_manifest,
    record_sink,
    remove_records,
    write_manifest,
)
from processors.pretraining.pretraining_data import BLOCK_SIZE, PretrainingData
from processors.records import record_sets

STREAM_FROM_BYTES = 64 << 20
"""Corpora of larger files are streamed unless a flag says otherwise: in memory they would take gigabytes."""

Block = tuple[int, list[Lines]]
"""A block's number in the corpus, and its documents."""
Made = tuple[list[bytes], CorpusStatistics]
"""The records of a block, and the counts of its text."""

log = logging.getLogger(__name__)


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
    report = _read_report(data.report_path)
    if all(manifests) and report is not None:
        log.info("keeping %s: made from the same corpus and settings", ", ".join(map(str, data.shards)))
        return report
    reader, duplicates, statistics = data.reader(), DuplicateCounter(), CorpusStatistics()
    tokenize = CorpusTokenizer(data.tokenizer, data.segmented)
    documents = []
    for block in reader.blocks(BLOCK_SIZE, cut_documents=False):
        _count_duplicates(block, duplicates)
        made, counts = tokenize.documents(block)
        documents += made
        statistics.add(counts)
    _check_text(data, reader, statistics.documents)
    serialized = data.serialize(documents, random.Random(data.seed), statistics)
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
    survey = Survey(data)
    # One pass over the corpus for all shards: in a compressed file there is no quick way to a place.
    numbered = enumerate(data.reader().blocks(data.block_size, cut_documents=True))
    done = []
    with ordered_map(BlockMaker(data), num_workers) as make:
        for shard in survey.shards:
            blocks = itertools.islice(numbered, shard.num_blocks)
            result = finished(shard)
            if result is None:
                result = write_shard(data, shard, make(blocks))
            else:
                log.info("keeping %d records of %s", result[0], shard.path)
                collections.deque(blocks, maxlen=0)  # read past its part of the corpus
            done.append(result)
    return survey.report(done)


class BlockMaker:
    """Makes the records of one block. Can be pickled.

    Args:
      data: corpus, outputs, settings.
    """

    def __init__(self, data: PretrainingData) -> None:
        self._data = data
        self._tokenize = CorpusTokenizer(data.tokenizer, data.segmented)

    def __call__(self, block: Block) -> Made:
        """Serialized instances of a block in their final order, and the counts of its text.

        Args:
          block: its number in the corpus, which with the seed decides all random choices, and its documents.
        """
        number, texts = block
        data = self._data
        documents, counts = self._tokenize.documents(texts)
        # A text, unlike a tuple, seeds a generator the same way in every version of Python and in every process.
        return data.serialize(documents, random.Random(f"{data.seed}/{number}"), counts), counts


@dataclasses.dataclass(frozen=True)
class Shard:
    """One output file of the streaming mode, and the blocks that go into it. Can be pickled.

    Args:
      path: the file.
      digest: fingerprint of everything that it depends on.
      first_block: number of its first block.
      num_blocks: how many it has.
      start: where in the corpus the first one begins.
    """

    path: Path
    digest: str
    first_block: int
    num_blocks: int
    start: Place

    def blocks(self, data: PretrainingData) -> Iterator[Block]:
        """Its numbered blocks, read from where they begin."""
        blocks = data.reader(self.start).blocks(data.block_size, cut_documents=True)
        return itertools.islice(enumerate(blocks, self.first_block), self.num_blocks)


class Survey:
    """The first pass over a corpus that is streamed: checks it, and says which blocks go to which shard.

    Args:
      data: corpus, outputs, settings.

    Attributes:
      shards: in order.

    Raises:
      DataError: no text, or files that cannot be read.
      FlagError: more shards than blocks.
    """

    def __init__(self, data: PretrainingData) -> None:
        self._started = time.monotonic()
        self._data = data
        self._reader, self._duplicates = data.reader(), DuplicateCounter()
        starts, num_documents = [BEGINNING], 0
        for block in self._reader.blocks(data.block_size, cut_documents=True):
            _count_duplicates(block, self._duplicates)
            num_documents += len(block)
            starts.append(self._reader.end)
        _check_text(data, self._reader, num_documents)
        _check_shards(data, num_blocks=len(starts) - 1)
        self.shards = _shards(data, starts)

    def report(self, done: Sequence[tuple[int, CorpusStatistics]]) -> dict[str, Any]:
        """Writes, logs and returns the report of the finished run; without any records, removes the shards.

        Args:
          done: for each shard its number of records and the counts of its text.

        Raises:
          DataError: no records.
        """
        statistics = CorpusStatistics()
        for _, counts in done:
            statistics.add(counts)
        num_records = sum(count for count, _ in done)
        if num_records == 0:
            remove_records(self._data.shards)
        _check_instances(num_records)
        return _report(self._data, statistics, self._reader, self._duplicates, num_records, self._started)


def _shards(data: PretrainingData, starts: Sequence[Place]) -> list[Shard]:
    """Consecutive blocks in equal parts; `starts` has one more entry than there are blocks."""
    digest, paths = data.fingerprint(streaming=True), data.shards
    bounds = [(len(starts) - 1) * index // len(paths) for index in range(len(paths) + 1)]
    return [
        Shard(path, record_sets.fingerprint({"data": digest, "shard": index}, []), first, end - first, starts[first])
        for index, (path, first, end) in enumerate(zip(paths, bounds[:-1], bounds[1:], strict=True))
    ]


def _read_report(path: Path) -> dict[str, Any] | None:
    """The report of an earlier run; None where there is none that can be read."""
    try:
        return json_object(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("rebuilding %s, which %s", path, error)
        return None


def finished(shard: Shard) -> tuple[int, CorpusStatistics] | None:
    """The number of records of a shard that an earlier run has made, and the counts of its text; None without it."""
    manifest = read_manifest(shard.path, shard.digest)
    if manifest is None:
        return None
    try:
        return manifest["num_records"], CorpusStatistics.from_json(manifest["statistics"])
    except (KeyError, TypeError, ValueError) as error:
        log.warning("rebuilding %s: the statistics in its manifest cannot be read (%s)", shard.path, one_line(error))
        return None


def write_shard(data: PretrainingData, shard: Shard, made: Iterable[Made]) -> tuple[int, CorpusStatistics]:
    """Writes a shard that is whole or absent, and its manifest.

    Args:
      data: the settings.
      shard: what to write.
      made: what `BlockMaker` makes of its blocks, in order.

    Returns:
      The number of records, and the counts of the text.

    Raises:
      DataError: the folder cannot be written to, or the disk is full.
    """
    statistics = CorpusStatistics()
    with record_sink([shard.path]) as sink:
        for serialized, counts in made:
            sink.write(serialized)
            statistics.add(counts)
    (count,) = sink.counts
    write_manifest(shard.path, shard.digest, data.serializer.spec, count, statistics.to_json())
    log.info("wrote %d records to %s", count, shard.path)
    return count, statistics


def _count_duplicates(block: list[Lines], duplicates: DuplicateCounter) -> None:
    for lines in block:
        duplicates.add(lines)


def _check_text(data: PretrainingData, reader: CorpusReader, num_documents: int) -> None:
    """Raises where there is nothing to learn from, and warns of what may not be meant."""
    names = ", ".join(map(str, data.files[:3])) + (", ..." if len(data.files) > 3 else "")
    if 2 * reader.undecodable > reader.lines:
        raise DataError(
            f"--input_file: {names}: {reader.undecodable} of {reader.lines} lines are not {reader.codec}; name the "
            "encoding, e.g. --encoding=gb18030 or --encoding=cp1252"
        )
    if num_documents == 0:
        raise DataError(f"--input_file: {names}: no text, expected a sentence a line; check the files")
    if num_documents == 1 and data.instances.next_sentence and not data.instances.sentence_order:
        log.warning(
            "%s: only one document, so that no sentence can come from another: all pairs are true continuations; put "
            "blank lines between documents, or give --no_nsp", names,
        )  # fmt: skip
    if reader.undecodable:
        log.warning("%s: dropped bytes that are not %s from %d lines", names, reader.codec, reader.undecodable)
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
        "instances": statistics.packed_instances or num_records,
        **packing.report(statistics, num_records, data.instances),
        "files": [path.name for path in data.shards],
    }
    write_atomically(data.report_path, json.dumps(report, indent=2) + "\n")
    log.info(
        "%d documents, %d sentences (%d duplicates), %.2f%% unknown pieces, sentences of %s pieces at most (half: %s)",
        report["documents"], report["sentences"], report["duplicate_sentences"], 100 * report["unknown_piece_rate"],
        report["sentence_length_percentiles"]["100"], report["sentence_length_percentiles"]["50"],
    )  # fmt: skip
    made, seconds = report["instances"], max(time.monotonic() - started, 1e-9)
    log.info("%d instances in %.1f s (%.0f/s); report in %s", made, seconds, made / seconds, data.report_path)
    return report
