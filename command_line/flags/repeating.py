"""Flags of repeat_run.py."""

from command_line.flags.actions import ACTIONS
from command_line.flags.declaration import Flag, Group, Scope

REPEATING = Group(
    "Repeating a run",
    (
        ACTIONS["output_dir"].changed(
            help="Folder of the repeat, which must not be that of the run; the same command goes on with a repeat that "
            "was stopped.",
        ),
        Flag("verify_only", bool, False, "Say what has changed since the run, and stop.", Scope.FREE, is_main=True),
        Flag(
            "anyway",
            bool,
            False,
            "Repeat with what is here, although something has changed since the run.",
            Scope.FREE,
            is_main=True,
        ),
        Flag(
            "run_code",
            bool,
            False,
            "Run the code of users that run.json names (--processor_module, --head, a task of run_task.py); without "
            "it such a run is refused.",
            Scope.FREE,
            is_main=True,
        ),
        ACTIONS["traceback"],
    ),
)
