"""Starts a script: flags, log, and the one place where an error becomes a line and an exit code."""

import importlib.metadata
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace

from absl import flags

from errors import BertError, FlagError

TENSORFLOW_SERIES = "2.15."


def start(
    run: Callable[[SimpleNamespace], None],
    description: str,
    define: Sequence[Callable[[flags.FlagValues], None]],
    argv: Sequence[str] | None = None,
) -> None:
    """Runs a script; returns when it is done, and leaves the process where it cannot be.

    Args:
      run: gets the flags as a plain namespace; raises `BertError` for what the user can mend.
      description: printed by `--help`.
      define: functions that define the script's flags on the values they are given.
      argv: command line, program name first; the process's own by default.

    Exit codes: 0 done; 2 an error the user can mend, as one line on standard error; 1 a bug, with its traceback.
    """
    values = flags.FlagValues()
    for one in define:
        one(values)
    set_up_log()
    try:
        run(parse(list(sys.argv if argv is None else argv), description, values))
    except BertError as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on from the latest checkpoint", file=sys.stderr)
        sys.exit(130)


def parse(argv: list[str], description: str, values: flags.FlagValues) -> SimpleNamespace:
    """The flags by name, and under `given` the names of those on the command line; prints help and leaves if asked.

    Raises:
      FlagError: an unknown flag, an unusable value, an argument that is no flag, another TensorFlow.
    """
    if any(argument in ("--help", "-h", "-help") for argument in argv[1:]):
        print(f"{description.strip()}\n\nFlags:\n{values.get_help()}")
        sys.exit(0)
    try:
        rest = values(argv)
    except flags.Error as error:
        raise FlagError(f"{error}; run with --help for all flags") from None
    if len(rest) > 1:
        raise FlagError(f"unexpected argument {rest[1]!r}; expected flags only, as in --flag=value")
    check_tensorflow()
    return SimpleNamespace(**values.flag_values_dict(), given={name for name in values if values[name].present})


def fail(error: BertError) -> None:
    """Prints one line and leaves with the error's exit code."""
    line = " ".join(str(error).split())
    print(f"error: {line}", file=sys.stderr)
    sys.exit(error.exit_code)


def set_up_log() -> None:
    """Plain lines with the time on standard error, in place of absl's prefix."""
    handler = _StandardError()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    root = logging.getLogger()
    for existing in list(root.handlers):
        if isinstance(existing, _StandardError):
            root.removeHandler(existing)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # TensorFlow's C++ side reports duplicate CUDA factories as errors at every import; its real errors arrive as
    # exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Both speak to the maintainers of TensorFlow's satellites; the pins of this project are what they complain about.
    warnings.filterwarnings("ignore", "You are using a Python version", FutureWarning)
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)


class _StandardError(logging.Handler):
    """Writes to what `sys.stderr` is at the time, and leaves a progress bar on the terminal whole."""

    def emit(self, record: logging.LogRecord) -> None:
        if "tqdm" in sys.modules and sys.stderr.isatty():
            sys.modules["tqdm"].tqdm.write(self.format(record), file=sys.stderr)
        else:
            print(self.format(record), file=sys.stderr, flush=True)


def check_tensorflow() -> None:
    """Names the pinned TensorFlow and its reason before an import fails for another.

    Raises:
      FlagError: TensorFlow is absent or of another series.
    """
    try:
        version = importlib.metadata.version("tensorflow")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if not version.startswith(TENSORFLOW_SERIES):
        raise FlagError(
            f"TensorFlow {version} is installed, {TENSORFLOW_SERIES}x is needed: it is the last series with "
            "tf.estimator; run pip install -r requirements.txt in a Python 3.11 environment"
        )
