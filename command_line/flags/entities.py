"""Sentences with a tag for each word: files, columns, schemes; windows and heads."""

from typing import Any

from command_line.flags.data import LIMITS, PLACES, PREDICTED, TABLE, TASK
from command_line.flags.declaration import Flag, Group, Scope, default_of
from processors.entities.tags import SCHEMES
from tasks.entities.task import EntitySettings

_HOW = "Column files, or JSON lines by their name (.json, .jsonl)."


def _default(field: str) -> Any:
    return default_of(EntitySettings, field)


def same_scheme(given: Any, recorded: Any, identity: Any) -> bool:
    """Whether a scheme is the one of the run, which may have been found in its training file."""
    return bool(given == (recorded or identity.get("tag_scheme")))


SENTENCES = Group(
    "Sentences",
    (
        TASK["task_name"].changed(
            default=None, help="With --processor_module: registered name of its class; not needed for the only one."
        ),
        TASK["processor_module"].changed(
            help="Python file or dotted module with a SentenceProcessor of your own, in place of files."
        ),
        TASK["data_dir"].changed(help="Folder of train.*, dev.* (val.*, valid.*, validation.*) and test.*."),
        TABLE["train_file"].changed(help=f"Sentences to train on. {_HOW} Without it, train.* in --data_dir. {PLACES}"),
        TABLE["dev_file"].changed(
            help=f"Sentences to evaluate on. Without it, dev.*, val.*, valid.* or validation.* in --data_dir. {PLACES}"
        ),
        TABLE["test_file"].changed(help=f"Sentences to predict. Without it, test.* in --data_dir. {PLACES}"),
        PREDICTED,
        Flag(
            "token_column",
            int,
            0,
            "Column of the word, counted from 0, or from the last with -1.",
            Scope.FIXED,
            decides_rows=True,
        ),
        Flag(
            "tag_column",
            str,
            "-1",
            "Column of the tag, counted likewise; none where the file to predict has no tags. A file of one column, "
            "and JSON lines without tags, have none.",
            Scope.FIXED,
            decides_rows=True,
        ),
        Flag(
            "tag_scheme",
            SCHEMES,
            None,
            "How tags spell entities; none for tags that are no spans, such as parts of speech. Without it, as the "
            "training file shows.",
            Scope.FIXED,
            is_main=True,
            same=same_scheme,
        ),
        TABLE["labels"].changed(
            help="Entity types (with --tag_scheme=none, tags) in order: a,b,c or a file with one a line. Without it, "
            "those of the training file."
        ),
        Flag(
            "by_character",
            bool,
            _default("by_character"),
            "Every character of a text is a word, as Chinese sets are tagged; words are joined without blanks.",
            Scope.FIXED,
        ),
        TABLE["encoding"],
        *LIMITS,
    ),
)

TAGGING = Group(
    "Windows and tags",
    (
        Flag(
            "window_overlap",
            int,
            _default("window_overlap"),
            "Tokens that neighbouring windows of a long sentence share. Without it, a quarter of a window.",
            Scope.REMEMBERED,
            minimum=0,
            in_export=True,
        ),
        Flag(
            "max_words",
            int,
            _default("max_words"),
            "Most words of a window: what static shapes are filled up to. A sentence with more is refused. Without it, "
            "as many as a window has room for.",
            Scope.REMEMBERED,
            minimum=1,
        ),
        Flag(
            "use_crf",
            bool,
            _default("use_crf"),
            "Score the tags of a whole sentence by a conditional random field, not each word on its own.",
            Scope.FIXED,
            is_main=True,
        ),
        Flag(
            "crf_learning_rate",
            float,
            _default("crf_learning_rate"),
            "With --use_crf: peak learning rate of the scores between tags, which need a larger one than BERT. Without "
            "it, --head_learning_rate, else --learning_rate.",
            Scope.REMEMBERED,
            minimum=0.0,
        ),
        Flag(
            "constrain_tags",
            bool,
            _default("constrain_tags"),
            "With --use_crf: predict no tag where its scheme forbids it.",
            Scope.REMEMBERED,
            in_export=True,
        ),
        Flag(
            "label_all_tokens",
            bool,
            _default("label_all_tokens"),
            "Train on every token of a word, not only on its first.",
            Scope.FIXED,
        ),
    ),
)
