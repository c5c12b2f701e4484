"""Files to rows: compression, encodings, delimited text and JSON lines, with the line that each row starts at.

The standard library's `csv` does the cutting: unlike a data-frame parser it tells a short row from one that ends in
empty cells, and knows the line at which a row with quoted line breaks begins.
"""

import bz2
import codecs
import contextlib
import csv
import functools
import gzip
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from common.errors import DataError, one_line

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zip", ".zst")
JSON_LINES = (".jsonl", ".ndjson", ".json")
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}

_BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark starts with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMPRESSED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
"""First bytes of compressed files, which some carry under a name that does not say so."""
_BROKEN_ARCHIVE = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
LONGEST_LINE = 1 << 25
"""Most characters of a line, and of a cell: a broken or hostile file must not fill the memory before it is refused."""
LARGEST_VALUE = 1 << 26
"""Most characters of a JSON value that a file holds without line breaks, such as one article of a SQuAD file."""
LONE_RETURN = "a line break without a newline (a lone carriage return), expected lines that end in a newline"
"""What is wrong with a line that programs of old Macs or broken conversions have left."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_CHARACTER = 4  # bytes, in the encodings that Python has


class MissingDataError(DataError):
    """A split has no file, or a processor does not read that split."""


class Row(NamedTuple):
    """One record of a file: the line it starts at (the first is 1), its cells, or why it has none."""

    line: int
    cells: list[Any]
    problem: str = ""


def data_suffix(path: Path) -> str:
    """The extension that names the format, compression put aside, in lower case.

    Example:
      >>> data_suffix(Path("train.TSV.gz"))
      '.tsv'
    """
    inner = Path(path.stem) if path.suffix.lower() in COMPRESSIONS else path
    return inner.suffix.lower()


@contextlib.contextmanager
def open_text(
    path: Path, encoding: str | None = None, errors: str = "strict", longest: int | None = None
) -> Iterator[Iterator[str]]:
    """Opens a text file, compressed or not; gives its lines with their line ends. A line ends at a newline alone.

    Args:
      path: file; `.gz`, `.bz2`, `.xz`, `.zip` (one member) and `.zst` are decompressed on the way.
      encoding: name of the encoding; default UTF-8, or what a byte order mark says.
      errors: what becomes of bytes that are not of the encoding, as for `bytes.decode`.
      longest: most characters of a line; default `LONGEST_LINE`.

    Raises:
      DataError: no such file, a broken archive, an unknown encoding, bytes that are not of that encoding, a line that
        is too long.
    """
    with open_characters(path, encoding, errors) as text:
        yield _bounded_lines(text, path, longest or LONGEST_LINE)


@contextlib.contextmanager
def open_characters(path: Path, encoding: str | None = None, errors: str = "strict") -> Iterator[IO[str]]:
    """Opens a text file as `open_text` does, to be read in parts of any size.

    Raises:
      DataError: as for `open_text`, but for the length of lines.
    """
    encoding = _actual_encoding(path, checked_encoding(encoding))
    try:
        with (
            _readable(path),
            open_binary(path) as binary,
            io.TextIOWrapper(binary, encoding=encoding, errors=errors, newline="\n") as text,
        ):
            yield text
    except UnicodeDecodeError as error:
        raise _undecodable(path, encoding, error) from None


def _bounded_lines(text: IO[str], path: Path, longest: int) -> Iterator[str]:
    for number, line in enumerate(iter(functools.partial(text.readline, longest), ""), 1):
        if len(line) == longest and not line.endswith("\n"):
            raise too_long(f"{path}:{number}", longest)
        yield line


def too_long(where: str, longest: int) -> DataError:
    """The error for a line of more than `longest` characters."""
    return DataError(
        f"{where}: found a line of more than {longest} characters, expected lines that end in a newline; check that it "
        "is the right file, and break the line up"
    )


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what broken archives and disks raise into one line."""
    try:
        yield
    except _BROKEN_ARCHIVE as error:
        raise _broken_archive(path, error) from None
    except OSError as error:
        if error.errno is None:  # bz2 has no exception of its own
            raise _broken_archive(path, error) from None
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions and the disk") from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # its package is optional
            raise
        raise _broken_archive(path, error) from None


def _broken_archive(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be decompressed ({one_line(error)}); copy or download it again")


def open_binary(path: Path) -> IO[bytes]:
    """Opens a file for reading bytes, decompressed.

    Raises:
      DataError: it is missing or not a file, or is an archive that cannot be opened.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder, expected a file")
    if not path.is_file():
        raise MissingDataError(f"{path}: no such file; check the path and --data_dir")
    openers = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zip": _open_zip, ".zst": _open_zstandard}
    opener: Any = openers.get(_compression(path), Path.open)
    return opener(path, "rb")


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file as they are on disk, compressed or not.

    Raises:
      DataError: it is missing, not a file, or cannot be read.
    """
    if not path.is_file():
        open_binary(path)
    with _readable(path), path.open("rb") as stream:
        return stream.read(count)


def _compression(path: Path) -> str:
    """The suffix that tells how a file is compressed: its own, or that of the kind its first bytes show."""
    suffix = path.suffix.lower()
    if suffix in COMPRESSIONS:
        return suffix
    start = first_bytes(path, 6)
    return next((name for magic, name in _COMPRESSED.items() if start.startswith(magic)), suffix)


def _open_zip(path: Path, mode: str) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(path)
    except NotImplementedError as error:
        raise _broken_archive(path, error) from None
    members = [member for member in archive.namelist() if not member.endswith("/")]
    if len(members) != 1:
        raise DataError(f"{path}: holds {len(members)} files, expected exactly one; unpack it and name the file")
    try:
        return archive.open(members[0])
    except (RuntimeError, NotImplementedError) as error:  # a password, or a method that Python does not know
        raise _broken_archive(path, error) from None


def _open_zstandard(path: Path, mode: str) -> IO[bytes]:
    try:
        import zstandard
    except ImportError:
        raise DataError(f"{path}: .zst needs another package; pip install zstandard, or unpack the file") from None
    return io.BufferedReader(zstandard.open(path, mode))


def checked_encoding(encoding: str | None) -> str | None:
    """The name by which Python knows an encoding; None for None.

    Raises:
      DataError: it is not the name of a text encoding.
    """
    if encoding is None:
        return None
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):  # no codec, or one that never encodes, or a name that cannot be one
        raise DataError(
            f"--encoding={one_line(encoding)} is not the name of a text encoding; try utf-8, utf-16, gb18030, latin-1 "
            "or cp1252"
        ) from None


def line_encoding(encoding: str | None) -> str:
    """The name of an encoding in which lines may be cut before they are decoded: corpora and standard input.

    Args:
      encoding: as given; None is UTF-8.

    Raises:
      DataError: no text encoding, or one in which the byte of a newline is also part of other characters.
    """
    checked = checked_encoding(encoding) or "utf-8"
    if checked == "utf-8-sig":
        return "utf-8"
    if "\n".encode(checked) != b"\n":
        raise DataError(
            f"--encoding={encoding}: lines cannot be told apart by their bytes; convert the text, as in "
            f"iconv -f {encoding} -t UTF-8"
        )
    return checked


def _actual_encoding(path: Path, encoding: str | None) -> str:
    """`encoding`, or the one that the byte order mark tells; a mark in front of declared UTF-8 is dropped too."""
    if encoding not in (None, "utf-8", "utf-16", "utf-32"):
        return str(encoding)
    with _readable(path), open_binary(path) as binary:
        start = binary.read(4)
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), None)
    if encoding is None or marked == "utf-8-sig":
        return marked or encoding or "utf-8"
    return encoding


def _undecodable(path: Path, encoding: str, error: UnicodeDecodeError) -> DataError:
    """Finds the row of the first bad byte: the error itself counts from the start of a buffer."""
    where, bad = str(path), error.object[error.start]
    if not encoding.startswith(("utf-16", "utf-32")):
        with _readable(path), open_binary(path) as binary:
            lines = iter(functools.partial(binary.readline, _LONGEST_CHARACTER * LONGEST_LINE), b"")
            for number, line in enumerate(lines, 1):
                try:
                    line.decode(encoding)
                except UnicodeDecodeError as located:
                    where, bad = f"{path}:{number}: byte {located.start + 1} of the row", line[located.start]
                    break
    return DataError(
        f"{where}: found 0x{bad:02x}, which is not {encoding}; name the file's encoding, e.g. --encoding=gb18030 or "
        "--encoding=cp1252"
    )


def lift_field_size_limit() -> None:
    """Lets a cell be longer than `csv` allows by default (128 KiB): documents are."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))


def read_delimited(
    path: Path, delimiter: str, quoting: str, encoding: str | None = None, keep_undecodable: bool = False
) -> Iterator[Row]:
    """Rows of a delimited file.

    Args:
      path: file.
      delimiter: one character.
      quoting: `"none"`: quotes are text; `"minimal"`: a cell may be quoted, and a quote is doubled inside.
      encoding: as for `open_text`.
      keep_undecodable: give a row with bytes that are not of the encoding as one with a problem, instead of stopping.

    Yields:
      A row for each record; a blank line has no cells; a malformed one has none and says why.

    Raises:
      DataError: as for `open_text`.
    """
    with open_text(path, encoding, "surrogateescape" if keep_undecodable else "strict") as lines:
        rows = _split_rows(lines, delimiter) if quoting == "none" else _quoted_rows(lines, delimiter)
        for number, row in enumerate(rows):
            if number == 0 and row.cells:
                row = row._replace(cells=[row.cells[0].lstrip("\ufeff"), *row.cells[1:]])  # a second byte order mark
            yield _checked_bytes(row) if keep_undecodable else row


def _split_rows(lines: Iterator[str], delimiter: str) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n") if line.endswith("\n") else line
        yield Row(number, text.split(delimiter) if text else [])


def _quoted_rows(lines: Iterator[str], delimiter: str) -> Iterator[Row]:
    lift_field_size_limit()
    reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield Row(line, next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, [], _malformed(error))


def _malformed(error: csv.Error) -> str:
    if "new-line character" in str(error):
        return LONE_RETURN
    return (
        f"malformed quoting ({one_line(error)}), expected a quoted cell to be closed and quotes inside it doubled; "
        "--quoting=none if quotes are plain text"
    )


def _checked_bytes(row: Row) -> Row:
    """The row, or why it is none: bytes that its encoding does not have arrive as lone surrogates."""
    for cell in row.cells:
        if problem := _undecodable_bytes(cell):
            return Row(row.line, [], problem)
    return row


def _undecodable_bytes(text: str) -> str:
    found = lone_surrogate(text)
    return "" if found is None else f"found byte 0x{ord(found) & 0xFF:02x}, which is not of the encoding (--encoding)"


def lone_surrogate(text: str) -> str | None:
    """The first lone surrogate of a text, which no UTF-8 file can hold; None where there is none."""
    found = None if text.isascii() else _SURROGATE.search(text)
    return found and found.group()


def parse_json(text: str) -> tuple[Any, str]:
    """A JSON value, and what is wrong with the text: not JSON, nested too deep, a number without end."""
    try:
        return json.loads(text), ""
    except json.JSONDecodeError as error:
        return None, f"not JSON ({one_line(error)})"
    except RecursionError:
        return None, "JSON that is nested too deep"
    except ValueError as error:  # an integer of more digits than Python converts
        return None, f"JSON that cannot be read ({one_line(error, 80)})"


def read_json_lines(
    path: Path, encoding: str | None = None, keep_undecodable: bool = False
) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    """Objects of a JSON-lines file as `(line, object, problem)`; the object is None where there is a problem.

    Args:
      path: file.
      encoding: as for `open_text`.
      keep_undecodable: a line with bytes that are not of the encoding has a problem, instead of stopping.

    Raises:
      DataError: as for `open_text`.
    """
    with open_text(path, encoding, "surrogateescape" if keep_undecodable else "strict") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                yield number, None, ""
                continue
            value, problem = None, _undecodable_bytes(line) if keep_undecodable else ""
            if not problem:
                value, problem = parse_json(line)
                problem = problem and f"{problem}, expected one object a line"
            if not problem and not isinstance(value, dict):
                problem = f"found a JSON {type(value).__name__}, expected one object a line"
            yield number, None if problem else value, problem
