"""Warm training steps, on our side's batches in their order."""

from benchmarks.peer import model
from benchmarks.protocol import BATCHES_FILE, WARM_STEPS, Result, Rounds, Settings, seconds


def load(settings: Settings) -> Rounds:
    """Trains."""
    batches = model.read_batches(settings.folder / BATCHES_FILE)
    rows = len(batches[0]["labels"])
    trainer = model.Trainer(model.model(settings), batches)
    steps = settings.effort.training_steps

    def run(count: int) -> None:
        for _ in range(count):
            trainer.step()

    run(WARM_STEPS)
    return {f"MRPC, batch {rows}": lambda: Result({"examples/s": steps * rows / seconds(lambda: run(steps))})}
