"""Data sets by name: how their publishers lay out files, and how their papers join texts."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from common.errors import DataError
from processors.choices.articles import read_dialogues, read_race
from processors.choices.featurizer import BLANK, FILL, SEPARATE, JoiningSettings
from processors.choices.question import INDEX, LETTER, TEXT
from processors.choices.source import Reader
from processors.choices.tables import ChoiceColumns, Read, read_table
from processors.choices.trimming import CONTEXT, LONGEST
from processors.tables.spec import TableFormat

DREAM_SPLITS = {"train": ("train.json",), "dev": ("dev.json",), "test": ("test.json",)}
RACE_LEVELS = ("middle", "high")
WHOLE = "all.txt"
"""What google-research/albert makes of RACE's many files: one with an article a line."""
C3_KINDS = ("d", "m")
"""C3's files: of dialogues, and of mixed texts."""


@dataclasses.dataclass(frozen=True)
class Form:
    """A data set by name.

    Args:
      label_as: what says which choice is right.
      joining: as its paper joins texts, and cuts what is too long.
      max_choices: most choices that its questions have.
      files: names of each split's files below the folder; several with a `*`.
      columns: where the parts of a row stand; None where files are no tables.
      kind: `"table"`, `"race"` or `"dialogues"`.
      needs_all: whether each of `files` has to be there; else those that are.
    """

    label_as: str
    joining: JoiningSettings
    max_choices: int
    files: Mapping[str, Sequence[str]]
    columns: ChoiceColumns | None = None
    kind: str = "table"
    needs_all: bool = False

    def reader(self, encoding: str | None, keeps_bad: bool = False) -> Reader:
        """Reads one of its files."""
        return functools.partial(_read, self, encoding, keeps_bad)

    def found(self, folder: Path, split: str) -> list[Path]:
        """The files of a split below a folder; none where there are none.

        Raises:
          DataError: some of the split's files are there, and others are not.
        """
        by_pattern = {name: _whole(sorted(folder.glob(name))) for name in self.files[split]}
        missing = [name for name, paths in by_pattern.items() if not paths]
        if self.needs_all and missing and len(missing) < len(by_pattern):
            raise DataError(
                f"{folder}: has no {missing[0]} beside the other files of the {split} split; add it, or name the "
                f"files that are meant by --{split}_file"
            )
        return [path for paths in by_pattern.values() for path in paths]


def _whole(paths: Sequence[Path]) -> list[Path]:
    """Files that a pattern finds; where one of them is known to hold all the others do, that one."""
    files = [path for path in paths if path.is_file()]
    return [path for path in files if path.name == WHOLE] or files


def _read(form: Form, encoding: str | None, keeps_bad: bool, path: Path, split: str) -> Iterator[Read]:
    if form.columns is not None:
        return read_table(path, form.columns, TableFormat(encoding=encoding), split, keeps_bad)
    return (read_race if form.kind == "race" else read_dialogues)(path, encoding)


def _answers(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}{place}" for place in range(count))


def _race(*levels: str) -> Form:
    files = {split: tuple(f"{split}/{level}/*.txt" for level in levels) for split in ("train", "dev", "test")}
    return Form(LETTER, JoiningSettings(FILL, CONTEXT, max_choice_length=128), 4, files, kind="race", needs_all=True)


def _c3(*kinds: str) -> Form:
    files = {split: tuple(f"c3-{kind}-{split}.json" for kind in kinds) for split in ("train", "dev", "test")}
    return Form(TEXT, JoiningSettings(SEPARATE, LONGEST), 4, files, kind="dialogues", needs_all=True)


_OPINION = "ai_challenger_oqmrc_"

FORMS: Mapping[str, Form] = {
    # arXiv:1808.05326; arXiv:1810.04805, section 4.4: the second sentence and an ending are one text.
    "swag": Form(
        INDEX,
        JoiningSettings(BLANK, LONGEST),
        4,
        {"train": ("train.csv",), "dev": ("val.csv",), "test": ("test.csv",)},
        ChoiceColumns(_answers("ending", 4), "sent1", "sent2", "label"),
    ),
    # arXiv:1704.04683; google-research/albert cuts question and option to their last 128 tokens.
    "race": _race(*RACE_LEVELS),
    "race_middle": _race("middle"),
    "race_high": _race("high"),
    # arXiv:1902.00164; the owners' BERT parts question and choice by a separator.
    "dream": Form(TEXT, JoiningSettings(SEPARATE, LONGEST), 3, DREAM_SPLITS, kind="dialogues"),
    # arXiv:1904.09679, likewise.
    "c3": _c3(*C3_KINDS),
    "c3_dialogue": _c3("d"),
    "c3_mixed": _c3("m"),
    # arXiv:1909.00277.
    "cosmosqa": Form(
        INDEX,
        JoiningSettings(BLANK, LONGEST),
        4,
        {"train": ("train.csv",), "dev": ("valid.csv",), "test": ("test.csv", "test.jsonl")},
        ChoiceColumns(_answers("answer", 4), "context", "question", "label", "id"),
    ),
    # AI Challenger 2018, opinion questions: `alternatives` holds "yes|no|cannot be said" in any order.
    "opinion": Form(
        TEXT,
        JoiningSettings(BLANK, CONTEXT),
        3,
        {
            "train": (f"{_OPINION}trainingset.json",),
            "dev": (f"{_OPINION}validationset.json",),
            "test": (f"{_OPINION}testa.json", f"{_OPINION}testb.json"),
        },
        ChoiceColumns(("alternatives",), "passage", "query", "answer", "query_id", "|"),
    ),
}
