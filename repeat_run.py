"""Say what has changed since a run, repeat its commands in another folder, and compare the results.

python repeat_run.py runs/mrpc --verify_only

python repeat_run.py runs/mrpc --output_dir=runs/mrpc-again
"""

from collections.abc import Sequence

from command_line import repeat_run


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    repeat_run.start(__doc__, argv)


if __name__ == "__main__":
    main()
