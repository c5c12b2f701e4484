"""Files of vectors: upstream's JSON lines, and one array or table for sentence vectors; whole or absent."""

import abc
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.errors import FlagError, one_line
from common.files import atomic_path
from processors.base import InputExample
from processors.records.schema import Features

DECIMALS = 6
ROWS_OF_A_GROUP = 4096
"""Rows that a Parquet file keeps together; the most that are in memory."""


class FeatureWriter(abc.ABC):
    """Takes the vectors of one line after the other."""

    @abc.abstractmethod
    def write(self, example: InputExample, window: Features, vectors: np.ndarray) -> None:
        """Writes one line: its vector `[D]`, or those of its tokens by layer `[S, L, H]`."""


class PieceLines(FeatureWriter):
    """Upstream's format: a JSON object a line, with every token and its layers.

    Args:
      stream: where to write.
      inv_vocab: id to token.
      layers: layer indexes as given.
      left_out: ids of tokens that are not written.
    """

    def __init__(
        self, stream: IO[str], inv_vocab: dict[int, str], layers: Sequence[int], left_out: Sequence[int]
    ) -> None:
        self._stream = stream
        self._inv_vocab = inv_vocab
        self._layers = layers
        self._left_out = frozenset(left_out)

    def write(self, example: InputExample, window: Features, vectors: np.ndarray) -> None:
        """Writes `{"linex_index", "features": [{"token", "layers": [{"index", "values"}]}]}`."""
        ids = window["input_ids"]
        values = _rounded(vectors[: len(ids)])
        features = [
            {
                "token": self._inv_vocab[index],
                "layers": [{"index": layer, "values": row} for layer, row in zip(self._layers, piece, strict=True)],
            }
            for index, piece in zip(ids, values, strict=True)
            if index not in self._left_out
        ]
        self._stream.write(json.dumps({"linex_index": _line_index(example), "features": features}) + "\n")


class VectorLines(FeatureWriter):
    """A JSON object a line: `{"linex_index", "vector"}`."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, example: InputExample, window: Features, vectors: np.ndarray) -> None:
        """Writes one vector."""
        del window
        self._stream.write(json.dumps({"linex_index": _line_index(example), "vector": _rounded(vectors)}) + "\n")


class VectorArray(FeatureWriter):
    """A NumPy file with one float32 array `[N, D]`; its header is written again at the end, when N is known.

    Args:
      stream: a new file.
      width: D.
    """

    def __init__(self, stream: IO[bytes], width: int) -> None:
        self._stream = stream
        self._width = width
        self._rows = 0
        self._write_header()

    def write(self, example: InputExample, window: Features, vectors: np.ndarray) -> None:
        """Appends one vector."""
        del example, window
        self._stream.write(np.asarray(vectors, "<f4").tobytes())
        self._rows += 1

    def finish(self) -> None:
        """Says in the header how many rows there are."""
        self._stream.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        # NumPy leaves room in the header for the first axis to grow.
        header = {"descr": "<f4", "fortran_order": False, "shape": (self._rows, self._width)}
        np.lib.format.write_array_header_1_0(self._stream, header)


class VectorTable(FeatureWriter):
    """A Parquet file: `linex_index` int64, `vector` float32 list.

    Args:
      path: a new file.
      pyarrow: the module with its `parquet`.
    """

    def __init__(self, path: Path, pyarrow: Any) -> None:
        self._pyarrow = pyarrow
        self._schema = pyarrow.schema([("linex_index", pyarrow.int64()), ("vector", pyarrow.list_(pyarrow.float32()))])
        # Hardly two numbers of vectors are equal: a dictionary of them would be larger than they are.
        self._writer = pyarrow.parquet.ParquetWriter(str(path), self._schema, use_dictionary=False)
        self._indexes: list[int] = []
        self._vectors: list[np.ndarray] = []

    def write(self, example: InputExample, window: Features, vectors: np.ndarray) -> None:
        """Keeps one vector until its group is full."""
        del window
        self._indexes.append(_line_index(example))
        self._vectors.append(vectors)
        if len(self._vectors) == ROWS_OF_A_GROUP:
            self._write_group()

    def finish(self) -> None:
        """Writes what is left, and the footer."""
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        columns = {"linex_index": self._indexes, "vector": self._vectors}
        self._writer.write_table(self._pyarrow.table(columns, schema=self._schema))
        self._indexes, self._vectors = [], []


def load_pyarrow() -> Any:
    """The optional module that writes Parquet.

    Raises:
      FlagError: it is absent or does not fit the installed NumPy.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise FlagError(
            f"--output_format=parquet needs pyarrow, which cannot be imported ({one_line(error, 100)}); "
            "install one that fits the installed NumPy, or choose jsonl or npy"
        ) from None
    return pyarrow


@contextlib.contextmanager
def vector_array(path: Path, width: int) -> Iterator[VectorArray]:
    """Opens a NumPy file that appears at `path` once the block has ended well."""
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        writer = VectorArray(stream, width)
        yield writer
        writer.finish()


@contextlib.contextmanager
def vector_table(path: Path, pyarrow: Any) -> Iterator[VectorTable]:
    """Opens a Parquet file that appears at `path` once the block has ended well."""
    with atomic_path(path) as temporary:
        writer = VectorTable(temporary, pyarrow)
        yield writer
        writer.finish()


def _line_index(example: InputExample) -> int:
    """Index of the line from 0, as upstream counts."""
    return int(example.guid) - 1


def _rounded(values: np.ndarray) -> Any:
    return np.round(values.astype(np.float64), DECIMALS).tolist()
