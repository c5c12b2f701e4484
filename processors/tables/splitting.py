"""Which file is which split, and which training rows are held out where there is no dev file."""

import random
from collections import defaultdict
from collections.abc import Hashable, Iterable
from pathlib import Path

from common.errors import DataError
from processors.reading import DELIMITERS, JSON_LINES, data_suffix

STEMS = {"train": ("train",), "dev": ("dev", "valid", "validation"), "test": ("test",)}


def find_file(split: str, data_dir: str | None) -> Path | None:
    """The table in `data_dir` that is named after `split`; None where there is none.

    Args:
      split: `"train"`, `"dev"` (also `valid`, `validation`) or `"test"`.
      data_dir: folder to look in.

    Raises:
      DataError: several files fit, or no such folder.
    """
    if data_dir is None:
        return None
    folder = Path(data_dir)
    if not folder.is_dir():
        raise DataError(f"--data_dir={data_dir}: no such folder; give the folder of the data files")
    known = {*DELIMITERS, *JSON_LINES}
    found = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.partition(".")[0] in STEMS[split] and data_suffix(path) in known
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{folder}: {len(found)} files fit the {split} split ({names}); name one with --{split}_file")
    return found[0] if found else None


def held_out(rows: Iterable[tuple[int, Hashable]], fraction: float, seed: int) -> set[int]:
    """Chooses rows to evaluate on, the same share of each class, the same rows for the same seed.

    Args:
      rows: `(number, class)` of each row.
      fraction: share to choose; of each class with more than one row at least one, never all.
      seed: decides which.

    Returns:
      Numbers of the chosen rows.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for number, key in rows:
        members[key].append(number)
    generator = random.Random(seed)
    chosen: set[int] = set()
    for numbers in members.values():
        count = min(max(1, round(fraction * len(numbers))), len(numbers) - 1)
        chosen.update(generator.sample(numbers, count))
    return chosen
