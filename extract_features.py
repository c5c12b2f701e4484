"""Turn text into vectors: of every piece by layer, as google-research/bert writes them, or one for each line.

    python extract_features.py --input_file=sentences.txt --output_file=features.jsonl --layers=-1,-2,-3,-4 \
        --init_checkpoint=uncased_L-12_H-768_A-12

    python extract_features.py --input_file=sentences.txt --output_file=vectors.npy --output_format=npy \
        --pooling=mean --normalize --init_checkpoint=runs/domain
"""

from collections.abc import Sequence

from command_line import app, features, flags

FLAG_GROUPS = (features.define_upstream_flags, features.define_vector_flags, flags.define_compute_flags)


def main(argv: Sequence[str] | None = None) -> None:
    """Defines the flags, reads them once, and hands them on."""
    app.start(features.run, __doc__, FLAG_GROUPS, argv)


if __name__ == "__main__":
    main()
