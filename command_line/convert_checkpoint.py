"""convert_checkpoint.py from flags to one call."""

import dataclasses
import functools
from pathlib import Path
from types import SimpleNamespace

from absl import flags

from command_line import model_files
from command_line.settings import require
from common.errors import FlagError, RunDirectoryError
from modeling.checkpoints.huggingface_files import WEIGHTS
from processors.base import PROBLEM_TYPES


def define_flags(values: flags.FlagValues) -> None:
    """What to convert, into what, and what its folder does not say."""
    string = functools.partial(flags.DEFINE_string, default=None, flag_values=values)
    string(
        "init_checkpoint",
        help="Weights to convert: a TensorFlow 1 checkpoint (prefix, .index or directory), an --output_dir, or a "
        "Hugging Face directory or model.safetensors.",
    )
    string("output_dir", help="Folder to make; if it exists, it must be empty.")
    string("bert_config_file", help="Architecture as JSON; by default the one beside --init_checkpoint.")
    string("vocab_file", help="WordPiece vocabulary; by default the one beside --init_checkpoint.")
    flags.DEFINE_enum(
        "format",
        None,
        list(WEIGHTS),
        "Hugging Face's files (model.safetensors, config.json, ...), or a TensorFlow 1 checkpoint without optimizer.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "do_lower_case",
        True,
        "Whether the model is uncased; by default as run.json or tokenizer_config.json beside the checkpoint says.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "problem_type",
        None,
        list(PROBLEM_TYPES),
        "What a label of a classifier is; by default as run.json or config.json beside the checkpoint says.",
        flag_values=values,
    )


def run(options: SimpleNamespace) -> None:
    """Converts as the flags ask, and prints what was converted and what was not.

    Raises:
      BertError: whatever the user can mend.
    """
    check(options)
    from estimator import devices
    from export import conversion

    devices.quiet_tensorflow()
    checkpoint = Path(options.init_checkpoint)
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    description = conversion.describe(folder)
    stated = {} if description.do_lower_case is None else {"do_lower_case": description.do_lower_case}
    options.max_seq_length = 1  # no text is read
    files = model_files.load(options, folder, stated, needs_vocabulary=False)
    if files.tokenizer is None or files.vocab_file is None:
        raise FlagError("--vocab_file is missing: the folder of --init_checkpoint holds no vocab.txt; give its path")
    description = dataclasses.replace(
        description,
        problem_type=options.problem_type or description.problem_type,
        do_lower_case=files.tokenizer.do_lower_case,
    )
    model = conversion.Model(files.config, files.vocab_file, description)
    report = conversion.convert(options.init_checkpoint, Path(options.output_dir), options.format, model)
    print("\n".join(report.lines()))


def check(options: SimpleNamespace) -> None:
    """Checks the flags before anything is read.

    Raises:
      FlagError: one is missing.
      RunDirectoryError: the output directory is a file, or holds something.
    """
    require(options, "init_checkpoint", "output_dir", "format")
    path = Path(options.output_dir)
    for one in (path, *path.parents):
        if one.exists() and not one.is_dir():
            raise RunDirectoryError(f"--output_dir={path}: {one} is a file; expected a folder; choose another")
    held = sorted(path.iterdir()) if path.is_dir() else []
    if held:
        raise RunDirectoryError(
            f"--output_dir={path} holds {held[0].name}{', ...' if len(held) > 1 else ''}; expected a new or empty "
            "folder; choose another, or empty it"
        )
