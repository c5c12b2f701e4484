"""Vectors of texts: layers, pooling, files."""

from command_line.flags.actions import ACTIONS
from command_line.flags.corpus import FILES
from command_line.flags.declaration import Flag, Group, Scope
from modeling.heads.pooling_names import POOLINGS

ALL_LAYERS = "-1,-2,-3,-4"
"""Upstream's default of `--layers`."""
FORMATS = ("jsonl", "npy", "parquet")

VECTORS = Group(
    "Text and vectors",
    (
        *FILES.only("input_file", "output_file", "encoding")
        .changed("input_file", help="Text, a line an example: a text, or two as in 'A ||| B'; also compressed.")
        .changed("output_file", help="File to write.")
        .changed("encoding", help="Encoding of the text. Without it, UTF-8 or what a byte order mark says.")
        .flags,
        Flag(
            "layers",
            str,
            ALL_LAYERS,
            "Layers to read, 0 the first, -1 the last. With --pooling and without this flag, the last "
            "(first_last_mean: the first and the last).",
            Scope.FREE,
            is_main=True,
        ),
        Flag(
            "pooling",
            POOLINGS,
            "none",
            "How the token vectors of a line become one: the first, the pooler's output, mean, maximum, both "
            "concatenated, or the mean of the first and the last layer; several layers are concatenated.",
            Scope.FREE,
            is_main=True,
        ),
        Flag(
            "special_tokens",
            bool,
            True,
            "Include [CLS] and [SEP] in means and maxima, and write them with --pooling=none.",
            Scope.FREE,
        ),
        Flag("normalize", bool, False, "Scale the vector of a line to length 1.", Scope.FREE),
        Flag(
            "output_format",
            FORMATS,
            FORMATS[0],
            "JSON lines; with --pooling also one NumPy array, or a Parquet table.",
            Scope.FREE,
            is_main=True,
        ),
        Flag("batch_size", int, 32, "Lines of a batch.", Scope.FREE, minimum=1),
        Flag(
            "export_dir",
            str,
            None,
            "Folder for a SavedModel that gives these vectors; with or without an --input_file.",
            Scope.FREE,
            is_path=True,
        ),
        ACTIONS["export_onnx"].changed(
            help="With --export_dir: also write model.onnx for ONNX Runtime; the engine that answers faster is "
            "measured and recorded.",
        ),
    ),
)
