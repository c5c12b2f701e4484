"""Whatever a processor gives -> checked examples, and what decides them.

Records and the data report read a processor through here. A user's class may have its own example class, labels that
are numbers, or empty second texts; an error in it is reported with its file and line.
"""

import contextlib
import itertools
import logging
import math
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import BertError, DataError, closest, one_line
from processors.base import DataProcessor, InputExample, SelfDescribing
from processors.reading import MissingDataError, lone_surrogate
from processors.source_code import is_users, source_digest

log = logging.getLogger(__name__)

_SPLIT_METHODS = {"train": "get_train_examples", "dev": "get_dev_examples", "test": "get_test_examples"}
_LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


class ExampleSource:
    """The examples of a processor.

    Args:
      processor: any object with the methods of `DataProcessor`.
      data_dir: handed to its methods.
      leave_out: a folder below `data_dir` that holds no data: that of the run.

    Attributes:
      labels: names in the order of the classes; empty for regression.
    """

    def __init__(self, processor: DataProcessor, data_dir: str | None, leave_out: Path | None = None) -> None:
        self.processor = processor
        self.problem_type: str = getattr(processor, "problem_type", "single_label")
        self._data_dir = data_dir or ""
        self._leave_out = leave_out
        self._name = type(processor).__name__
        self._is_users = is_users(type(processor)) and not isinstance(processor, SelfDescribing)
        self.labels = self._read_labels()
        self._known = frozenset(self.labels)

    def examples(self, split: str) -> Iterator[InputExample]:
        """A fresh pass over the examples of `"train"`, `"dev"` or `"test"`.

        Raises:
          MissingDataError: the processor does not read that split.
          DataError: an example that cannot be used, or an error in the processor.
        """
        method = _SPLIT_METHODS[split]
        if isinstance(self.processor, SelfDescribing):
            yield from getattr(self.processor, method)(self._data_dir or None)
            return
        with self._reported(method):
            examples = iter(getattr(self.processor, method)(self._data_dir))
        for number in itertools.count():
            with self._reported(method):
                example = next(examples, None)
            if example is None:
                return
            yield self._checked(example, number, split)

    def data_files(self, split: str) -> list[Path]:
        """The files that decide the examples of a split; unless the processor knows better, all below `data_dir`."""
        if isinstance(self.processor, SelfDescribing):
            return self.processor.data_files(split, self._data_dir or None)
        folder = Path(self._data_dir)
        if not folder.is_dir():
            return []
        files = (
            path for path in folder.rglob("*") if path.is_file() and not self._is_no_data(path.relative_to(folder))
        )
        return sorted(files)

    def description(self, split: str) -> dict[str, Any]:
        """What decides the examples besides the content of `data_files`, as plain JSON."""
        inputs: dict[str, Any] = {"processor": f"{type(self.processor).__module__}.{type(self.processor).__qualname__}"}
        if isinstance(self.processor, SelfDescribing):
            return inputs | {"settings": self.processor.settings()}
        folder = Path(self._data_dir)
        names = [str(path.relative_to(folder)) for path in self.data_files(split)]
        return inputs | {"settings": {}, "code": source_digest(type(self.processor)), "names": names}

    def held_out_file(self) -> Path | None:
        """The training file, where dev rows are held out from it."""
        if isinstance(self.processor, SelfDescribing):
            return self.processor.held_out_file(self._data_dir or None)
        return None

    def _is_no_data(self, path: Path) -> bool:
        if any(part.startswith(".") or part == "__pycache__" for part in path.parts):
            return True
        return self._leave_out is not None and (Path(self._data_dir) / path).resolve().is_relative_to(
            self._leave_out.resolve()
        )

    def _read_labels(self) -> list[str]:
        if self.problem_type == "regression":
            return []
        with self._reported("get_labels"):
            given = self.processor.get_labels()
            labels = [label_text(label) for label in given]
        if isinstance(given, set | frozenset):
            labels.sort()
            log.warning("%s.get_labels gives a set, which has no order; the classes are %s", self._name, labels)
        repeated = next((label for index, label in enumerate(labels) if label in labels[:index]), None)
        if repeated is not None:
            raise DataError(f"{self._name}.get_labels: {one_line(repr(repeated))} is there twice; give each label once")
        if not labels:
            raise DataError(f"{self._name}.get_labels: gives no label; give the names of the classes")
        return labels

    def _checked(self, example: Any, number: int, split: str) -> InputExample:
        """The example with texts that are text and a label that is one.

        Raises:
          DataError: it is no example, or its texts or label cannot be used.
        """
        missing = [name for name in ("guid", "text_a") if not hasattr(example, name)]
        if missing:
            raise DataError(
                f"{self._name}.{_SPLIT_METHODS[split]}: item {number} is a {type(example).__name__} without "
                f"{missing[0]}, expected an example with guid, text_a, text_b and label (processors.InputExample)"
            )
        where = f"{self._name}.{_SPLIT_METHODS[split]}: example {one_line(repr(example.guid), 60)}"
        text_a = _text(example.text_a, f"{where}: text_a")
        if not text_a or text_a.isspace():
            raise DataError(f"{where}: text_a is blank, expected a text; leave the example out, or correct it")
        text_b = getattr(example, "text_b", None)
        text_b = None if text_b is None else _text(text_b, f"{where}: text_b")
        label = self._label(getattr(example, "label", None), split, where)
        return InputExample(str(example.guid), text_a, text_b if text_b and not text_b.isspace() else None, label)

    def _label(self, label: Any, split: str, where: str) -> Any:
        if label is None or (isinstance(label, str) and not label and split == "test"):
            return None
        if self.problem_type == "regression":
            return _score(label, where, split)
        if self.problem_type == "multi_label":
            names = self._several(label, where, split)
            return None if names is None or (split == "test" and not self._known.issuperset(names)) else names
        name = label_text(label)
        if name in self._known:
            return name
        if split == "test":  # the labels of rows to predict are often dummies
            return None
        raise DataError(
            f"{where}: label {one_line(repr(label), 80)} is not one of the labels; {closest(name, self.labels)}; "
            "correct the example, or add it to get_labels"
        )

    def _several(self, label: Any, where: str, split: str) -> tuple[str, ...] | None:
        if isinstance(label, list | tuple | set | frozenset | np.ndarray):
            return tuple(dict.fromkeys(label_text(one) for one in label))
        if split == "test":
            return None
        raise DataError(
            f"{where}: label {one_line(repr(label), 80)} is not a list of labels; "
            "expected one for --problem_type=multi_label"
        )

    @contextlib.contextmanager
    def _reported(self, method: str) -> Iterator[None]:
        """Reports an error in a class of the user's as one line with its file and line.

        Raises:
          MissingDataError: the method says that it is not implemented.
          DataError: any other error.
        """
        try:
            yield
        except BertError:
            raise
        except NotImplementedError:
            raise MissingDataError(f"{self._name}.{method} is not implemented; there is no such split") from None
        except Exception as error:
            if not self._is_users:
                raise
            frames = traceback.extract_tb(error.__traceback__)
            users = [frame for frame in frames if frame.filename != __file__] or list(frames)
            place = f"{users[-1].filename}:{users[-1].lineno}"
            what = f"{type(error).__name__}: {one_line(error)}"
            raise DataError(
                f"{self._name}.{method}: {place}: {what}; correct the class (--traceback shows all)"
            ) from error


def label_text(label: Any) -> str:
    """A label as text: numbers as Python writes integers, so that 1, True's kin in NumPy and 1.0 are each one label.

    Example:
      >>> label_text(1), label_text(np.int64(1)), label_text(1.0), label_text(True)
      ('1', '1', '1', 'True')
    """
    if isinstance(label, bytes):
        return label.decode("utf-8")
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return str(label)


def _text(text: Any, where: str) -> str:
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{where} is bytes that are not UTF-8 ({error.reason}); decode it") from None
    if not isinstance(text, str):
        raise DataError(f"{where} is {one_line(repr(text), 60)}, a {type(text).__name__}; expected text")
    surrogate = lone_surrogate(text)
    if surrogate is not None:
        raise DataError(f"{where} has half a character (U+{ord(surrogate):04X}); correct how the text was read")
    return str(text)


def _score(label: Any, where: str, split: str) -> float | None:
    try:
        score = float(label)
    except (TypeError, ValueError):
        score = math.nan
    if math.isfinite(score) and abs(score) <= _LARGEST_FLOAT32:
        return score
    if split == "test":
        return None
    raise DataError(
        f"{where}: label {one_line(repr(label), 80)} is not a finite float32 number; "
        "expected a score for --problem_type=regression"
    )
