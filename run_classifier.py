"""Fine-tune, evaluate, predict and export a text classifier.

    python run_classifier.py --task_name=mrpc --data_dir=glue/MRPC --init_checkpoint=uncased_L-12_H-768_A-12 \
        --do_train --do_eval --output_dir=runs/mrpc

    python run_classifier.py --task_name=table --data_dir=mydata --text_a=title --label=topic \
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --do_predict --do_export --output_dir=runs/mine
"""

from collections.abc import Sequence

from command_line import app, run_classifier
from command_line.flags import common as flags

FLAG_GROUPS = (
    flags.define_model_flags,
    flags.define_run_flags,
    flags.define_training_flags,
    flags.define_device_flags,
    flags.define_classifier_flags,
    flags.define_table_flags,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Defines the flags, reads them once, and hands them on."""
    app.start(run_classifier.run, __doc__, FLAG_GROUPS, argv)


if __name__ == "__main__":
    main()
