"""create_pretraining_data.py upstream's way: a character at a time, pieces as text, everything in memory.

python -m benchmarks.upstream.pretraining_data CORPUS VOCAB_FILE OUTPUT
"""

import functools
import random
import sys

from benchmarks import commands
from benchmarks.ours import classifier
from benchmarks.ours import pretraining_data as ours
from benchmarks.protocol import Result, Rounds, Settings


def load(settings: Settings) -> Rounds:
    """The smaller corpus: ten times as much takes minutes, and its memory grows as that of our exact mode."""
    ours.one_core()
    return {"exact": functools.partial(_round, settings)}


def _round(settings: Settings) -> Result:
    files = [settings.folder / ours.CORPUS_FILE, classifier.vocab_file(settings), settings.folder / "upstream"]
    script = ["-m", "benchmarks.upstream.pretraining_data", *map(str, files)]
    return ours.result(commands.python(script, settings.folder))


def main(corpus: str, vocab_file: str, output: str) -> None:
    """The transform with upstream's defaults."""
    import tensorflow as tf

    from benchmarks.upstream.protocol_buffers import record
    from processors.pretraining.instance_records import InstanceSerializer
    from processors.pretraining.instances import create_training_instances
    from tokenization import FullTokenizer

    tokenizer = FullTokenizer(vocab_file)
    instances = create_training_instances([corpus], tokenizer, 128, 10, 0.1, 0.15, 20, random.Random(12345))
    rows = InstanceSerializer(128, 20)
    with tf.io.TFRecordWriter(output) as writer:
        for one in instances:
            ids, labels = map(tokenizer.convert_tokens_to_ids, (one.tokens, one.masked_lm_labels))
            writer.write(record(rows.features(one._replace(tokens=ids, masked_lm_labels=labels))))


if __name__ == "__main__":
    main(*sys.argv[1:4])
