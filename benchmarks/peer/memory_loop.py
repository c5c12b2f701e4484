"""The training whose memory is measured."""

from pathlib import Path

from benchmarks.peer import model
from benchmarks.protocol import Result, Rounds, Settings


def load(settings: Settings) -> Rounds:
    """Trains on the batches and in the parts that the options say."""
    batches = model.read_batches(Path(settings.options["batches"]))
    trainer = model.Trainer(model.model(settings), batches, settings.options["parts"])

    def run() -> Result:
        for _ in range(settings.effort.memory_steps):
            trainer.step()
        return Result({})

    return {"training": run}
