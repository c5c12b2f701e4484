"""The errors a user can cause. The one module that every room may import.

    BertError                 one line for the user, exit code 2
    ├── FlagError             a flag, or two flags that do not go together
    ├── RegistryError         an unknown or doubly registered name
    ├── DataError             a table, a row, a label, a record
    ├── VocabularyError       a vocabulary file
    ├── ConfigError           a model configuration
    ├── CheckpointError       weights that cannot be read or do not fit
    ├── RunDirectoryError     an output directory that contradicts the run
    └── ExportError           a SavedModel that cannot be written or loaded

A message is one line in four parts: what went wrong and where (file, row, flag), what was found, what was expected,
what to do. Scripts catch `BertError` once, print the line and leave with `exit_code`; anything else is our bug and
keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class BertError(Exception):
    """Base of every error that the user, not the program, can fix."""

    exit_code = 2


class FlagError(BertError):
    """A flag has an unusable value, is missing, or contradicts another flag."""


class RegistryError(BertError):
    """A name is not registered, or is registered twice."""


class DataError(BertError):
    """Input data cannot be used: file, row and column are in the message."""


class VocabularyError(BertError):
    """A vocabulary file is unreadable, has duplicates or lacks special tokens."""


class ConfigError(BertError, ValueError):
    """A model configuration has missing or ill-typed keys, or asks for what is not computed."""


class CheckpointError(BertError):
    """A checkpoint is missing, truncated, or does not fit the model."""


class RunDirectoryError(BertError):
    """An output directory is a file, or belongs to a run that differs."""


class ExportError(BertError):
    """An export cannot be written, loaded, or fails its own parity check."""


def closest(name: str, known: Iterable[str]) -> str:
    """Names in `known` that look like `name`, ready to stand in a message.

    Returns:
      `"closest 'mrpc'"`, or `"known: cola, mnli"` (all, sorted) where nothing is close.
    """
    known = sorted(known)
    matches = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if matches:
        return "closest " + one_line(", ".join(repr(match) for match in matches))
    return "known: " + (one_line(", ".join(known), 1000) if known else "none")


def one_line(text: object, limit: int = 200) -> str:
    """`text` on one line, shortened to `limit` characters, for quoting data in a message."""
    flat = " ".join(str(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
