"""Make masked-language-model and next-sentence records from a corpus.

    python create_pretraining_data.py --input_file='corpus/*.txt' --output_file=records/train.tf_record \\
        --vocab_file=uncased_L-12_H-768_A-12/vocab.txt

    python create_pretraining_data.py --input_file='corpus/*.txt.gz' --output_file=records/train.tf_record \\
        --vocab_file=uncased_L-12_H-768_A-12/vocab.txt --streaming --num_shards=100 --num_workers=16

    python create_pretraining_data.py --input_file=corpus --output_file=records/train.tf_record \\
        --vocab_file=uncased_L-12_H-768_A-12/vocab.txt --num_shards=100 --runner=FlinkRunner \\
        --beam_options='--flink_master=host:8081'
"""

from collections.abc import Sequence

import compat
from command_line import app, create_pretraining_data

__getattr__ = compat.lookup("create_pretraining_data")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(create_pretraining_data.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
