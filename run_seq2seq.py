"""Fine-tune, evaluate, predict and export a model that writes a text of a text: paraphrases, questions, summaries, ...

    python run_seq2seq.py --data_dir=pairs --source=text --target=paraphrase \\
        --init_checkpoint=uncased_L-12_H-768_A-12 --do_train --do_eval --do_predict --output_dir=runs/paraphrases
"""

from collections.abc import Sequence

from command_line import app, run_seq2seq


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(run_seq2seq.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
