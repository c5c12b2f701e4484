"""Turn text into vectors: of every piece by layer, as google-research/bert writes them, or one for each line.

    python extract_features.py --input_file=sentences.txt --output_file=extract_features.jsonl --layers=-1,-2,-3,-4 \
        --init_checkpoint=uncased_L-12_H-768_A-12

    python extract_features.py --input_file=sentences.txt --output_file=vectors.npy --output_format=npy \
        --pooling=mean --normalize --init_checkpoint=runs/domain
"""

from collections.abc import Sequence

from command_line import app, extract_features
from command_line.flags import common as flags

FLAG_GROUPS = (extract_features.define_upstream_flags, extract_features.define_vector_flags, flags.define_compute_flags)


def main(argv: Sequence[str] | None = None) -> None:
    """Defines the flags, reads them once, and hands them on."""
    app.start(extract_features.run, __doc__, FLAG_GROUPS, argv)


if __name__ == "__main__":
    main()
