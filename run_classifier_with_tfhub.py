"""Fine-tune, evaluate, predict and export a text classifier from a TensorFlow Hub module.

    python run_classifier_with_tfhub.py --task_name=mrpc --data_dir=glue/MRPC \\
        --bert_hub_module_handle=modules/bert_uncased_L-12_H-768_A-12 --do_train --do_eval --output_dir=runs/mrpc

The module is a folder; every other flag is one of run_classifier.py.
"""

from collections.abc import Sequence

import compat
from command_line import app, run_classifier_with_tfhub

__getattr__ = compat.lookup("run_classifier_with_tfhub")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_classifier_with_tfhub.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
