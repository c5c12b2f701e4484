"""The first line of a table whose columns are asked for by index: a header, or a row of data that would be lost."""

import logging
from pathlib import Path

from common.errors import DataError, one_line
from processors.tables.file import TableFile, first_cells
from processors.tables.spec import TableFormat

log = logging.getLogger(__name__)


def check_header(table: TableFile, training: Path | None, layout: TableFormat, tells: bool) -> None:
    """Refuses a header that is not that of training: it may be a row of data, or name columns in another order.

    Args:
      table: a file that has a header line, whose columns are asked for by index.
      training: the training file; None where there is none, or `table` is read to train.
      layout: how the training file is cut.
      tells: whether to log what is read as the header.

    Raises:
      DataError: they differ.
    """
    header = table.header or []
    if tells:
        log.info(
            "%s:1: is read as a header: %s; give --header=false where it is a row of data",
            table.path, one_line(repr(", ".join(header)), 80),
        )  # fmt: skip
    if training is None or training == table.path or not training.is_file():
        return
    expected = first_cells(training, layout)
    found = header[: len(expected or ())]
    if expected and found != expected[: len(found)]:
        raise DataError(
            f"{table.path}:1: read as a header, but it is {one_line(', '.join(header), 60)!r} where "
            f"{training.name} has {one_line(', '.join(expected), 60)!r}; if it is a row of data, give --header=false "
            "for this file; if it is a header, name the columns"
        )
