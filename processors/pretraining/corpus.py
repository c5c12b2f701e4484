"""A corpus of running text, a sentence a line, blank lines between documents, of any size; and its statistics.

As with google-research/bert, the end of a file does not end a document: only a blank line does. Bytes that are not of
the encoding are dropped, and counted.
"""

import codecs
import dataclasses
import functools
import hashlib
import itertools
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from common.errors import DataError, one_line
from processors.reading import LONGEST_LINE, line_encoding, open_binary, too_long
from tokenization.base import Tokenizer

LONGEST_COUNTED = 4096
"""Sentences of more tokens are counted as this long, so that the table of lengths has an end."""
PERCENTILES = (50, 90, 95, 99, 100)

CORPUS_SUFFIXES = (".txt", ".txt.gz")

Lines = list[str]


class Place(NamedTuple):
    """A place in a corpus: the file, by its index, and how many bytes of its decompressed content lie before."""

    file: int
    offset: int


BEGINNING = Place(0, 0)


def corpus_files(patterns: str) -> list[Path]:
    """Files of a comma-separated list of paths, globs and folders, as `matching_files`.

    Of a folder, all files that end in `CORPUS_SUFFIXES`, those of its folders included, sorted by path. Hidden ones are
    left out, as an asterisk of the shell does.

    Raises:
      DataError: a pattern matches no file, a folder holds none.
    """
    return matching_files(patterns, "--input_file", _folder_files)


def _folder_files(folder: Path) -> list[Path]:
    inside = ((path, path.relative_to(folder).parts) for path in folder.rglob("*"))
    found = sorted(
        path
        for path, parts in inside
        if path.name.lower().endswith(CORPUS_SUFFIXES)
        and not any(part.startswith(".") for part in parts)
        and path.is_file()
    )
    if not found:
        raise DataError(
            f"--input_file: {folder} is a folder without {' or '.join(CORPUS_SUFFIXES)} files, expected some in it or "
            f"its folders; name the files, as in '{folder}/*'"
        )
    return found


def matching_files(
    patterns: str, flag: str = "--input_file", of_folder: Callable[[Path], list[Path]] | None = None
) -> list[Path]:
    """Files of a comma-separated list of paths and globs, in the order of the list, each pattern's matches sorted.

    Args:
      patterns: such as `"a.txt,corpus/*.txt.gz"`.
      flag: what the list was given as, for the message.
      of_folder: gives the files of a folder in the list; by default folders are no matches.

    Raises:
      DataError: a pattern matches no file.
    """
    files: list[Path] = []
    for pattern in (part.strip() for part in patterns.split(",")):
        folder = Path(pattern)
        found = of_folder(folder) if of_folder and pattern and folder.is_dir() else sorted(_matches(pattern))
        if not found:
            raise DataError(
                f"{flag}: {pattern!r} matches no file, expected paths or globs with commas between them; "
                "check the path, and quote globs against the shell"
            )
        files.extend(found)
    return files


def _matches(pattern: str) -> list[Path]:
    if not pattern:
        return []
    if Path(pattern).is_file():
        return [Path(pattern)]
    path = Path(pattern)
    root = Path(path.anchor) if path.is_absolute() else Path()
    parts = path.relative_to(path.anchor) if path.is_absolute() else path
    return [match for match in root.glob(str(parts)) if match.is_file()]


class CorpusReader:
    """Reads files, decompressed on the way, as one text. A pass at a time.

    Args:
      files: in the order of the text.
      start: where to begin; by default at the beginning. The `end` of another reader's block.
      encoding: of all files, as for `processors.reading.line_encoding`.

    Attributes:
      codec: Python's name of the encoding.
      lines: lines of the last pass that were not blank.
      undecodable: of them, those that were not of the encoding.
      run_on: files of the last pass whose last document runs on into the next file.
      cut: places of the last pass where a document was cut for its length.
    """

    def __init__(self, files: Sequence[Path], start: Place = BEGINNING, encoding: str | None = None) -> None:
        self.codec = line_encoding(encoding)
        self._files = files
        self._start = start
        self._file, self._offset = start
        self._end: tuple[int, int] = start
        self.lines = self.undecodable = 0
        self.run_on: list[Path] = []
        self.cut = 0

    @property
    def end(self) -> Place:
        """Where the text of the last document or block ends: a later reader can go on from there."""
        return Place(*self._end)

    def documents(self, longest: int | None = None) -> Iterator[Lines]:
        """Yields documents: lines without whitespace at their ends, none of them empty.

        Args:
          longest: characters after which a document is cut; by default none is.

        Raises:
          DataError: a file is not text, or a broken archive.
        """
        document: Lines = []
        size = self.cut = 0
        for line in self._lines():
            if line and longest is not None and size >= longest:
                self.cut += 1
                yield document
                document, size = [], 0
            if line:
                document.append(line)
                size += len(line)
                self._end = self._file, self._offset
            elif document:
                yield document
                document, size = [], 0
        if document:
            yield document

    def blocks(self, size: int, cut_documents: bool) -> Iterator[list[Lines]]:
        """Yields lists of consecutive documents of together about `size` characters.

        Args:
          size: a block ends with the document that reaches this many characters.
          cut_documents: cut longer documents, so that no block is much larger. Two parts are never in one block.
        """
        block: list[Lines] = []
        filled = 0
        for document in self.documents(size if cut_documents else None):
            block.append(document)
            filled += sum(map(len, document))
            if filled >= size:
                yield block
                block, filled = [], 0
        if block:
            yield block

    def _lines(self) -> Iterator[str]:
        self.lines = self.undecodable = 0
        self.run_on = []
        for index, path in enumerate(self._files):
            if index < self._start.file:
                continue
            line = ""
            self._file, self._offset = index, self._start.offset if index == self._start.file else 0
            for line in self._lines_of(path):
                yield line
            if line and index + 1 < len(self._files):
                self.run_on.append(path)

    def _lines_of(self, path: Path) -> Iterator[str]:
        """Cut at line feeds alone, as upstream does: U+2028 and the like stay inside a sentence."""
        try:
            with open_binary(path) as stream:
                _skip(stream, self._offset)
                for line in iter(functools.partial(stream.readline, LONGEST_LINE), b""):
                    if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                        raise too_long(f"{path}: byte {self._offset}", LONGEST_LINE)
                    if self._offset == 0 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                        raise DataError(f"{path}: is UTF-16, expected UTF-8; convert it with iconv -f UTF-16 -t UTF-8")
                    self._offset += len(line)
                    yield self._decoded(line).strip()
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be read ({one_line(error)}); copy or download it again") from error

    def _decoded(self, line: bytes) -> str:
        self.lines += not line.isspace()
        try:
            return line.decode(self.codec)
        except UnicodeDecodeError:
            self.undecodable += 1
            return line.decode(self.codec, errors="ignore")


def _skip(stream: IO[bytes], size: int) -> None:
    if stream.seekable():
        stream.seek(size)
        return
    while size and (read := stream.read(min(size, 1 << 20))):
        size -= len(read)


@dataclasses.dataclass
class CorpusStatistics:
    """Counts over the text as the model sees it; counts of parts add up to those of the whole.

    Args:
      documents: with at least one sentence; a document that was cut counts once for each part.
      sentences: lines with at least one token.
      empty_lines: lines of which the tokenizer leaves nothing.
      tokens: of all sentences.
      unknown_pieces: `[UNK]` among them.
      lengths: number of sentences by their length in tokens.
      packed_instances: instances that share rows of records; 0 where each has its own.
      packed_pieces: of them, special ones included.
    """

    documents: int = 0
    sentences: int = 0
    empty_lines: int = 0
    pieces: int = 0
    unknown_pieces: int = 0
    lengths: Counter[int] = dataclasses.field(default_factory=Counter)
    packed_instances: int = 0
    packed_pieces: int = 0

    def add(self, other: "CorpusStatistics") -> None:
        """Adds the counts of another part of the corpus."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def to_json(self) -> dict[str, Any]:
        """All counts as plain JSON; `from_json` reads them back."""
        return {**dataclasses.asdict(self), "lengths": {str(key): self.lengths[key] for key in sorted(self.lengths)}}

    @staticmethod
    def from_json(counts: dict[str, Any]) -> "CorpusStatistics":
        """Counts that `to_json` wrote."""
        return CorpusStatistics(**{**counts, "lengths": Counter({int(k): v for k, v in counts["lengths"].items()})})

    def summary(self) -> dict[str, Any]:
        """What a report says: counts, the fraction of unknown tokens, mean and percentiles of sentence lengths."""
        return {
            "documents": self.documents,
            "sentences": self.sentences,
            "empty_lines": self.empty_lines,
            "pieces": self.pieces,
            "unknown_piece_rate": round(self.unknown_pieces / max(self.pieces, 1), 6),
            "sentence_length_mean": round(self.pieces / max(self.sentences, 1), 2),
            "sentence_length_percentiles": {str(p): _percentile(self.lengths, p) for p in PERCENTILES},
        }


def _percentile(counts: Counter[int], percent: int) -> int:
    """The smallest length that at least this fraction of the sentences does not exceed."""
    rank = counts.total() * percent / 100
    below = 0
    for length in sorted(counts):
        below += counts[length]
        if below >= rank:
            return length
    return 0


class DuplicateCounter:
    """Counts lines that occurred before, in bounded memory.

    Exact up to `capacity` distinct lines. Beyond it, lines are sampled by their hash, half as many each time the table
    is full, and the count is an estimate.

    Args:
      capacity: most distinct lines remembered.
    """

    def __init__(self, capacity: int = 1 << 18) -> None:
        self._capacity = capacity
        self._mask = 0
        self._lines = 0
        self._counts: dict[int, int] = {}

    def add(self, lines: Sequence[str]) -> None:
        """Counts lines."""
        self._lines += len(lines)
        counts = self._counts
        for line in lines:
            key = int.from_bytes(hashlib.blake2b(line.encode(errors="replace"), digest_size=8).digest(), "little")
            if not key & self._mask:
                counts[key] = counts.get(key, 0) + 1
        while len(counts) > self._capacity:
            self._mask = self._mask << 1 | 1
            counts = self._counts = {key: count for key, count in counts.items() if not key & self._mask}

    def summary(self) -> dict[str, Any]:
        """`duplicate_sentences`, and whether that is an estimate."""
        sampled = sum(self._counts.values())
        share = 1 - len(self._counts) / sampled if sampled else 0.0
        return {"duplicate_sentences": round(self._lines * share), "duplicates_are_estimated": self._mask != 0}


class CorpusTokenizer:
    """Turns documents of lines into documents of ids, and counts what it sees. Can be pickled.

    Args:
      tokenizer: of the model.
      segmented: blanks in the corpus separate words, and tokens of a word belong together even if the vocabulary does
        not say so, as with Chinese. Ids of tokens inside such a word are raised by the size of the vocabulary.
    """

    def __init__(self, tokenizer: Tokenizer, segmented: bool = False) -> None:
        self._tokenizer = tokenizer
        self._segmented = segmented
        self._unknown = tokenizer.special_ids.unk

    def documents(self, texts: Sequence[Lines]) -> tuple[list[list[array]], CorpusStatistics]:
        """Ids of every sentence of every document; sentences and documents of which nothing is left are dropped."""
        lines = [line for text in texts for line in text]
        counts = CorpusStatistics()
        sentences = iter(self._encoded_words(lines) if self._segmented else self._tokenizer.encode(lines))
        documents = []
        for text in texts:
            kept = [array("i", ids) for ids in itertools.islice(sentences, len(text)) if ids]
            counts.empty_lines += len(text) - len(kept)
            self._count(kept, counts)
            if kept:
                documents.append(kept)
        return documents, counts

    def _count(self, sentences: list[array], counts: CorpusStatistics) -> None:
        lengths = [len(ids) for ids in sentences]
        counts.documents += bool(sentences)
        counts.sentences += len(sentences)
        counts.pieces += sum(lengths)
        counts.unknown_pieces += sum(ids.count(self._unknown) for ids in sentences)
        counts.lengths.update(min(length, LONGEST_COUNTED) for length in lengths)

    def _encoded_words(self, lines: Lines) -> list[list[int]]:
        words = [line.split() for line in lines]
        encoded = iter(self._tokenizer.encode_words([word for line in words for word in line]))
        size = len(self._tokenizer.tokens)
        return [
            [
                piece + size * (place > 0)
                for ids in itertools.islice(encoded, len(line))
                for place, piece in enumerate(ids)
            ]
            for line in words
        ]
