"""Fine-tune, evaluate, predict and export a text classifier.

    python run_classifier.py --task_name=mrpc --data_dir=glue/MRPC --init_checkpoint=uncased_L-12_H-768_A-12 \\
        --do_train --do_eval --output_dir=runs/mrpc

    python run_classifier.py --task_name=table --data_dir=mydata --text_a=title --label=topic \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --do_predict --do_export --output_dir=runs/mine
"""

from collections.abc import Sequence

import compat
from command_line import app, run_classifier

__getattr__ = compat.lookup("run_classifier")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_classifier.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
