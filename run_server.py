"""Serve exports over HTTP: a classifier, a regression, questions and answers, masked words.

python run_server.py --export=runs/reviews

curl -d '{"instances": ["a fine film"]}' http://127.0.0.1:8501/v1/models/reviews:predict
"""

from collections.abc import Sequence

from command_line import app, run_server


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_server.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
