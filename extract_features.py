"""Turn text into vectors: of every piece by layer, as google-research/bert writes them, or one for each line.

    python extract_features.py --input_file=sentences.txt --output_file=extract_features.jsonl --layers=-1,-2,-3,-4 \\
        --init_checkpoint=uncased_L-12_H-768_A-12

    python extract_features.py --input_file=sentences.txt --output_file=vectors.npy --output_format=npy \\
        --pooling=mean --normalize --init_checkpoint=runs/domain
"""

from collections.abc import Sequence

import compat
from command_line import app, extract_features

__getattr__ = compat.lookup("extract_features")


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the script on a command line, by default the one of the process."""
    app.start(extract_features.SCRIPT, __doc__, argv)


if __name__ == "__main__":
    main()
