"""What a command does, and where."""

from command_line.flags.declaration import Flag, Group, Scope
from export.signatures import BOTH, FOLDERS, INT8, NOT_QUANTIZED
from serving.engines import AUTO, ENGINES

ACTIONS = Group(
    "Actions",
    (
        Flag(
            "output_dir",
            str,
            None,
            "Folder of the run: checkpoints, records, results, exports.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        Flag("do_train", bool, False, "Train on the train split.", Scope.FREE, is_main=True),
        Flag("do_eval", bool, False, "Evaluate on the dev split.", Scope.FREE, is_main=True),
        Flag("do_predict", bool, False, "Predict the test split, or --predict_file.", Scope.FREE, is_main=True),
        Flag(
            "do_export",
            bool,
            False,
            "Write SavedModels under OUTPUT_DIR/export (raw text and ids) and OUTPUT_DIR/export_ids (ids only, for "
            "programs without tensorflow_text).",
            Scope.FREE,
            is_main=True,
        ),
        Flag(
            "export_signatures",
            tuple(FOLDERS),
            BOTH,
            "With --do_export: both exports, the one with text, or the one with ids only.",
            Scope.FREE,
        ),
        Flag(
            "export_frozen_graph",
            bool,
            False,
            "With --do_export: also write frozen_graph.pb (ids) and frozen_graph_text.pb, with the weights as "
            "constants.",
            Scope.FREE,
        ),
        Flag(
            "export_onnx",
            bool,
            False,
            "With --do_export: also write model.onnx, the ids signature for ONNX Runtime; the engine that answers "
            "faster from the export is measured and recorded.",
            Scope.FREE,
        ),
        Flag(
            "quantize",
            (NOT_QUANTIZED, INT8),
            NOT_QUANTIZED,
            "With --export_onnx: int8 writes weights of 8 bits where the accuracy on the dev split stays near that of "
            "float32.",
            Scope.FREE,
        ),
        Flag(
            "max_accuracy_loss",
            float,
            0.005,
            "With --quantize: most that the accuracy on the dev split (F1, correlation) may fall, as a fraction; where "
            "it falls more, no export is written.",
            Scope.FREE,
            minimum=0.0,
        ),
        Flag(
            "engine",
            ENGINES,
            AUTO,
            "With --predict_file=-: what computes the answers; auto is the engine recorded with the export.",
            Scope.FREE,
        ),
        Flag("validate_only", bool, False, "Read all data, print a report, and stop.", Scope.FREE, is_main=True),
        Flag("only_check_args", bool, False, "Check the flags and the files they name, and stop.", Scope.FREE),
        Flag("traceback", bool, False, "Print the whole traceback of an error, not one line.", Scope.FREE),
    ),
)
