"""Flags of run_squad.py alone: upstream's, with its defaults, and those that upstream lacks."""

from absl import flags

from tasks.span.text import ANSWER_TEXTS


def define_squad_flags(values: flags.FlagValues) -> None:
    """Data, windows, answers."""
    flags.DEFINE_string("train_file", None, "SQuAD JSON to train on.", flag_values=values)
    flags.DEFINE_string(
        "predict_file",
        None,
        "SQuAD JSON to answer (and to evaluate on); - answers standard input from the export.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "eval_file", None, "SQuAD JSON to evaluate on, if it is not --predict_file.", flag_values=values
    )
    flags.DEFINE_enum(
        "on_bad_row",
        "stop",
        ["stop", "skip"],
        "Stop at a training question whose answer is not in its context, or skip and count it.",
        flag_values=values,
    )
    for split in ("train", "eval", "predict"):
        flags.DEFINE_integer(
            f"max_{split}_examples",
            None,
            f"Take only the first questions to {split}.",
            lower_bound=1,
            flag_values=values,
        )
    _define_windows(values)
    _define_answers(values)


def _define_windows(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "doc_stride", 128, "Pieces between the starts of two windows over a long context.", flag_values=values
    )
    flags.DEFINE_integer("max_query_length", 64, "Most pieces of a question; the rest is cut.", flag_values=values)


def _define_answers(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "n_best_size", 20, "Starts and ends looked at in a window, and answers kept.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer("max_answer_length", 30, "Most pieces of an answer.", lower_bound=1, flag_values=values)
    flags.DEFINE_bool(
        "version_2_with_negative", False, "Questions may be unanswerable (SQuAD 2.0).", flag_values=values
    )
    flags.DEFINE_float(
        "null_score_diff_threshold",
        0.0,
        "Answer nothing where the score of that is above the best answer's by more than this; by default what "
        "--tune_null_threshold has stored in --output_dir, else 0.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "tune_null_threshold",
        False,
        "With --do_eval: find the threshold that is best for F1, store it and use it from then on.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "answer_text",
        ANSWER_TEXTS[0],
        list(ANSWER_TEXTS),
        "Take an answer's text as google-research/bert aligns it, or exactly by character offsets.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "verbose_logging", False, "Log answers that cannot be aligned with the original text.", flag_values=values
    )
