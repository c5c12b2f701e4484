"""One writer in a folder at a time, and nothing left of those that were killed."""

import contextlib
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from common.checkpoints import parts_without_index
from common.errors import RunDirectoryError
from common.paths import is_remote, remove_tree

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

_LEFTOVER = re.compile(
    r".+\.tmp-(.+-)?\d+"  # our own files, before they are renamed
    r"|checkpoint\.tmp[0-9a-f]+|.+\.tempstate\d+|model\.ckpt-\d+_temp"  # TensorFlow's
    r"|temp-\d+"  # exports
)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets no other process write to an output directory while a block runs.

    The folder itself is locked: no file is left behind, and the lock ends with the process that holds it.

    Raises:
      RunDirectoryError: another process holds the lock.
    """
    if is_remote(folder):
        log.warning("--output_dir=%s: cannot be locked there; let no other command write to it meanwhile", folder)
    if fcntl is None or is_remote(folder):
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RunDirectoryError(
            f"--output_dir={folder}: another process writes to it; wait until it has ended, or choose another"
        ) from None
    except OSError as error:  # some network file systems
        log.warning(
            "--output_dir=%s: cannot be locked (%s); let no other command write to it meanwhile", folder, error.strerror
        )
    try:
        yield
    finally:
        os.close(descriptor)


def sweep(folders: Iterable[Path], copies: Collection[Path] = ()) -> None:
    """Removes what processes that were killed have left half-written; the caller holds the lock.

    Args:
      folders: to look into, without the folders in them; those that are absent are left out.
      copies: those of them that hold copies of checkpoints.
    """
    for folder in folders:
        if not folder.is_dir():
            continue
        found = sorted(path for path in folder.iterdir() if _LEFTOVER.fullmatch(path.name))
        for leftover in [*found, *parts_without_index(folder, is_copy=folder in copies)]:
            if leftover.is_dir():
                remove_tree(leftover)
            else:
                leftover.unlink(missing_ok=True)
            log.info("removed %s, which a process that was stopped has left", leftover)
