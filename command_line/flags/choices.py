"""Questions with choices: files, columns, labels; how texts are joined and cut."""

from collections.abc import Callable
from typing import Any

from command_line.flags.data import ENCODING, LIMITS, ON_BAD_ROW, PLACES, PREDICTED, TABLE, TASK
from command_line.flags.declaration import Flag, Group, Scope
from processors.choices.featurizer import JOINS
from processors.choices.forms import FORMS
from processors.choices.question import LABELS_AS
from processors.choices.trimming import CUTS
from processors.records.featurizer import TRUNCATIONS

TABLE_NAME = "table"
_NAMED = "Without it, as --task_name has it"


def _same_as_run(name: str) -> Callable[[Any, Any, Any], bool]:
    """Whether a value is the one of the run, which a data set by name may have decided."""
    return lambda given, recorded, identity: bool(given == (recorded or identity.get(name)))


QUESTIONS = Group(
    "Questions",
    (
        TASK["task_name"].changed(
            type=(TABLE_NAME, *FORMS),
            default=TABLE_NAME,
            help=f"Data set by name, in its publishers' files; {TABLE_NAME} for tables described by flags.",
            names_code=None,
        ),
        TASK["data_dir"].changed(help="Folder of the files: as published, or train.*, dev.* (val.*, valid.*), test.*."),
        TABLE["train_file"].changed(help=f"Questions to train on. Without it, those in --data_dir. {PLACES}"),
        TABLE["dev_file"].changed(help=f"Questions to evaluate on. Without it, those in --data_dir. {PLACES}"),
        TABLE["test_file"].changed(help=f"Questions to predict. Without it, those in --data_dir. {PLACES}"),
        PREDICTED,
        Flag(
            "context",
            str,
            None,
            "Column of what a question is about: header name, or index from 0. Without it, there is none.",
            Scope.FIXED,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "question",
            str,
            None,
            "Column of the question. Without it, choices go on from the context.",
            Scope.FIXED,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "choices",
            str,
            None,
            "Columns of the choices, comma-separated; a blank cell is no choice. One column may hold a list (JSON), or "
            "text with --choice_separator.",
            Scope.FIXED,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "choice_separator",
            str,
            None,
            "Character between the choices of one cell.",
            Scope.FIXED,
            decides_rows=True,
        ),
        TABLE["label"].changed(help="Column of the right choice."),
        TABLE["label_as"].changed(
            type=LABELS_AS,
            default=None,
            help="What a label is: the text of the right choice, its place from 0, or its letter from A; never "
            f"guessed. {_NAMED}.",
            is_main=True,
        ),
        TABLE["delimiter"],
        TABLE["quoting"],
        ENCODING,
        TABLE["header"],
        ON_BAD_ROW,
        *LIMITS,
    ),
)

READING = Group(
    "Choices",
    (
        Flag(
            "join",
            JOINS,
            None,
            "How question and choice become the second text: joined by a blank; with fill, the choice in place of each "
            f"_ of a question that has one; with separate, a separator token between. {_NAMED}, blank for tables.",
            Scope.FIXED,
            same=_same_as_run("join"),
        ),
        Flag(
            "cut",
            CUTS,
            None,
            "Which part loses tokens beyond --max_seq_length: the context, or one at a time whichever is the longest. "
            f"{_NAMED}, context for tables.",
            Scope.FIXED,
            same=_same_as_run("cut"),
        ),
        TASK["truncation"].changed(
            type=TRUNCATIONS,
            help="Which tokens of a context that loses some are kept: the first, the last, or a quarter from its start "
            "and the rest from its end.",
        ),
        Flag(
            "max_choice_length",
            int,
            None,
            "With --cut=context: most tokens of question and choice together, of which the last are kept. "
            f"{_NAMED} (128 for race), as many as fit for tables.",
            Scope.FIXED,
            minimum=1,
            same=_same_as_run("max_choice_length"),
        ),
        Flag(
            "max_choices",
            int,
            None,
            "Most choices of a question; a row with more is refused. Without it, any number; where shapes are static, "
            "as many as the columns or --task_name have.",
            Scope.REMEMBERED,
            minimum=2,
            in_export=True,
        ),
    ),
)
