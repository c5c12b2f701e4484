"""Pretrain a BERT, or go on pretraining one on text of your own; guess masked pieces and score text with it.

    python run_pretraining.py --input_file='records/train.tf_record*' --eval_input_file=records/dev.tf_record \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --num_train_steps=10000 \\
        --num_warmup_steps=1000 --output_dir=runs/domain

    echo 'Paris is the [MASK] of France.' | python run_pretraining.py --do_predict --predict_file=- \\
        --output_dir=runs/domain
"""

from collections.abc import Sequence

import compat
from command_line import app, run_pretraining

__getattr__ = compat.lookup("run_pretraining")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_pretraining.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
