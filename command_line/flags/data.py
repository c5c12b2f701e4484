"""Which rows a command reads: files, columns, splits, limits."""

from typing import Any

from command_line.flags.declaration import Flag, Group, Scope, default_of, same_code
from common.user_code import is_file
from modeling.heads.pooling_names import WINDOW_POOLINGS
from processors.problem_types import PROBLEM_TYPES
from processors.records.document_windows import WINDOWS, DocumentWindows
from processors.records.featurizer import HEAD, TRUNCATIONS
from processors.tables.labels import LABELS_AS
from processors.tables.spec import TableFormat, TableSpec
from tasks.classification.task import LossSettings

LIMITS = tuple(
    Flag(
        f"max_{split}_examples",
        int,
        None,
        f"First rows to {split} at most; 0 for all.",
        Scope.FREE if split == "predict" else Scope.REMEMBERED,
        minimum=0,
    )
    for split in ("train", "eval", "predict")
)

ON_BAD_ROW = Flag(
    "on_bad_row",
    ("stop", "skip"),
    default_of(TableSpec, "on_bad_row"),
    "Stop at a row that cannot be used, or skip and count it.",
    Scope.FIXED,
    decides_rows=True,
    is_main=True,
)

ENCODING = Flag(
    "encoding",
    str,
    default_of(TableFormat, "encoding"),
    "Encoding of the text files, and of standard input. Without it, UTF-8 or what a byte order mark says.",
    Scope.FIXED,
    decides_rows=True,
)

PREDICT_FILE = Flag(
    "predict_file",
    str,
    None,
    "File to predict instead of the test split; - answers standard input.",
    Scope.FREE,
    is_path=True,
    is_main=True,
)

PLACES = "A relative path is one below --data_dir or from the working directory; if both are there, give the full path."
"""Of the flags that name the file of a split, where a task also has a folder of files."""

PREDICTED = PREDICT_FILE.changed(help=f"{PREDICT_FILE.help} {PLACES}")


DATA_SOURCES = Group(
    "Data",
    (
        Flag(
            "data_dir", str, None, "Folder of the data files of the task.", Scope.REMEMBERED, is_path=True, is_main=True
        ),
        PREDICT_FILE,
        *LIMITS,
    ),
)
"""Flags that the frame of a task's script asks for; a task adds its own (`Group.plus`)."""


def _table(field: str) -> Any:
    return default_of(TableSpec, field)


def _format(field: str) -> Any:
    return default_of(TableFormat, field)


def _loss(field: str) -> Any:
    return default_of(LossSettings, field)


def _windows(field: str) -> Any:
    return default_of(DocumentWindows, field)


TASK = Group(
    "Data",
    (
        Flag(
            "task_name",
            str,
            None,
            "Registered task (mrpc, cola, ..., table), or package.module:Class.",
            Scope.FIXED,
            is_main=True,
            names_code=lambda name: ":" in name,
        ),
        Flag(
            "processor_module",
            str,
            None,
            "Python file or dotted module with a DataProcessor of your own.",
            Scope.FIXED,
            is_path=True,
            is_main=True,
            names_code=bool,
        ),
        Flag(
            "head",
            str,
            None,
            "Head of your own in place of that of the problem type: path/to/file.py, path/to/file.py:Class, "
            "package.module:Class, or an entry point of the group bert.heads.",
            Scope.FIXED,
            names_code=lambda name: ":" in name or is_file(name),
            same=same_code,
        ),
        DATA_SOURCES["data_dir"],
        Flag(
            "problem_type",
            tuple(PROBLEM_TYPES),
            None,
            "What a label is. Without it, as the task says; single_label for tables.",
            Scope.REMEMBERED,
            is_main=True,
        ),
        PREDICTED,
        *LIMITS,
        Flag(
            "truncation",
            (*TRUNCATIONS, WINDOWS),
            HEAD,
            "Which tokens of a text beyond --max_seq_length are kept: the first, the last, or a quarter from its start "
            "and the rest from its end; windows reads all of it in overlapping windows.",
            Scope.FIXED,
            is_main=True,
        ),
        Flag(
            "doc_stride",
            int,
            _windows("doc_stride"),
            "With --truncation=windows: tokens between the starts of two windows. Without it, half of the room that a "
            "window has for the text.",
            Scope.FIXED,
            in_export=True,
        ),
        Flag(
            "max_windows",
            int,
            _windows("max_windows"),
            "With --truncation=windows: windows that are read of a document, from its start. With --use_tpu, --use_xla "
            "or --pad_to_max_length it is needed, and a document with more is refused. Without it, all are read.",
            Scope.REMEMBERED,
            minimum=1,
            in_export=True,
        ),
        Flag(
            "pool_windows",
            WINDOW_POOLINGS,
            _windows("pooling"),
            "With --truncation=windows: what becomes of the scores of a document's windows: their mean, the largest of "
            "each label, or those of the first window.",
            Scope.FIXED,
        ),
        Flag(
            "class_weights",
            str,
            _loss("class_weights"),
            "'balanced', or a loss weight for each label: 1,2.5 in label order, or name=2.5,other=1.",
            Scope.FIXED,
        ),
        Flag(
            "label_smoothing",
            float,
            _loss("label_smoothing"),
            "Fraction of a training target that is spread over all labels.",
            Scope.FIXED,
        ),
        Flag("focal_gamma", float, _loss("focal_gamma"), "Focal loss gamma; 0 is off, 2 is usual.", Scope.FIXED),
    ),
)

TABLE = Group(
    "Tables (--task_name=table)",
    (
        Flag(
            "text_a",
            str,
            None,
            "Column of the text: header name, or index from 0.",
            Scope.FIXED,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "text_b",
            str,
            None,
            "Column of the second text of a pair.",
            Scope.FIXED,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "label",
            str,
            None,
            "Column of the label; for multi_label also a 0/1 column for each label, comma-separated.",
            Scope.FIXED,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "labels",
            str,
            None,
            "Labels in order: a,b,c or a file with one a line. Without it, those of the training rows.",
            Scope.REMEMBERED,
            decides_rows=True,
        ),
        Flag(
            "label_as",
            LABELS_AS,
            _table("label_as"),
            "What label cells hold: a label's name, or its index in --labels, from 0.",
            Scope.FIXED,
            decides_rows=True,
        ),
        Flag(
            "label_names",
            str,
            None,
            "Names for labels as they are written: 1=World,2=Sports.",
            Scope.FIXED,
            decides_rows=True,
        ),
        Flag(
            "label_separator",
            str,
            _table("label_separator"),
            "Character between the labels of one cell (multi_label).",
            Scope.FIXED,
            decides_rows=True,
        ),
        Flag(
            "delimiter",
            str,
            _format("delimiter"),
            "Column delimiter. Without it, comma for .csv, tab for .tsv and .txt.",
            Scope.FIXED,
            decides_rows=True,
        ),
        Flag(
            "quoting",
            ("none", "minimal"),
            _format("quoting"),
            'Whether " quotes cells. Without it, in .csv and with any delimiter but a tab.',
            Scope.FIXED,
            decides_rows=True,
        ),
        ENCODING,
        Flag(
            "header",
            bool,
            None,
            "Whether the first line names the columns. Without it, yes.",
            Scope.FIXED,
            decides_rows=True,
        ),
        Flag(
            "train_file",
            str,
            None,
            f"Training table. Without it, train.* in --data_dir. {PLACES}",
            Scope.FIXED,
            is_path=True,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "dev_file",
            str,
            None,
            "Dev table. Without it, dev.*, val.*, valid.* or validation.* in --data_dir, else rows held out from "
            f"training. {PLACES}",
            Scope.FIXED,
            is_path=True,
            is_main=True,
            decides_rows=True,
        ),
        Flag(
            "test_file",
            str,
            None,
            f"Test table. Without it, test.* in --data_dir. {PLACES}",
            Scope.REMEMBERED,
            is_path=True,
        ),
        Flag(
            "dev_fraction",
            float,
            _table("dev_fraction"),
            "Fraction of the training rows held out where there is no dev file.",
            Scope.FIXED,
            minimum=0.0,
            maximum=0.9,
            is_main=True,
            decides_rows=True,
        ),
        ON_BAD_ROW,
    ),
)
