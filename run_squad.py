"""Fine-tune, evaluate, predict and export a model that answers questions from a context (SQuAD 1.1, 2.0 and the like).

    python run_squad.py --train_file=train-v1.1.json --predict_file=dev-v1.1.json \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --do_predict --output_dir=runs/squad

    python run_squad.py --train_file=train-v2.0.json --predict_file=dev-v2.0.json --version_2_with_negative \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --tune_null_threshold --output_dir=runs/squad2
"""

from collections.abc import Sequence

import compat
from command_line import app, run_squad

__getattr__ = compat.lookup("run_squad")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_squad.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
