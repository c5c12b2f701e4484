"""run_classifier.py on a GLUE task as a command."""

from pathlib import Path

from benchmarks import commands
from benchmarks.protocol import Settings


def first_rows(batch_size: int, steps: int) -> tuple[str, ...]:
    """Flags for a training of some steps that converts no more rows than it uses."""
    return f"--max_train_examples={steps * batch_size}", "--num_train_epochs=1"


def train(settings: Settings, output_dir: Path, batch_size: int, *further: str, folder: str = "MRPC") -> commands.Ran:
    """Trains on the task that has a folder of its name in `data_dir`; the log goes beside `output_dir`."""
    output_dir.parent.mkdir(parents=True, exist_ok=True)
    return commands.python(
        [
            "run_classifier.py",
            f"--task_name={folder.lower()}",
            f"--data_dir={Path(settings.data_dir) / folder}",
            f"--init_checkpoint={settings.weights}",
            "--do_train",
            f"--train_batch_size={batch_size}",
            f"--output_dir={output_dir}",
            *further,
        ],
        output_dir.parent,
    )
