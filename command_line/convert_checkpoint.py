"""convert_checkpoint.py from flags to one call."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

from command_line import model_files
from command_line.app import Script
from command_line.flags.actions import ACTIONS
from command_line.flags.conversion import CONVERSION
from command_line.flags.data import TASK
from command_line.flags.declaration import FlagSet, Group
from command_line.flags.model import MODEL
from command_line.settings import require
from common.errors import FlagError, RunDirectoryError
from modeling.checkpoints.huggingface_files import MULTIPLE_CHOICE
from modeling.checkpoints.inserted_files import FORMATS
from processors.problem_types import PROBLEM_TYPES
from tokenization.kinds import CASING, KINDS


def run(options: SimpleNamespace) -> None:
    """Converts as the flags ask, and prints what was converted and what was not.

    Raises:
      BertError: an error that the user can fix.
    """
    check(options)
    from estimator import devices
    from export import conversion

    devices.quiet_tensorflow()
    checkpoint = Path(options.init_checkpoint)
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    description = conversion.describe(folder)
    stated = {name: getattr(description, name) for name in CASING if getattr(description, name) is not None}
    options.max_seq_length = 1  # no text is read
    files = model_files.load(options, folder, stated, needs_vocabulary=False, reads_text=False)
    if files.tokenizer is None or files.vocab_file is None:
        names = " or ".join(name for kind in files.config.family.tokenizers for name in KINDS[kind].names)
        raise FlagError(f"--vocab_file is missing: the folder of --init_checkpoint holds no {names}; give its path")
    description = dataclasses.replace(
        description,
        problem_type=options.problem_type or description.problem_type,
        **{name: getattr(files.tokenizer, name) for name in CASING},
    )
    if options.format in FORMATS:
        from export import adapter_files

        target = (Path(options.output_dir), options.format)
        lines = adapter_files.convert(options.init_checkpoint, folder, *target, files.config, description)
        print("\n".join(lines))
        return
    model = conversion.Model(files.config, files.vocabulary, description, files.tokenizer)
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


SCRIPT = Script(
    FlagSet(
        (
            CONVERSION,
            MODEL.without("extra_tokens", "max_seq_length", "use_one_hot_embeddings")
            .changed(
                "init_checkpoint",
                help="Weights to convert: a TensorFlow 1 checkpoint (prefix, .index or folder), an "
                "--output_dir, or a Hugging Face folder or model.safetensors.",
            )
            .changed(
                "do_lower_case",
                help="Whether the model is uncased. Without it, as run.json or "
                "tokenizer_config.json beside the checkpoint says.",
            ),
            Group(
                "Result",
                (
                    ACTIONS["output_dir"].changed(help="Folder to make; if it exists, it must be empty."),
                    TASK["problem_type"].changed(
                        type=(*PROBLEM_TYPES, MULTIPLE_CHOICE),
                        help="What a label of a classifier is, or that it chooses. Without it, as run.json or "
                        "config.json beside the checkpoint says.",
                    ),
                ),
            ),
        )
    ),
    run,
)
