"""Run a task of your own: a class derived from `command_line.frame.TaskScript`, in a file or an installed package.

    python run_task.py examples/custom_task.py --data_dir=examples/ratings-en \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --do_predict --output_dir=runs/ratings

    python run_task.py examples/custom_task.py --help
"""

from collections.abc import Sequence

from command_line import run_task


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    run_task.start(__doc__, argv)


if __name__ == "__main__":
    main()
