"""Fine-tune, evaluate, predict and export a model that tags each word of a sentence: entities, parts of speech, ...

    python run_ner.py --train_file=train.conll --dev_file=dev.conll --test_file=test.conll \\
        --init_checkpoint=cased_L-12_H-768_A-12 --do_lower_case=false \\
        --do_train --do_eval --do_predict --output_dir=runs/ner

    python run_ner.py --do_predict --predict_file=- --output_dir=runs/ner
"""

from collections.abc import Sequence

from command_line import app, run_ner


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_ner.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
