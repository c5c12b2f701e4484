"""What a student learns of a teacher."""

from command_line.flags.declaration import Flag, Group, Scope, default_of
from modeling.inside import Inside
from tasks.distillation import Distillation

DISTILLATION = Group(
    "Distillation",
    (
        Flag(
            "teacher",
            str,
            None,
            "Output directory of a run of this script, or an export of it, to learn of besides the labels.",
            Scope.FIXED,
            is_path=True,
            is_main=True,
        ),
        Flag(
            "teacher_predictions",
            str,
            None,
            "In place of --teacher: its predictions.jsonl for the training rows, matched by id; several files with "
            "commas between them.",
            Scope.FIXED,
            is_path=True,
        ),
        Flag(
            "unlabelled_file",
            str,
            None,
            "With a teacher: a file of further rows to train on, read as rows to predict; they are learned of the "
            "teacher alone. A relative path is looked for as that of --predict_file.",
            Scope.FIXED,
            is_path=True,
        ),
        Flag(
            "student_layers",
            str,
            None,
            "Begin as these layers of --init_checkpoint, else of the teacher's run, as in 0,2,5, and have no others.",
            Scope.FIXED,
        ),
        Flag(
            "distill_temperature",
            float,
            default_of(Distillation, "temperature"),
            "What the scores of both models are divided by in the loss between them.",
            Scope.FIXED,
            minimum=0.0,
        ),
        Flag(
            "distill_share",
            float,
            default_of(Distillation, "share"),
            "Share of the loss against the teacher's scores; the rest is that against the labels.",
            Scope.FIXED,
            minimum=0.0,
            maximum=1.0,
        ),
        Flag(
            "distill_hidden",
            float,
            default_of(Inside, "hidden"),
            "With --teacher, a run with the student's vocabulary: weight of the squared distance between the hidden "
            "states of both, after the embeddings and each layer.",
            Scope.FIXED,
            minimum=0.0,
        ),
        Flag(
            "distill_attention",
            float,
            default_of(Inside, "attention"),
            "The same for the scores of attention; both models must have as many heads.",
            Scope.FIXED,
            minimum=0.0,
        ),
        Flag(
            "compare_teacher",
            bool,
            False,
            "With --do_eval: evaluate the teacher's run on the dev rows as well, and write comparison.json: scores "
            "with intervals, sizes, times and agreement of both.",
            Scope.FREE,
        ),
    ),
)

OF_RUNS = DISTILLATION.without("teacher_predictions")
"""For tasks that learn place by place, of a run alone."""
