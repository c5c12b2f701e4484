"""Whatever a processor gives -> checked examples, and what decides them.

Records and the data report read a processor through here. A user's class may have its own example class, labels that
are numbers, or empty second texts; an error in it is reported with its file and line.
"""

import abc
import contextlib
import itertools
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from common import user_code
from common.errors import BertError, DataError, one_line
from common.source_code import is_users, source_digest
from processors.base import DataProcessor, InputExample, SelfDescribing, digest_of
from processors.problem_types import PROBLEM_TYPES, SINGLE_LABEL, LabelError, ProblemType, label_text
from processors.reading import MissingDataError, lone_surrogate

log = logging.getLogger(__name__)

Example = TypeVar("Example")

_SPLIT_METHODS = {"train": "get_train_examples", "dev": "get_dev_examples", "test": "get_test_examples"}


class ProcessorSource(abc.ABC, Generic[Example]):
    """What a processor gives, whatever the kind of its examples.

    Args:
      processor: any object with the methods of `DataProcessor`.
      data_dir: handed to its methods.
      leave_out: a folder below `data_dir` that holds no data: that of the run.
      in_memory: whether a program made the processor, so that what it holds may decide the examples besides its code.
    """

    def __init__(
        self, processor: Any, data_dir: str | None, leave_out: Path | None = None, in_memory: bool = False
    ) -> None:
        self.processor = processor
        self._in_memory = in_memory
        self._name = type(processor).__name__
        self._data_dir = data_dir or ""
        self._leave_out = leave_out
        self._is_users = is_users(type(processor)) and not isinstance(processor, SelfDescribing)

    @abc.abstractmethod
    def checked(self, example: Any, number: int, split: str) -> Example:
        """An example as it is used from here on.

        Args:
          example: as the processor gives it.
          number: of the example in its split, from 0.
          split: `"train"`, `"dev"` or `"test"`.

        Raises:
          DataError: it cannot be used.
        """

    def examples(self, split: str) -> Iterator[Example]:
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
                try:
                    example = next(examples)
                except StopIteration:
                    return
            yield self.checked(example, number, split)

    def data_files(self, split: str) -> list[Path]:
        """The files that decide the examples of a split; unless the processor knows better, all below `data_dir`."""
        if isinstance(self.processor, SelfDescribing):
            return self.processor.data_files(split, self._data_dir or None)
        folder = Path(self._data_dir)
        if not self._data_dir or not folder.is_dir():
            return []
        files = (
            path for path in folder.rglob("*") if path.is_file() and not self._is_no_data(path.relative_to(folder))
        )
        return sorted(files)

    def description(self, split: str) -> dict[str, Any]:
        """What decides the examples besides the content of `data_files`, as plain JSON."""
        inputs: dict[str, Any] = {"processor": f"{type(self.processor).__module__}.{type(self.processor).__qualname__}"}
        if isinstance(self.processor, SelfDescribing):
            content = self.processor.content_digest(split)
            return inputs | {"settings": self.processor.settings()} | ({"content": content} if content else {})
        folder = Path(self._data_dir)
        names = [str(path.relative_to(folder)) for path in self.data_files(split)]
        inputs |= {"settings": {}, "code": source_digest(type(self.processor)), "names": names}
        return inputs | ({"content": digest_of(self.examples(split))} if self._in_memory else {})

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

    def read_labels(self) -> list[str]:
        """What `get_labels` gives, as text.

        Raises:
          DataError: no label, one twice, or one that a file of one label a line cannot hold.
        """
        with self._reported("get_labels"):
            given = self.processor.get_labels()
            labels = [label_text(label) for label in given]
        if isinstance(given, set | frozenset):
            labels.sort()
            log.warning("%s.get_labels gives a set, which has no order; the classes are %s", self._name, labels)
        repeated = next((label for label, count in Counter(labels).items() if count > 1), None)
        if repeated is not None:
            raise DataError(f"{self._name}.get_labels: {one_line(repr(repeated))} is there twice; give each label once")
        if not labels:
            raise DataError(f"{self._name}.get_labels: gives no label; give the names of the classes")
        broken = next((label for label in labels if not {"\r", "\n"}.isdisjoint(label)), None)
        if broken is not None:  # labels.txt of a run and of an export would give it as two
            raise DataError(
                f"{self._name}.get_labels: {one_line(repr(broken), 60)} has a line break, expected labels without; "
                "rename it, or strip the lines that it is read from"
            )
        return labels

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
            place = user_code.place_of(error, __file__) or "its result cannot be used"
            what = f"{type(error).__name__}: {one_line(error)}"
            raise DataError(
                f"{self._name}.{method}: {place}: {what}; correct the class (--traceback shows all)"
            ) from error


class ExampleSource(ProcessorSource[InputExample]):
    """The examples of a processor of texts.

    Args:
      processor: any object with the methods of `DataProcessor`.
      data_dir: handed to its methods.
      leave_out: a folder below `data_dir` that holds no data: that of the run.
      in_memory: as for `ProcessorSource`.

    Attributes:
      problem_type: what a label is.
      labels: names in the order of the classes; empty for regression.

    Raises:
      DataError: the processor has an unknown problem type, or labels that cannot be used.
    """

    def __init__(
        self, processor: DataProcessor, data_dir: str | None, leave_out: Path | None = None, in_memory: bool = False
    ) -> None:
        super().__init__(processor, data_dir, leave_out, in_memory)
        self.problem_type = self._stated_problem_type(processor)
        self.labels = self.read_labels() if self.problem_type.has_labels else []
        if len(self.labels) < self.problem_type.fewest_labels:
            raise DataError(
                f"{self._name}.get_labels: gives {self.labels[0]!r} alone, expected at least "
                f"{self.problem_type.fewest_labels} labels to tell apart; give all, or set problem_type"
            )
        self._known = frozenset(self.labels)

    def _stated_problem_type(self, processor: DataProcessor) -> ProblemType:
        name = getattr(processor, "problem_type", SINGLE_LABEL.name)
        if not isinstance(name, str) or name not in PROBLEM_TYPES:
            raise DataError(
                f"{self._name}.problem_type is {one_line(repr(name), 60)}, expected one of {', '.join(PROBLEM_TYPES)}"
            )
        return PROBLEM_TYPES[name]

    def checked(self, example: Any, number: int, split: str) -> InputExample:
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
        text_a = plain_text(example.text_a, f"{where}: text_a")
        if not text_a or text_a.isspace():
            raise DataError(f"{where}: text_a is blank, expected a text; leave the example out, or correct it")
        text_b = getattr(example, "text_b", None)
        text_b = None if text_b is None else plain_text(text_b, f"{where}: text_b")
        label = self._label(getattr(example, "label", None), split, where)
        return InputExample(str(example.guid), text_a, text_b if text_b and not text_b.isspace() else None, label)

    def _label(self, label: Any, split: str, where: str) -> Any:
        if label is None or (isinstance(label, str) and not label and split == "test"):
            return None
        try:
            return self.problem_type.checked(label, self._known)
        except LabelError as error:
            if split == "test":  # the labels of rows to predict are often dummies
                return None
            advice = "; correct the example, or add it to get_labels" if self.problem_type.has_labels else ""
            raise DataError(f"{where}: {error}{advice}") from None


def plain_text(text: Any, where: str) -> str:
    """Text of a user's class, once it is known to be one.

    Args:
      text: text, or bytes of UTF-8.
      where: it stands, for messages.

    Raises:
      DataError: it is neither, or has half a character.
    """
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
