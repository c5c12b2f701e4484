"""Fine-tune, evaluate, predict and export a model that chooses the answer to a question among several texts.

    python run_multiple_choice.py --train_file=train.csv --dev_file=dev.csv --context=context --question=question \\
        --choices=answer0,answer1,answer2,answer3 --label=label --label_as=index \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --output_dir=runs/choice

    python run_multiple_choice.py --task_name=race --data_dir=RACE --max_seq_length=512 \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --output_dir=runs/race
"""

from collections.abc import Sequence

from command_line import app, run_multiple_choice


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_multiple_choice.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
