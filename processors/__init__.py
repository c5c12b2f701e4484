"""Files -> examples -> features -> records -> `input_fn`, and the registry of data sets.

Importing this package costs nothing: names that need more than the standard library are looked up when first used.
"""

import importlib
from typing import Any

from processors.base import DataProcessor, InputExample, PaddingInputExample, SentenceProcessor, TaggedExample
from processors.registry import register

_LAZY = {
    "DataFrameProcessor": "processors.tables.dataframe",
    "Columns": "processors.tables.spec",
    "Split": "processors.tables.spec",
    "TableFormat": "processors.tables.spec",
    "TableSpec": "processors.tables.spec",
    "TableProcessor": "processors.tables.processor",
    "data_report": "processors.report",
    "format_report": "processors.report",
    "GraphTokenizer": "processors.graph.wordpiece",
}

__all__ = [
    "DataProcessor",
    "InputExample",
    "PaddingInputExample",
    "SentenceProcessor",
    "TaggedExample",
    "register",
    *sorted(_LAZY),
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
