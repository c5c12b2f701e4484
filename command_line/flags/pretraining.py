"""Flags of run_pretraining.py alone: upstream's, with its defaults, and those that upstream lacks."""

import functools

from absl import flags

from estimator.config import ADAMW, LAMB

SHUFFLE_BUFFER = 100_000


def define_pretraining_flags(values: flags.FlagValues) -> None:
    """Records, steps, and text to guess in."""
    string = functools.partial(flags.DEFINE_string, default=None, flag_values=values)
    string("input_file", help="Records to train on: files or globs with commas between them.")
    string("eval_input_file", help="Held-out records to evaluate on; by default those of --input_file.")
    string("predict_file", help="Text for --do_predict or --do_score, a line an example; - for standard input.")
    count = functools.partial(flags.DEFINE_integer, flag_values=values)
    count("max_predictions_per_seq", 20, "Most masked pieces of a sequence, as the records have them.", lower_bound=1)
    count("num_train_steps", 100000, "Updates to train for.", lower_bound=1)
    count("num_warmup_steps", 10000, "Updates in which the rate rises from 0.", lower_bound=0)
    count("max_eval_steps", 100, "Most batches of an evaluation; never more than one pass.", lower_bound=1)
    count("shuffle_buffer", SHUFFLE_BUFFER, "Most records that are shuffled at once.", lower_bound=1)
    count("top_k", 5, "Pieces that --do_predict gives for each [MASK].", lower_bound=1)
    flags.DEFINE_enum(
        "optimizer",
        ADAMW,
        [ADAMW, LAMB],
        "AdamW as google-research/bert has it, or LAMB, for batches of thousands.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "do_score", False, "Give the pseudo-perplexity of each line of --predict_file.", flag_values=values
    )
