"""Time and memory of create_pretraining_data.py, for a corpus and for ten times as much.

    python benchmarks/pretraining_data.py --corpus=corpus.txt --vocab_file=vocab.txt

Each run is a process of its own on one core. `plain` is upstream's way: a character at a time, pieces as text, one
protocol-buffer object a record, everything in memory.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def measured(command: list[str]) -> dict[str, float]:
    """Wall and processor seconds and peak memory (MiB) of a command, start-up included."""
    started = time.monotonic()
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} left with {process.returncode}")
    return {
        "wall_s": round(time.monotonic() - started, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_MiB": round(usage.ru_maxrss / 1024),
    }


def plain(corpus: str, vocab_file: str, output: str) -> None:
    """The transform as upstream runs it."""
    import tensorflow as tf

    from processors.pretraining_instances import create_training_instances
    from processors.pretraining_records import InstanceSerializer
    from tokenization import FullTokenizer

    tokenizer = FullTokenizer(vocab_file)
    instances = create_training_instances([corpus], tokenizer, 128, 10, 0.1, 0.15, 20, random.Random(12345))
    rows = InstanceSerializer(128, 20)
    with tf.io.TFRecordWriter(output) as writer:
        for one in instances:
            ids, labels = map(tokenizer.convert_tokens_to_ids, (one.tokens, one.masked_lm_labels))
            row = rows.features(one._replace(tokens=ids, masked_lm_labels=labels))
            feature = {name: _protocol_buffer(values) for name, values in row.items()}
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())


def _protocol_buffer(values: list[Any]) -> Any:
    import tensorflow as tf

    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def main() -> None:
    """Runs every mode and prints a JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--modes", default="plain,exact,streaming")
    parser.add_argument("--plain_output", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.plain_output:
        plain(arguments.corpus, arguments.vocab_file, arguments.plain_output)
        return
    os.environ |= {"TOKENIZERS_PARALLELISM": "false"}
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    text = Path(arguments.corpus).read_text(encoding="utf-8").rstrip() + "\n\n"
    with tempfile.TemporaryDirectory() as folder:
        for times in (1, 10):
            corpus = Path(folder) / f"{times}x.txt"
            corpus.write_text(text * times, encoding="utf-8")
            for mode in arguments.modes.split(","):
                if mode == "plain" and times > 1:
                    continue  # minutes, and its memory grows as that of `exact`
                files = [f"--vocab_file={Path(arguments.vocab_file).resolve()}"]
                if mode == "plain":
                    script = [__file__, f"--corpus={corpus}", f"--plain_output={folder}/plain"]
                else:
                    script = ["create_pretraining_data.py", f"--input_file={corpus}", f"--output_file={folder}/{mode}"]
                    script += ["--streaming", "--num_workers=1"] if mode == "streaming" else ["--nostreaming"]
                found = measured([sys.executable, *script, *files])
                print(json.dumps({"mode": mode, "corpus_MB": round(len(text) * times / 1e6, 1), **found}), flush=True)


if __name__ == "__main__":
    main()
