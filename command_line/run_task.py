"""run_task.py: finds the script of a task that is not part of this project, and runs it."""

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from command_line import app
from command_line.flags import help as help_text
from command_line.flags.declaration import FlagSet
from command_line.frame import TaskScript
from common.errors import BertError, FlagError
from common.user_code import find_class

TASKS = "bert.tasks"
"""Group of entry points of tasks."""


class _Help:
    """What `--help` is asked of where no task is named."""

    flags = FlagSet(())

    def run(self, flags: SimpleNamespace) -> None:
        """Has nothing to run."""


def start(description: str, argv: Sequence[str] | None = None) -> None:
    """Runs the task that the first argument names, with the flags after it.

    Args:
      description: printed by `--help` where no task is named.
      argv: command line, program name first; the process's own by default.
    """
    program, *arguments = sys.argv if argv is None else argv
    if arguments and help_text.requested(arguments[:1]):
        app.start(_Help(), description, [program, *arguments[:1]])
    try:
        if not arguments or arguments[0].startswith("-"):
            raise FlagError(
                "no task is named; give path/to/file.py, package.module:Class or an installed task before the flags"
            )
        script = find(arguments[0])
    except BertError as error:
        app.fail(error)
    app.start(script, type(script).__doc__ or description, [f"{program} {arguments[0]}", *arguments[1:]])


def find(name: str) -> TaskScript[Any]:
    """The script of a task.

    Args:
      name: `path/to/file.py`, `path/to/file.py:Class`, `package.module:Class`, or an entry point of the group
        `bert.tasks`.

    Raises:
      RegistryError: there is none.
    """

    def fits(found: Any) -> bool:
        return isinstance(found, type) and issubclass(found, TaskScript) and found is not TaskScript

    what = "a subclass of command_line.frame.TaskScript"
    script: TaskScript[Any] = find_class(name, "run_task.py", fits, what, TASKS)()
    script.found_as = name
    return script
