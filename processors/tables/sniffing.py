"""What kind of file a table is: told by its first bytes, then by its name."""

from pathlib import Path

from common.errors import DataError
from processors.reading import JSON_LINES, data_suffix, first_bytes

DELIMITED, JSON, PARQUET = "delimited", "json", "parquet"
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", *JSON_LINES, ".parquet")
"""Names of files that are looked for as tables."""

_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def kind_of(path: Path, delimiter: str | None) -> str:
    """The kind of a table: `DELIMITED`, `JSON` or `PARQUET`.

    Args:
      path: the file.
      delimiter: as given; a file with a delimiter is delimited, whatever its name.

    Raises:
      DataError: a spreadsheet, which is not read.
    """
    start = first_bytes(path, 4)
    if start == b"PAR1":
        return PARQUET
    if start in _EXCEL and path.suffix.lower() != ".zip":
        raise DataError(f"{path}: is a spreadsheet (Excel); save it as CSV (UTF-8) and name that file")
    return JSON if delimiter is None and data_suffix(path) in JSON_LINES else DELIMITED
