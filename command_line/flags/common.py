"""Every flag of every script, in groups that scripts choose from. Names and defaults are upstream's where it has them.

A group defines its flags on the `FlagValues` it is given, never on a global one: two scripts live in one process.
"""

from absl import flags

from modeling.settings import BF16, FLOAT32, FP16
from processors.base import PROBLEM_TYPES
from processors.records.featurizer import HEAD, TRUNCATIONS


def define_model_flags(values: flags.FlagValues, max_seq_length: int = 128) -> None:
    """Weights, architecture, vocabulary."""
    flags.DEFINE_string(
        "init_checkpoint",
        None,
        "Weights to start from: a TensorFlow 1 checkpoint (prefix, .index or directory), or a Hugging Face directory "
        "or model.safetensors.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "bert_config_file",
        None,
        "Architecture as JSON; by default the one beside --init_checkpoint or in --output_dir.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "vocab_file",
        None,
        "WordPiece vocabulary; by default the one beside --init_checkpoint or in --output_dir.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "do_lower_case",
        True,
        "Lower-case and strip accents: true for uncased models, false for cased.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_seq_length",
        max_seq_length,
        "Most pieces a row, [CLS] and [SEP] included; longer text is cut.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "use_one_hot_embeddings", False, "Look words up by matrix product, which TPUs do faster.", flag_values=values
    )


def define_run_flags(values: flags.FlagValues) -> None:
    """What to do and where."""
    flags.DEFINE_string(
        "output_dir", None, "Directory of checkpoints, records, results and exports.", flag_values=values
    )
    flags.DEFINE_bool("do_train", False, "Train on the train split.", flag_values=values)
    flags.DEFINE_bool("do_eval", False, "Evaluate on the dev split.", flag_values=values)
    flags.DEFINE_bool("do_predict", False, "Predict the test split, or --predict_file.", flag_values=values)
    flags.DEFINE_bool("do_export", False, "Write a SavedModel under output_dir/export.", flag_values=values)
    flags.DEFINE_bool(
        "export_frozen_graph",
        False,
        "With --do_export: also write one frozen .pb, weights as constants.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "validate_only", False, "Read all data, print a report, and stop before any training.", flag_values=values
    )


def define_training_flags(values: flags.FlagValues) -> None:
    """Batches, learning rate, length of training in passes over the data."""
    define_update_flags(values)
    flags.DEFINE_float("num_train_epochs", 3.0, "Passes over the training data.", lower_bound=0.0, flag_values=values)
    flags.DEFINE_float(
        "warmup_proportion",
        0.1,
        "Share of the steps in which the rate rises from 0.",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )


def define_update_flags(values: flags.FlagValues) -> None:
    """Batches, learning rate, checkpoints."""
    flags.DEFINE_integer(
        "train_batch_size", 32, "Rows of one update, over all devices.", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "gradient_accumulation_steps",
        1,
        "Parts of --train_batch_size that are computed one after the other, to save memory.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "recompute",
        False,
        "Compute activations again in the backward pass: less memory, a third more work.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "freeze",
        None,
        "Parts of the model that training leaves as they are: embeddings, layers from 0 (3, 0-5), pooler, or encoder "
        "for the embeddings and all layers; with commas between them, as in embeddings,0-5.",
        flag_values=values,
    )
    flags.DEFINE_integer("eval_batch_size", 8, "Rows a batch in evaluation.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("predict_batch_size", 8, "Rows a batch in prediction.", lower_bound=1, flag_values=values)
    flags.DEFINE_float("learning_rate", 5e-5, "Highest learning rate of AdamW.", lower_bound=0.0, flag_values=values)
    flags.DEFINE_integer(
        "save_checkpoints_steps", 1000, "Steps between checkpoints.", lower_bound=1, flag_values=values
    )
    _define_periodic_evaluation(values)
    flags.DEFINE_integer("keep_checkpoint_max", 5, "Checkpoints kept; 0 keeps all.", lower_bound=0, flag_values=values)
    flags.DEFINE_integer("seed", 12345, "Seed of the shuffle, new weights, dropout and splits.", flag_values=values)
    flags.DEFINE_integer(
        "log_every_n_steps", 50, "Steps between two lines of progress.", lower_bound=1, flag_values=values
    )


def _define_periodic_evaluation(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "eval_every_n_steps",
        None,
        "With --do_train: save a checkpoint and evaluate it every so many steps, and draw learning_curve.png.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_string(
        "best_metric",
        None,
        "Score that says which checkpoint is best, such as loss or f1; by default f1 for answers, else loss.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "early_stopping_patience",
        None,
        "Stop training after so many evaluations of --eval_every_n_steps without a better score.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "keep_best_checkpoint",
        False,
        "Keep the best checkpoint of --eval_every_n_steps in output_dir/best; evaluate, predict and export with it.",
        flag_values=values,
    )


def define_device_flags(values: flags.FlagValues) -> None:
    """Upstream's runtime group."""
    flags.DEFINE_bool("use_tpu", False, "Run on a TPU.", flag_values=values)
    flags.DEFINE_string("tpu_name", None, "Name or grpc:// address of the TPU.", flag_values=values)
    flags.DEFINE_string("tpu_zone", None, "Zone of the TPU.", flag_values=values)
    flags.DEFINE_string("gcp_project", None, "Cloud project of the TPU.", flag_values=values)
    flags.DEFINE_string("master", None, "TensorFlow master URL.", flag_values=values)
    flags.DEFINE_integer("num_tpu_cores", 8, "TPU cores.", lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        "iterations_per_loop",
        1000,
        "Steps a TPU runs between two returns to the host.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "pad_to_max_length",
        False,
        "Pad every row to --max_seq_length, as XLA needs; slower elsewhere.",
        flag_values=values,
    )
    define_compute_flags(values)
    flags.DEFINE_integer(
        "num_workers",
        None,
        "Processes that convert text to records; by default as many as pay off.",
        flag_values=values,
    )


def define_compute_flags(values: flags.FlagValues) -> None:
    """How the graph computes."""
    flags.DEFINE_enum(
        "precision",
        FLOAT32,
        [FLOAT32, BF16, FP16],
        "What matrix products are computed in: float32, the default, or on devices that have it bfloat16, or float16 "
        "under a dynamic loss scale. Weights, optimizer, checkpoints and exports are float32 with each.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "use_xla",
        False,
        "Compile the graph by XLA; every row is padded to --max_seq_length. A TPU does so without it.",
        flag_values=values,
    )


def define_classifier_flags(values: flags.FlagValues) -> None:
    """Data of run_classifier.py."""
    flags.DEFINE_string("data_dir", None, "Folder of the data files of the task.", flag_values=values)
    flags.DEFINE_string(
        "task_name", None, "Registered task (mrpc, cola, ..., table), or package.module:Class.", flag_values=values
    )
    flags.DEFINE_string(
        "processor_module", None, "Python file or dotted module that registers further tasks.", flag_values=values
    )
    flags.DEFINE_enum(
        "problem_type",
        None,
        list(PROBLEM_TYPES),
        "What a label is; by default what the task says, single_label for tables.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "truncation",
        HEAD,
        list(TRUNCATIONS),
        "Which pieces of a text beyond --max_seq_length are kept: the first, the last, or a quarter from its beginning "
        "and the others from its end.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "class_weights",
        None,
        "'balanced', or a loss weight for each label: 1,2.5 in label order, or name=2.5,other=1.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "label_smoothing", 0.0, "Share of a training target that is spread over all labels.", flag_values=values
    )
    flags.DEFINE_float(
        "focal_gamma",
        0.0,
        "Train on what is hard: a row's loss times (1 - probability of its label) to this power; 0 is off, 2 usual.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "predict_file",
        None,
        "File to predict in place of the test split; - answers standard input from the export.",
        flag_values=values,
    )
    for split in ("train", "eval", "predict"):
        flags.DEFINE_integer(
            f"max_{split}_examples", None, f"Take only the first rows to {split}.", lower_bound=1, flag_values=values
        )


def define_table_flags(values: flags.FlagValues) -> None:
    """Columns and format of --task_name=table."""
    flags.DEFINE_string("text_a", None, "Column of the text: header name, or index from 0.", flag_values=values)
    flags.DEFINE_string("text_b", None, "Column of the second text of a pair.", flag_values=values)
    flags.DEFINE_string("label", None, "Column of the label.", flag_values=values)
    flags.DEFINE_string(
        "labels",
        None,
        "Labels in order: a,b,c or a file with one a line; by default found in training.",
        flag_values=values,
    )
    flags.DEFINE_string("label_separator", ",", "Between the labels of one cell (multi_label).", flag_values=values)
    flags.DEFINE_string(
        "delimiter", None, "Column delimiter; by default comma for .csv, tab for .tsv and .txt.", flag_values=values
    )
    flags.DEFINE_enum(
        "quoting", None, ["none", "minimal"], 'Whether " quotes cells; by default only in .csv.', flag_values=values
    )
    flags.DEFINE_string(
        "encoding", None, "Encoding of the data files; by default UTF-8, or what the BOM says.", flag_values=values
    )
    flags.DEFINE_bool("header", None, "Whether the first line names the columns.", flag_values=values)
    flags.DEFINE_string("train_file", None, "Training table; by default train.* in --data_dir.", flag_values=values)
    flags.DEFINE_string(
        "dev_file",
        None,
        "Dev table; by default dev.*, valid.* or validation.*, else split off training.",
        flag_values=values,
    )
    flags.DEFINE_string("test_file", None, "Test table; by default test.* in --data_dir.", flag_values=values)
    flags.DEFINE_float("dev_fraction", 0.1, "Share split off where there is no dev file.", 0.0, 0.9, flag_values=values)
    flags.DEFINE_enum(
        "on_bad_row",
        "stop",
        ["stop", "skip"],
        "Stop at a row that cannot be used, or skip and count it.",
        flag_values=values,
    )
