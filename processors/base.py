"""Examples and the class that reads them: what a data set has to say about itself."""

import abc
import csv
import dataclasses
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, one_line
from processors.problem_types import PROBLEM_TYPES
from processors.reading import MissingDataError, lift_field_size_limit, open_text, read_delimited

SPLITS = ("train", "dev", "test")


@dataclasses.dataclass
class InputExample:
    """One text, or pair of texts, with its label; further attributes may be set.

    Args:
      guid: unique within its split.
      text_a: the first (or only) text, not tokenized.
      text_b: the second text of a pair.
      label: a label name (single_label), a number or its text (regression), several names (multi_label); None where the
        row is unlabelled.

    Source: `InputExample` of google-research/bert.
    """

    guid: str
    text_a: str
    text_b: str | None = None
    label: str | float | Sequence[str] | None = None


@dataclasses.dataclass
class TaggedExample:
    """One sentence with a tag for each word.

    Args:
      guid: unique within its split.
      words: not empty, each at least one character.
      tags: one for each word, in the scheme of the processor; None where they are not known.
    """

    guid: str
    words: Sequence[str]
    tags: Sequence[str] | None = None


class PaddingInputExample:
    """Fills the last batch where shapes must be static; a class of its own because None would hide mistakes."""


class DataProcessor:
    """Reads a data set; a subclass says where the examples of each split are and what the labels are.

    It has upstream's methods and the two attributes below, and nothing else that a subclass could hide by accident.

    Class attributes:
      problem_type: `"single_label"` (default), `"regression"` or `"multi_label"`.
      metrics: the official headline metrics of the task, e.g. `("accuracy", "f1")`; empty where there are none.

    Source: `DataProcessor` of google-research/bert; its subclasses work unchanged.
    """

    problem_type: str = "single_label"
    metrics: tuple[str, ...] = ()

    def get_train_examples(self, data_dir: str) -> Iterable[InputExample]:
        """Examples to train on: a list, or any iterable; called again, it gives them anew."""
        raise _lacks(self, "get_train_examples")

    def get_dev_examples(self, data_dir: str) -> Iterable[InputExample]:
        """Examples to evaluate on."""
        raise _lacks(self, "get_dev_examples")

    def get_test_examples(self, data_dir: str) -> Iterable[InputExample]:
        """Examples to predict; their labels are not used."""
        raise _lacks(self, "get_test_examples")

    def get_labels(self) -> list[str]:
        """Label names in the order of the classes; empty for regression."""
        if not PROBLEM_TYPES[self.problem_type].has_labels:
            return []
        raise _lacks(self, "get_labels")

    @classmethod
    def _read_tsv(cls, input_file: str, quotechar: str | None = None, encoding: str | None = None) -> list[list[str]]:
        """All rows of a tab-separated file, header included; quotes are text unless `quotechar` says otherwise."""
        path = Path(input_file)
        if quotechar is None:
            return [row.cells for row in read_delimited(path, "\t", "none", encoding)]
        lift_field_size_limit()
        with open_text(path, encoding) as lines:
            reader = csv.reader(lines, delimiter="\t", quotechar=quotechar)
            try:
                return list(reader)
            except csv.Error as error:
                raise DataError(
                    f"{path}:{reader.line_num}: {one_line(error)}; correct the row, or read it without quotechar"
                ) from None


class SentenceProcessor:
    """Reads sentences with a tag for each word; a subclass says where those of each split are and what the tags are.

    Class attributes:
      tag_scheme: how tags spell entities, one of `processors.entities.tags.SCHEMES`; `"none"` where they do not.
    """

    tag_scheme: str = "iob2"

    def get_train_examples(self, data_dir: str) -> Iterable[TaggedExample]:
        """Sentences to train on: a list, or any iterable; called again, it gives them anew."""
        raise _lacks(self, "get_train_examples")

    def get_dev_examples(self, data_dir: str) -> Iterable[TaggedExample]:
        """Sentences to evaluate on."""
        raise _lacks(self, "get_dev_examples")

    def get_test_examples(self, data_dir: str) -> Iterable[TaggedExample]:
        """Sentences to predict; their tags may be None."""
        raise _lacks(self, "get_test_examples")

    def get_labels(self) -> list[str]:
        """All tags; of a type that has one tag of IOB2 the other is added."""
        raise _lacks(self, "get_labels")


class SelfDescribing(abc.ABC):
    """A processor that knows which files and settings decide its examples, and that gives checked examples."""

    @abc.abstractmethod
    def data_files(self, split: str, data_dir: str | None) -> list[Path]:
        """The files whose content decides the examples of `split`.

        Raises:
          DataError: there is none.
        """

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """What decides the examples besides the files, as plain JSON."""

    @abc.abstractmethod
    def held_out_file(self, data_dir: str | None) -> Path | None:
        """The training file, where dev rows are held out from it; None where they have a file of their own."""

    def content_digest(self, split: str) -> str | None:
        """Digest of examples that are in no file; None (the default) where `data_files` has all of them."""
        del split
        return None


def digest_of(examples: Iterable[Any]) -> str:
    """Digest of examples that no file decides: equal digests give equal records."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example!r}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def _lacks(processor: object, method: str) -> MissingDataError:
    name = type(processor).__name__
    return MissingDataError(
        f"processor {name} has no {method}; define it in {name}, or leave out the step that needs it"
    )
