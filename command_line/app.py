"""Starts a script: flags, log, and the one place where an error becomes a line and an exit code."""

import errno
import importlib.metadata
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace

from absl import flags

from common.errors import BertError, FlagError

TENSORFLOW_SERIES = "2.15."
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
XLA_FOR_CPU = "--tf_xla_cpu_global_jit"


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
        options = parse(list(sys.argv if argv is None else argv), description, values)
        if getattr(options, "use_xla", False):
            let_xla_compile_for_cpu()
        run(options)
    except BertError as error:
        fail(error)
    except OSError as error:
        fail(unwritten(error))
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


def unwritten(error: OSError) -> BertError:
    """What to say of an error of the system that no part of the program has named.

    Raises:
      OSError: it is none that the user can mend, but our bug.
    """
    if error.errno not in (*NO_SPACE, errno.EPIPE):
        raise error
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try again when it ends, and fail with lines of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return BertError(
            "standard output: its reader has closed it before everything was written; let it read to the end"
        )
    where = error.filename or "a file, or standard output"
    return BertError(f"{where}: cannot be written ({error.strerror}); free disk space, then run the same command again")


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


def let_xla_compile_for_cpu() -> None:
    """Sets what TensorFlow reads once, before it looks at its devices: a GPU needs no such permission."""
    given = os.environ.get("TF_XLA_FLAGS", "")
    if XLA_FOR_CPU not in given:
        os.environ["TF_XLA_FLAGS"] = f"{given} {XLA_FOR_CPU}".strip()


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
