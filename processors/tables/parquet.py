"""Parquet tables, through pyarrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line

_ROWS_AT_ONCE = 4096


def read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    """Rows of a Parquet file as `(number from 1, row by column name, "")`, some in memory at a time.

    Raises:
      DataError: it cannot be read.
    """
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row, ""
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: not readable as Parquet ({one_line(error)}); write it again") from None
