"""Warm training steps through the Estimator."""

from benchmarks.ours import classifier, stepping
from benchmarks.protocol import BATCHES_FILE, TRAIN_BATCH_SIZE, WARM_STEPS, Result, Rounds, Settings
from tasks.base import TRAIN


def load(settings: Settings) -> Rounds:
    """Trains on MRPC; the batches, in their order, are left for the peer."""
    task = classifier.task(settings)
    input_fn = classifier.input_fn(settings, task, TRAIN, TRAIN_BATCH_SIZE, is_training=True)
    steps = settings.effort.training_steps
    count = WARM_STEPS + steps * settings.effort.rounds
    classifier.write_batches(settings.folder / BATCHES_FILE, classifier.first_batches(input_fn, count))
    model = classifier.model(settings)
    training = stepping.training(model, task.head(True), input_fn, settings.folder / "training")
    return {
        f"MRPC, batch {TRAIN_BATCH_SIZE}": lambda: Result(
            {"examples/s": steps * TRAIN_BATCH_SIZE / training.seconds(steps)}
        ),
    }
