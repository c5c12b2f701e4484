"""Prints `docs/flags.md`: `python -m command_line.reference > docs/flags.md`."""

from command_line import (
    convert_checkpoint,
    create_pretraining_data,
    extract_features,
    repeat_run,
    run_classifier,
    run_classifier_with_tfhub,
    run_multiple_choice,
    run_ner,
    run_pretraining,
    run_seq2seq,
    run_server,
    run_squad,
)
from command_line.app import Runnable
from command_line.flags.help import markdown

SCRIPTS: dict[str, Runnable] = {
    "run_classifier": run_classifier.SCRIPT,
    "run_classifier_with_tfhub": run_classifier_with_tfhub.SCRIPT,
    "run_squad": run_squad.SCRIPT,
    "run_ner": run_ner.SCRIPT,
    "run_multiple_choice": run_multiple_choice.SCRIPT,
    "run_seq2seq": run_seq2seq.SCRIPT,
    "run_pretraining": run_pretraining.SCRIPT,
    "create_pretraining_data": create_pretraining_data.SCRIPT,
    "extract_features": extract_features.SCRIPT,
    "convert_checkpoint": convert_checkpoint.SCRIPT,
    "run_server": run_server.SCRIPT,
    "repeat_run": repeat_run.SCRIPT,
}
"""Every script by its name."""


def page() -> str:
    """The text of `docs/flags.md`."""
    return markdown({name: script.flags for name, script in SCRIPTS.items()})


if __name__ == "__main__":
    print(page(), end="")
