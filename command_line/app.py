"""Starts a script: flags, log, and the one place where an error becomes a line and an exit code."""

import dataclasses
import errno
import importlib.metadata
import io
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import NoReturn, Protocol

from command_line import INTERRUPTED, remote_files
from command_line.flags import help as help_text
from command_line.flags.declaration import FlagSet
from command_line.flags.parsing import parse
from common import interruption
from common.errors import BertError, FlagError, one_line
from common.source_code import users_place

TENSORFLOW_SERIES = "2.15."
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
XLA_FOR_CPU = "--tf_xla_cpu_global_jit"


class Runnable(Protocol):
    """A script: its flags, and what runs with their values."""

    @property
    def flags(self) -> FlagSet:
        """Every flag of the script."""

    def run(self, flags: SimpleNamespace) -> object:
        """Does what the flags ask for; raises `BertError` for errors that the user can fix."""


@dataclasses.dataclass(frozen=True)
class Script:
    """A script that is one function.

    Args:
      flags: every flag of the script.
      run: called with their values.
    """

    flags: FlagSet
    run: Callable[[SimpleNamespace], None]


def start(script: Runnable, description: str, argv: Sequence[str] | None = None) -> None:
    """Runs a script; returns when it is done, and exits the process on an error.

    Args:
      script: flags and function.
      description: printed by `--help`.
      argv: command line, program name first; the process's own by default.

    Exit codes: 0 done; 2 an error that the user can fix, as one line on standard error; 1 a bug, with its traceback.
    """
    set_up_streams()
    set_up_log()
    argv = command_line(argv)
    kind = help_text.requested(argv[1:])
    try:
        if kind:
            print(help_text.text(kind, description, script.flags), flush=True)
            sys.exit(0)
        check_tensorflow()
        options = parse(argv, script.flags)
        if isinstance(script, Script):
            options = remote_files.inputs_alone(options, script.flags)
        if getattr(options, "use_xla", False):
            let_xla_compile_for_cpu()
        with interruption.sigterm_raises():
            script.run(options)
    except Exception as error:
        told = error if isinstance(error, BertError) else unnamed(error)
        if "--traceback" in argv:
            traceback.print_exc()
        fail(told)
    except KeyboardInterrupt as error:
        print(INTERRUPTED, file=sys.stderr)
        sys.exit(interruption.exit_code(error))


def command_line(argv: object) -> list[str]:
    """The command line that `main` is given, by default that of the process; exits on anything else.

    Scripts for google-research/bert call `main(0)` or `main("")`, with flags that they have set beforehand.
    """
    given = sys.argv if argv is None else argv
    if not isinstance(given, list | tuple) or not given or not all(isinstance(one, str) for one in given):
        fail(
            FlagError(
                f"main({one_line(repr(given), 60)}): expected the command line as a list of texts, the program's name "
                "first, as in main(['run_classifier.py', '--do_eval']); flags are not global here"
            )
        )
    return list(given)


def fail(error: BertError) -> NoReturn:
    """Prints one line and leaves with the error's exit code."""
    line = " ".join(str(error).split())
    print(f"error: {line}", file=sys.stderr)
    sys.exit(error.exit_code)


def unnamed(error: Exception) -> BertError:
    """What to say of an error that no part of the program has named: of the system, or in code of the user's.

    Raises:
      Exception: the error is a bug, not something the user can fix.
    """
    if not isinstance(error, OSError) or error.errno not in (*NO_SPACE, errno.EPIPE):
        return in_users_code(error)
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


def in_users_code(error: Exception) -> BertError:
    """What to say of a mistake in a class of the user's: its file and line, and the error.

    Raises:
      Exception: the error, a bug, where no code of the user's has taken part in it.
    """
    place = users_place(error)
    if place is None:
        raise error
    what = f"{type(error).__name__}: {one_line(error)}"
    return BertError(f"{place}: {what}; correct the code (--traceback shows all)")


def set_up_streams() -> None:
    """Makes standard output and standard error UTF-8 whatever the locale says: labels and texts are of any language.

    Half a character, which UTF-8 does not have, is written as JSON escapes it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


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
