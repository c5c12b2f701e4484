"""Upstream's script for a classifier on a TensorFlow Hub module; here it only says what to use instead."""

from collections.abc import Sequence

import compat
from command_line import app
from common.errors import FlagError

__getattr__ = compat.lookup("run_classifier_with_tfhub")


def main(argv: Sequence[str] | None = None) -> None:
    """Prints what to use, and exits with the code of an error that the user can fix."""
    del argv
    app.fail(FlagError(f"run_classifier_with_tfhub.py: {compat.HUB_MODULES}"))


if __name__ == "__main__":
    main()
