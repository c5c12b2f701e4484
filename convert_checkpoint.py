"""Convert the weights of a model, heads included, to Hugging Face's files or to a TensorFlow 1 checkpoint.

    python convert_checkpoint.py --init_checkpoint=runs/mrpc --output_dir=hf/mrpc --format=huggingface

    python convert_checkpoint.py --init_checkpoint=hf/mrpc --output_dir=tf1/mrpc --format=tensorflow

From TensorFlow to TensorFlow it leaves out the optimizer's variables: a third of a trained checkpoint remains.
"""

from collections.abc import Sequence

from command_line import app, convert_checkpoint

FLAG_GROUPS = (convert_checkpoint.define_flags,)


def main(argv: Sequence[str] | None = None) -> None:
    """Defines the flags, reads them once, and hands them on."""
    app.start(convert_checkpoint.run, __doc__, FLAG_GROUPS, argv)


if __name__ == "__main__":
    main()
