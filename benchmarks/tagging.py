"""What both sides of the tagging benchmark know. Standard library only."""

from collections.abc import Iterator, Sequence

from benchmarks.protocol import Settings

BATCH_SIZE, EPOCHS, MAX_SEQ_LENGTH, PREDICTION_BATCH_SIZE = 16, 2, 128, 32
LEARNING_RATE, HEAD_LEARNING_RATE, CRF_LEARNING_RATE = 3e-4, 3e-3, 1e-2
WARMUP_PROPORTION = 0.1
SOFTMAX, CRF = "softmax", "CRF"
TEST_FILE = "test.json"
"""Windows to predict, gold tags, labels."""

TRAINING, PREDICTION, F1 = "training, sentences/s", "prediction, sentences/s", "entity F1"
"""Values of a round."""


def batches_file(seed: int) -> str:
    """Batches of the training with a seed, in order."""
    return f"batches-{seed}.json"


def seeds(settings: Settings) -> range:
    """One a round."""
    return range(1, settings.effort.rounds + 1)


def entity_f1(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """F1 over the entities of all sentences, as conlleval counts, times 100.

    Example:
      >>> entity_f1([["B-x", "O", "B-y"]], [["B-x", "O", "O"]])
      66.66666666666667
    """
    of_gold, of_predicted = (
        {(number, *span) for number, tags in enumerate(sentences) for span in _spans(tags)}
        for sentences in (gold, predicted)
    )
    return 200 * len(of_gold & of_predicted) / max(len(of_gold) + len(of_predicted), 1)


def _spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Start, end and type of each entity of IOB2; an I that continues nothing opens one."""
    start, kind = 0, ""
    for place, tag in enumerate([*tags, "O"]):
        continues = kind and tag == f"I-{kind}"
        if kind and not continues:
            yield start, place, kind
        if not continues:
            start, kind = place, tag.partition("-")[2]
