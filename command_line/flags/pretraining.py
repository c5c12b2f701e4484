"""What run_pretraining.py reads: records, and text to fill or score."""

from command_line.flags.data import ENCODING, PREDICT_FILE
from command_line.flags.declaration import Flag, Group, Scope, default_of
from processors.pretraining.masking import MaskingSettings
from tasks.pretraining.task import PretrainingSettings

PRETRAINING = Group(
    "Records and text",
    (
        Flag(
            "input_file",
            str,
            None,
            "Records to train on: comma-separated files or globs.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        Flag(
            "eval_input_file",
            str,
            None,
            "Held-out records to evaluate on. Without it, those of --input_file.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        PREDICT_FILE.changed(help="Text for --do_predict or --do_score, a line an example; - for standard input."),
        ENCODING.changed(
            help="Encoding of --predict_file. Without it, UTF-8 or what a byte order mark says.",
            scope=Scope.FREE,
            decides_rows=False,
        ),
        Flag(
            "do_score",
            bool,
            False,
            "Write the pseudo-perplexity of each line of --predict_file.",
            Scope.FREE,
            is_main=True,
        ),
        Flag(
            "max_predictions_per_seq",
            int,
            default_of(MaskingSettings, "max_predictions_per_seq"),
            "Masked tokens of a sequence at most.",
            Scope.REMEMBERED,
            minimum=1,
        ),
        Flag(
            "top_k",
            int,
            default_of(PretrainingSettings, "top_k"),
            "Tokens that --do_predict gives for each [MASK].",
            Scope.FREE,
            minimum=1,
        ),
    ),
)
