"""The sentences of a data set by split, with its tags: from files, checked against the labels of the model."""

import abc
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError, closest
from processors.entities.featurizer import labels_of_types
from processors.entities.sentence import OnProblem, Sentence, stop
from processors.entities.tagged_file import FileForm, TagCounts, as_internal, has_tags, inspect_tags, read_sentences
from processors.entities.tags import NONE, OUTSIDE, split_tag
from processors.reading import MissingDataError, lone_surrogate
from processors.tables.labels import warn_of_look_alikes

log = logging.getLogger(__name__)

TRAIN, DEV, TEST = "train", "dev", "test"


class SentenceSource(abc.ABC):
    """Where the sentences of a task come from.

    Attributes:
      labels: tags in the order of the classes, IOB2 unless the scheme is `none`.
      scheme: what the data is written in, one of `processors.entities.tags.SCHEMES`.
      on_problem: takes the error of a row that cannot be used; stops at it by default.
    """

    labels: list[str]
    scheme: str
    on_problem: OnProblem = staticmethod(stop)

    @abc.abstractmethod
    def sentences(self, split: str) -> Iterator[Sentence]:
        """A fresh pass over a split; tags as `labels`, always there but for the test split.

        Raises:
          DataError: a sentence that cannot be used, or no data for the split.
        """

    @abc.abstractmethod
    def data_files(self, split: str) -> list[Path]:
        """The files that decide the sentences of a split."""

    @abc.abstractmethod
    def description(self, split: str) -> dict[str, Any]:
        """What decides the sentences of a split besides the files, as plain JSON."""

    def code_digest(self) -> str | None:
        """Digest of the user's code that gives the sentences; None where there is none."""
        return None


class SentenceFiles(SentenceSource):
    """Sentences of files, one a split.

    Args:
      files: by split.
      form: how to read them.
      scheme: of their tags; None to detect it in the training file.
      labels: tags in the order of the classes; None for those of the training file, and of each entity type both tags.
      on_problem: as for `read_columns`, for every row that is read.

    Raises:
      DataError: the training file cannot be read, or there is none to find the scheme or the labels in.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        form: FileForm,
        scheme: str | None = None,
        labels: Sequence[str] | None = None,
        on_problem: OnProblem = stop,
    ) -> None:
        self._files = dict(files)
        self._form = form
        self.on_problem = on_problem
        self._reported: set[str] = set()
        if scheme is None or labels is None:
            counts = inspect_tags(self._file(TRAIN), form, scheme, on_problem)
            scheme = counts.scheme
            labels = self._found(counts) if labels is None else labels
        self.scheme, self.labels = scheme, list(labels)
        _refuse_line_breaks(self._files.get(TRAIN), labels)
        self._known = frozenset(labels)

    def data_files(self, split: str) -> list[Path]:
        """The split's file."""
        return [self._file(split)]

    def description(self, split: str) -> dict[str, Any]:
        """Columns, splitting, encoding, scheme."""
        del split
        form = self._form
        return {
            "columns": list(form.columns),
            "by_character": form.by_character,
            "encoding": form.encoding,
            "tag_scheme": self.scheme,
        }

    def sentences(self, split: str) -> Iterator[Sentence]:
        """Sentences of the split's file, with a tag for each word where they have tags; reports ill-formed tags once.

        Rows to predict may have tags that are not among the labels, or none.
        """
        path, form = self._file(split), self._form
        is_tagged = split != TEST or has_tags(path, form)
        if not is_tagged:
            form = form._replace(columns=form.columns._replace(tag=None))
        counts: Counter[str] = Counter()
        for sentence in read_sentences(path, form, self.on_problem):
            try:
                found = 0
                if is_tagged:
                    sentence, found = as_internal(path, sentence, self.scheme)
                self._check(path, sentence, split)
            except DataError as error:
                advice = "; --tag_column=none if the file has no tags" if is_tagged and split == TEST else ""
                self.on_problem(DataError(f"{error}{advice}"))
                continue
            counts.update(
                broken=found,
                left_out=sentence.left_out,
                unknown=sum(tag not in self._known for tag in sentence.tags or []),
            )
            yield sentence._replace(file=str(path))
        self._report(split, counts)

    def _report(self, split: str, counts: Mapping[str, int]) -> None:
        """Warns once of tags that cannot be meant as they are."""
        if split in self._reported:
            return
        self._reported.add(split)
        path = self._file(split)
        if counts["left_out"]:
            log.info(
                "%s: left out %d lines of CoNLL-U that are no words of their own (ids such as 1-2 or 1.1)", path,
                counts["left_out"],
            )  # fmt: skip
        if counts["broken"]:
            log.warning(
                "%s: %d tags break the scheme %s (an I- that continues nothing, say); each is read as conlleval does: "
                "it opens an entity", path, counts["broken"], self.scheme,
            )  # fmt: skip
        if counts["unknown"]:
            log.warning(
                "%s: %d words have tags that are not among the labels, so that none can be predicted; if the last "
                "column is something else, give --tag_column", path, counts["unknown"],
            )  # fmt: skip

    def _check(self, path: Path, sentence: Sentence, split: str) -> None:
        """Refuses words that no file can hold, and tags to learn that are not among the labels.

        Raises:
          DataError: there is one.
        """
        where = f"{path}:{sentence.line}: in the sentence that starts here"
        for word in sentence.words:
            half = lone_surrogate(word)
            if half is not None:
                raise DataError(
                    f"{where} the word {word!a:.60} has half a character (U+{ord(half):04X}), expected valid "
                    "Unicode; correct the row"
                )
        unknown = next((tag for tag in sentence.tags or [] if tag not in self._known), None)
        if unknown is not None and split != TEST:
            raise DataError(
                f"{where} found tag {unknown!r:.60}, which is not among the labels of the training file; "
                f"{closest(unknown, self._known)}; correct it, or give all with --labels"
            )

    def _found(self, counts: TagCounts) -> list[str]:
        """Of each type that is there both tags: a longer entity of it may come.

        Raises:
          DataError: there is no entity.
        """
        advice = "write %r as %r to make them one"
        if counts.scheme == NONE:
            warn_of_look_alikes(self._file(TRAIN), counts.tags, advice)
            return list(counts.tags)
        types = sorted({split_tag(tag)[1] for tag in counts.tags if tag != OUTSIDE})
        if not types:
            raise DataError(
                f"{self._file(TRAIN)}: all {counts.words} words are tagged O, expected entities to learn; check "
                "--tag_column"
            )
        warn_of_look_alikes(self._file(TRAIN), types, advice)
        return labels_of_types(types)

    def _file(self, split: str) -> Path:
        if split not in self._files:
            flag = "predict_file or --test_file" if split == TEST else f"{split}_file"
            raise MissingDataError(f"no file for the {split} split; give --{flag}, or a {split}.* in --data_dir")
        return self._files[split]


def _refuse_line_breaks(path: Path | None, labels: Sequence[str]) -> None:
    """Refuses labels that files of one label a line cannot hold.

    Raises:
      DataError: there is one.
    """
    broken = next((label for label in labels if not {"\r", "\n"}.isdisjoint(label)), None)
    if broken is not None:
        raise DataError(f"{path or '--labels'}: found tag {broken!r:.60}, expected one without a line break; rename it")
