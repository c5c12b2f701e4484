"""Fine-tune, evaluate, predict and export a model that answers questions from a context (SQuAD 1.1, 2.0 and the like).

    python run_squad.py --train_file=train-v1.1.json --predict_file=dev-v1.1.json \
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --do_predict --output_dir=runs/squad

    python run_squad.py --train_file=train-v2.0.json --predict_file=dev-v2.0.json --version_2_with_negative \
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --tune_null_threshold --output_dir=runs/squad2
"""

from collections.abc import Sequence

from command_line import app, run_squad
from command_line.flags import common as flags
from command_line.flags import squad

FLAG_GROUPS = (
    lambda values: flags.define_model_flags(values, max_seq_length=384),
    flags.define_run_flags,
    flags.define_training_flags,
    flags.define_device_flags,
    squad.define_squad_flags,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Defines the flags, reads them once, and hands them on."""
    app.start(run_squad.run, __doc__, FLAG_GROUPS, argv)


if __name__ == "__main__":
    main()
