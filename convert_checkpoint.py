"""Convert the weights of a model, heads included, to Hugging Face's files or to a TensorFlow 1 checkpoint.

    python convert_checkpoint.py --init_checkpoint=runs/mrpc --output_dir=hf/mrpc --format=huggingface

    python convert_checkpoint.py --init_checkpoint=hf/mrpc --output_dir=tf1/mrpc --format=tensorflow

From TensorFlow to TensorFlow it leaves out the optimizer's variables: a third of a trained checkpoint remains.
"""

from collections.abc import Sequence

from command_line import app, convert_checkpoint


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(convert_checkpoint.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
