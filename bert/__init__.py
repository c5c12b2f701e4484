"""The Python functions of this project, and the names of the package `bert-tensorflow`.

`from bert import train, evaluate, predict, export`; `from bert import run_classifier, optimization, tokenization`.
"""

import importlib

_MODULES = frozenset(
    {
        "create_pretraining_data", "extract_features", "modeling", "optimization", "run_classifier",
        "run_classifier_with_tfhub", "run_pretraining", "run_squad", "tokenization",
    }
)  # fmt: skip


_FUNCTIONS = frozenset({"evaluate", "export", "predict", "read_predictions", "train"})


def __getattr__(name: str) -> object:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module("command_line.python_api"), name)
    if name in _MODULES:
        return importlib.import_module(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
