"""Tagged sentences from a class of the user's: a `SentenceProcessor`, or one with its methods."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from common.errors import DataError, closest, one_line
from common.source_code import source_digest
from processors.base import TaggedExample
from processors.entities.featurizer import labels_of_types
from processors.entities.sentence import OnProblem, Sentence, stop
from processors.entities.source import SentenceSource
from processors.entities.tagged_file import to_internal
from processors.entities.tags import IOB2, NONE, SCHEMES, ill_formed, split_tag
from processors.example_source import ProcessorSource, plain_text
from processors.problem_types import label_text


class ProcessorSentences(SentenceSource):
    """The sentences of a processor.

    Args:
      processor: a `SentenceProcessor`, or any object with its methods.
      data_dir: handed to its methods.
      leave_out: a folder below `data_dir` that holds no data: that of the run.
      on_problem: takes the error of an example that cannot be used.

    Raises:
      DataError: an unknown scheme, or labels that are not of it.
    """

    def __init__(
        self, processor: Any, data_dir: str | None, leave_out: Path | None = None, on_problem: OnProblem = stop
    ) -> None:
        self.scheme = getattr(processor, "tag_scheme", IOB2)
        self.on_problem = on_problem
        name = type(processor).__name__
        if self.scheme not in SCHEMES:
            raise DataError(
                f"{name}.tag_scheme is {one_line(repr(self.scheme), 60)}, expected one of {', '.join(SCHEMES)}"
            )
        self._examples = _TaggedExamples(processor, data_dir, leave_out)
        given = self._examples.read_labels()
        try:
            self.labels = given if self.scheme == NONE else _internal_labels(given, self.scheme)
        except DataError as error:
            raise DataError(f"{name}.get_labels: {error}") from None
        self._examples.known = frozenset(self.labels)
        self._examples.scheme = self.scheme

    def sentences(self, split: str) -> Iterator[Sentence]:
        """The examples of a split; `line` is the number of an example, from 1."""
        for found in self._examples.examples(split):
            if isinstance(found, DataError):
                self.on_problem(found)
            else:
                yield found

    def data_files(self, split: str) -> list[Path]:
        """What decides them, as the processor says, else every file of `data_dir`."""
        return self._examples.data_files(split)

    def description(self, split: str) -> dict[str, Any]:
        """The processor, its settings or its code, and the scheme."""
        return self._examples.description(split) | {"tag_scheme": self.scheme}

    def code_digest(self) -> str | None:
        """Digest of the source of the processor's class; None for those of this project."""
        return source_digest(type(self._examples.processor))


def _internal_labels(tags: Sequence[str], scheme: str) -> list[str]:
    """Both IOB2 tags of each type, in the order in which types come."""
    for tag in tags:
        ill_formed([tag], scheme)  # refuses letters of others
    return labels_of_types(list(dict.fromkeys(split_tag(tag)[1] for tag in tags if tag != "O")))


class _TaggedExamples(ProcessorSource[Sentence | DataError]):
    """The examples of a processor as sentences; in place of one that cannot be used, why."""

    known: frozenset[str] = frozenset()
    scheme: str = IOB2

    def checked(self, example: Any, number: int, split: str) -> Sentence | DataError:
        """The sentence with words that are text and tags that are among the labels."""
        name = one_line(repr(getattr(example, "guid", number)), 60)
        where = f"{type(self.processor).__name__}: {split} example {name}"
        try:
            return self._sentence(example, number, split, where)
        except DataError as error:
            return error

    def _sentence(self, example: Any, number: int, split: str, where: str) -> Sentence:
        words = getattr(example, "words", None)
        if not _is_list(words):
            raise DataError(
                f"{where} is a {type(example).__name__} without a list of words, expected guid, words and tags "
                f"({TaggedExample.__module__}.{TaggedExample.__name__})"
            )
        words = [plain_text(word, f"{where}: word {index}") for index, word in enumerate(words)]
        if not words or not all(words):
            raise DataError(f"{where}: {'a word is empty' if words else 'has no words'}; leave it out, or correct it")
        tags = getattr(example, "tags", None)
        if tags is None and split == "test":
            return Sentence(number + 1, words)
        if not _is_list(tags) or len(tags) != len(words):
            found = f"{len(tags)} tags" if _is_list(tags) else f"{one_line(repr(tags), 60)} for tags"
            raise DataError(f"{where}: found {len(words)} words and {found}, expected a tag for each word")
        return Sentence(number + 1, words, self._tags([label_text(tag) for tag in tags], split, where))

    def _tags(self, tags: list[str], split: str, where: str) -> list[str]:
        try:
            ill_formed(tags, self.scheme)
            internal = to_internal(tags, self.scheme)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        unknown = next((tag for tag in internal if tag not in self.known), None)
        if unknown is not None and split != "test":
            raise DataError(
                f"{where}: tag {one_line(repr(unknown), 60)} is not among the labels; {closest(unknown, self.known)}; "
                "correct the example, or add it to get_labels"
            )
        return internal


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
