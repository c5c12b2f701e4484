"""Which file is which split, and which training rows are held out where there is no dev file."""

import logging
import random
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from pathlib import Path

from common.errors import DataError
from processors.reading import data_suffix
from processors.tables.sniffing import TABLE_SUFFIXES

log = logging.getLogger(__name__)

STEMS = {"train": ("train",), "dev": ("dev", "val", "valid", "validation"), "test": ("test",)}
"""File names without extension, by split."""
_LOOKS_LIKE_A_SPLIT = ("train", "dev", "val", "test", "eval")


def find_file(split: str, data_dir: str | None, suffixes: Collection[str] = TABLE_SUFFIXES) -> Path | None:
    """The table in `data_dir` that is named after `split`; None where there is none.

    Args:
      split: `"train"`, `"dev"` (also `val`, `valid`, `validation`) or `"test"`.
      data_dir: folder to look in.
      suffixes: of the names of files that count, compression put aside.

    Raises:
      DataError: several files fit, or no such folder.
    """
    if data_dir is None:
        return None
    folder = Path(data_dir)
    if not folder.is_dir():
        raise DataError(f"--data_dir={data_dir}: no such folder; give the folder of the data files")
    found = [path for path in tables_in(folder, suffixes) if path.name.partition(".")[0] in STEMS[split]]
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{folder}: {len(found)} files fit the {split} split ({names}); name one with --{split}_file")
    return found[0] if found else None


def named_file(name: str, data_dir: str | None, split: str, tells: bool = False) -> Path:
    """The file that a user names for a split: below `data_dir`, or the path as it stands.

    Args:
      name: as given.
      data_dir: the folder of the data; None where there is none.
      split: that the file is of, for messages.
      tells: whether to log which of the two places has the file.

    Raises:
      DataError: both places have a file of that name, and it is not the same one.
    """
    inside, outside = Path(data_dir or "") / name, Path(name)
    if inside == outside:
        return outside
    if inside.exists() and outside.exists() and not inside.samefile(outside):
        raise DataError(
            f"{name}: may be {inside} or {outside.absolute()} as the file of the {split} split, which are different "
            "files; give the full path of the one that is meant"
        )
    found = inside if inside.exists() or not outside.exists() else outside
    if tells and found.exists():
        log.info("%s: the file of the %s split is %s", name, split, found.absolute())
    return found


def tables_in(folder: Path, suffixes: Collection[str] = TABLE_SUFFIXES) -> list[Path]:
    """The files of a folder that are tables by their names, sorted."""
    return sorted(path for path in folder.iterdir() if path.is_file() and data_suffix(path) in suffixes)


def unused_splits(folder: Path, used: Iterable[Path]) -> list[str]:
    """Names of tables that look like a split and are not used."""
    known = {path.resolve() for path in used}
    return [
        path.name
        for path in tables_in(folder)
        if path.name.lower().startswith(_LOOKS_LIKE_A_SPLIT) and path.resolve() not in known
    ]


def held_out(rows: Iterable[tuple[int, Hashable, Hashable]], fraction: float, seed: int) -> set[int]:
    """Chooses rows to evaluate on, the same fraction of each class, the same rows for the same seed.

    Rows with equal texts stay together: a text that is trained on is not evaluated on.

    Args:
      rows: `(number, class, text)` of each row; the text or a digest of it.
      fraction: share to choose; of each class with more than one text at least one, never all.
      seed: decides which.

    Returns:
      Numbers of the chosen rows.
    """
    numbers: dict[Hashable, list[int]] = defaultdict(list)
    members: dict[Hashable, list[Hashable]] = defaultdict(list)
    for number, key, text in rows:
        if text not in numbers:
            members[key].append(text)
        numbers[text].append(number)
    generator = random.Random(seed)
    chosen: set[int] = set()
    for texts in members.values():
        count = min(max(1, round(fraction * len(texts))), len(texts) - 1)
        for text in generator.sample(texts, count):
            chosen.update(numbers[text])
    return chosen
