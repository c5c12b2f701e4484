"""Questions, windows, answers."""

from typing import Any

from command_line.flags.data import ENCODING, LIMITS, ON_BAD_ROW, PREDICT_FILE, TABLE, TASK
from command_line.flags.declaration import Flag, Group, Scope, default_of
from tasks.span.ranking import DecodingSettings
from tasks.span.task import SpanSettings
from tasks.span.text import ANSWER_TEXTS


def _window(field: str) -> Any:
    return default_of(SpanSettings, field)


def _decoding(field: str) -> Any:
    return default_of(DecodingSettings, field)


QUESTIONS = Group(
    "Questions",
    (
        TABLE["train_file"].changed(help="SQuAD JSON to train on."),
        PREDICT_FILE,
        Flag(
            "eval_file",
            str,
            None,
            "SQuAD JSON to evaluate on. Without it, --predict_file.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        ENCODING,
        ON_BAD_ROW,
        *LIMITS,
        Flag("verbose_logging", bool, False, "Log answers that cannot be aligned with the original text.", Scope.FREE),
    ),
)  # fmt: skip

WINDOWS = Group(
    "Windows and answers",
    (
        TASK["doc_stride"].changed(
            default=_window("doc_stride"),
            help="Tokens between the starts of two windows over a long context.",
            scope=Scope.REMEMBERED,
        ),
        Flag(
            "max_query_length",
            int,
            _window("max_query_length"),
            "Tokens of a question at most; longer questions are truncated.",
            Scope.REMEMBERED,
            in_export=True,
        ),
        Flag(
            "n_best_size",
            int,
            _decoding("n_best_size"),
            "Starts and ends considered in a window, and answers kept.",
            Scope.REMEMBERED,
            minimum=1,
            in_export=True,
        ),
        Flag(
            "max_answer_length",
            int,
            _decoding("max_answer_length"),
            "Tokens of an answer at most.",
            Scope.REMEMBERED,
            minimum=1,
            in_export=True,
        ),
        Flag(
            "version_2_with_negative",
            bool,
            _decoding("version_2_with_negative"),
            "Questions may be unanswerable (SQuAD 2.0).",
            Scope.REMEMBERED,
            is_main=True,
            in_export=True,
        ),
        Flag(
            "null_score_diff_threshold",
            float,
            0.0,
            "Answer nothing where the score of no answer exceeds the best answer's by more than this. Without it, what "
            "--tune_null_threshold stored in --output_dir.",
            Scope.FREE,
        ),
        Flag(
            "tune_null_threshold",
            bool,
            _window("tune_null_threshold"),
            "With --do_eval: find the threshold with the best F1, store it, and use it from then on.",
            Scope.FREE,
        ),
        Flag(
            "answer_text",
            tuple(ANSWER_TEXTS),
            _window("answer_text"),
            "Align an answer's text as google-research/bert does, or take it by character offsets.",
            Scope.REMEMBERED,
            in_export=True,
        ),
    ),
)
