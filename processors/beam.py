"""Apache Beam: a pipeline on a runner that a command names, one function over elements, errors as one line."""

import contextlib
import io
import logging
import re
import shlex
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from common.errors import DataError, FlagError, closest, one_line

_OUR_ERROR = re.compile(r"^common\.errors\.\w+Error: (.+)", re.MULTILINE)
"""The last line of a traceback, as a worker in another process sends it."""
_LOG_LEVELS = {
    "apache_beam": logging.WARNING,
    # What a job that runs elsewhere is doing.
    "apache_beam.runners.dataflow": logging.INFO,
    "apache_beam.runners.portability.portable_runner": logging.INFO,
    # Workers log the tracebacks of errors that arrive as exceptions, too.
    "apache_beam.runners.common": logging.CRITICAL,
    "apache_beam.runners.portability.local_job_service": logging.CRITICAL,
    "apache_beam.runners.worker": logging.CRITICAL,
}


def open_pipeline(runner: str, beam_options: str) -> Any:
    """An empty pipeline for a runner, before anything is read.

    Args:
      runner: name of a Beam runner, or its class as `module.Class`.
      beam_options: flags for Beam's `PipelineOptions`, as on a command line.

    Raises:
      FlagError: Beam is not installed, or does not know the runner or an option's value.
    """
    beam = _load_beam(runner)
    options = _options(runner, beam_options)
    from apache_beam.options.pipeline_options import StandardOptions

    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        if "Unexpected pipeline runner" not in str(error):
            raise FlagError(
                f"--runner={runner}: Beam cannot start it ({one_line(error)}); give what is missing in --beam_options"
            ) from None
        names = closest(runner, StandardOptions.KNOWN_RUNNER_NAMES)
        raise FlagError(
            f"--runner={runner}: Beam has no such runner; {names}; another one is given as module.Class"
        ) from None
    except (ImportError, AttributeError) as error:
        raise FlagError(
            f"--runner={runner}: cannot be imported ({one_line(error, 120)}); install it, or check its name"
        ) from None


def _load_beam(runner: str) -> Any:
    # At its import it warns of those parts of itself that are not installed.
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            import apache_beam
    except ImportError as error:
        raise FlagError(
            f"--runner={runner} needs Apache Beam, which cannot be imported ({one_line(error, 100)}); "
            "pip install apache-beam, or leave --runner out: this machine's processes do without"
        ) from None
    finally:
        logging.disable(logging.NOTSET)
    for name, level in _LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    return apache_beam


def _options(runner: str, beam_options: str) -> Any:
    from apache_beam.options.pipeline_options import PipelineOptions

    said = io.StringIO()  # Beam's parser prints its usage and leaves
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions([*shlex.split(beam_options), f"--runner={runner}"])
            options.get_all_options()
    except (ValueError, SystemExit) as error:
        reason = (said.getvalue().strip().splitlines() or [str(error)])[-1].partition("error: ")
        raise FlagError(
            f"--beam_options={beam_options}: Beam cannot read it ({one_line(reason[2] or reason[0])}); "
            "expected flags of Beam, as in --beam_options='--direct_num_workers=4 --job_name=corpus'"
        ) from None
    return options


def run_each(pipeline: Any, runner: str, elements: Sequence[Any], function: Callable[[Any], Any], kept: str) -> str:
    """Calls a function on each element, on whichever worker the runner takes; gives the state that the job ended in.

    Args:
      pipeline: an empty one.
      runner: its name, for messages.
      elements: can be pickled.
      function: can be pickled.
      kept: what there is after an error, for its message.

    Raises:
      DataError: as the function.
    """
    import apache_beam as beam

    # Without the reshuffle a runner may give all of the elements to one worker.
    spread = pipeline | "Elements" >> beam.Create(elements) | "Spread" >> beam.Reshuffle()
    spread | "Call" >> beam.Map(function)
    try:
        return str(pipeline.run().wait_until_finish())
    except Exception as error:
        # In this process it comes as it is, from another one as the text of its traceback.
        lines = [str(error)] if isinstance(error, DataError) else _OUR_ERROR.findall(str(error))
        if not lines:
            raise
        line = lines[0].partition(" [while running ")[0]
        raise DataError(f"--runner={runner}: {line}; {kept}") from error
