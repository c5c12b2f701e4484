"""extract_features.py from flags to one call."""

import contextlib
import functools
import itertools
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line import model_files
from command_line.app import Script
from command_line.flags.declaration import FlagSet
from command_line.flags.devices import DEVICES
from command_line.flags.model import MODEL
from command_line.flags.vectors import ALL_LAYERS, VECTORS
from command_line.settings import check_precision, device_settings, require
from common import onednn
from common.cluster.member import require_one_machine
from common.errors import FlagError
from common.files import atomic_writer
from common.run_directory import RunDirectory
from export.onnx_packages import check_packages
from export.signatures import ExportSettings
from modeling.settings import ModelSettings
from processors.records.featurizer import PairFeaturizer, chunked
from processors.records.length_order import BATCHES_SORTED_AT_ONCE
from processors.text_lines import read_text_lines, text_or_pair
from tasks.vectors.files import FeatureWriter, PieceLines, VectorLines, load_pyarrow, vector_array, vector_table

log = logging.getLogger(__name__)

LAST_LAYER, FIRST_AND_LAST = "-1", "0,-1"
WAITING_BYTES = 128 << 20
"""Most vectors that wait until those of the lines before them are there."""


def run(options: SimpleNamespace) -> None:
    """Writes the vectors that the flags ask for.

    Raises:
      BertError: an error that the user can fix.
    """
    check(options)
    if options.export_dir:
        export_vectors(options, Path(options.export_dir))
    if options.input_file:
        write_file(options)


def load_model(options: SimpleNamespace) -> model_files.ModelFiles:
    """Vocabulary and architecture of `--init_checkpoint`.

    Raises:
      BertError: as `model_files.load`.
    """
    checkpoint = Path(options.init_checkpoint)
    if (checkpoint / "saved_model.pb").is_file():
        return model_files.of_export(options, checkpoint)
    # The output directory of a training run says with which casing it was made.
    folder = checkpoint if checkpoint.is_dir() else checkpoint.parent
    identity = (RunDirectory(folder).description() or {}).get("identity", {})
    return model_files.load(options, folder, identity)


def export_vectors(options: SimpleNamespace, folder: Path, shows_tokens: bool = False) -> Path:
    """Writes a SavedModel that gives the vectors which the flags ask for.

    Args:
      options: the flags.
      folder: parent of `export/` and `export_ids/`.
      shows_tokens: whether the tokens of a text are an output, too.

    Returns:
      The export, that on texts where there is one.

    Raises:
      BertError: an error that the user can fix.
    """
    onednn.choose()
    if options.export_onnx:
        check_packages()
    files = load_model(options)
    layers = layer_indexes(options, files.config.num_hidden_layers)

    from estimator.devices import quiet_tensorflow
    from estimator.feature_extraction import check_pooler
    from export.savedmodel import export_saved_model
    from modeling.checkpoints.restore import write_weights
    from tasks.vectors.task import VectorSettings, VectorTask

    quiet_tensorflow()
    settings = VectorSettings(
        options.pooling, layers, options.special_tokens, options.normalize, options.max_seq_length, shows_tokens
    )
    task = VectorTask(files.text_tokenizer, settings)
    model = ModelSettings(files.config, options.init_checkpoint)
    check_pooler(model, task.head(is_training=False))
    with tempfile.TemporaryDirectory(prefix="bert_weights_") as weights:
        prefix = f"{weights}/model.ckpt"
        write_weights(options.init_checkpoint, prefix)
        made = export_saved_model(task, model, prefix, folder, ExportSettings(onnx=options.export_onnx))
    if options.export_onnx:
        from serving.engine_choice import choose_engine

        choose_engine(made)
    return made


def write_file(options: SimpleNamespace) -> None:
    """Writes the vectors of `--input_file`.

    Raises:
      BertError: an error that the user can fix.
    """
    pyarrow = load_pyarrow() if options.output_format == "parquet" else None
    files = load_model(options)
    layers = layer_indexes(options, files.config.num_hidden_layers)
    tokenizer = files.text_tokenizer
    featurizer = PairFeaturizer(tokenizer, options.max_seq_length, (), "single_label")

    from estimator import devices
    from estimator.feature_extraction import extract
    from modeling.heads.pooling import VectorReader

    devices.quiet_tensorflow()
    require_one_machine("extract_features.py")
    special = tokenizer.special_ids
    left_out = [] if options.special_tokens else [special.cls, special.sep]
    reader = VectorReader(options.pooling, layers, left_out, options.normalize)
    size = options.batch_size * batches_at_once(options, len(layers) * files.config.hidden_size)
    examples = chunked(map(text_or_pair, read_text_lines(Path(options.input_file), options.encoding)), size)
    model = ModelSettings(files.config, options.init_checkpoint, options.use_one_hot_embeddings)
    device = device_settings(options)
    log.info(devices.banner(device))
    answers = extract(model, reader, featurizer, examples, options.batch_size, device)
    pieces = functools.partial(
        PieceLines, inv_vocab=dict(enumerate(tokenizer.tokens)), layers=layers, left_out=left_out
    )
    count = write(options, answers, pieces, pyarrow)
    log.info("wrote %d lines to %s", count, options.output_file)


def check(options: SimpleNamespace) -> None:
    """Checks flags against each other before anything is read.

    Raises:
      FlagError: what is missing or does not go together.
    """
    require(options, "init_checkpoint")
    check_precision(options)
    if options.export_onnx and not options.export_dir:
        raise FlagError("--export_onnx needs --export_dir; add it")
    if not options.export_dir or options.input_file or options.output_file:
        require(options, "input_file", "output_file")
        check_files(options)
    if options.pooling == "none" and options.normalize:
        raise FlagError("--normalize scales the vector of a line; choose a --pooling, or leave it out")
    if options.pooling == "pooled" and "layers" in options.given:
        raise FlagError("--pooling=pooled reads the pooler, which sees the last layer only; leave --layers out")


def check_files(options: SimpleNamespace) -> None:
    """Checks the flags that say what to read and to write.

    Raises:
      FlagError: what is missing or does not go together.
    """
    if not Path(options.input_file).is_file():
        raise FlagError(f"--input_file={options.input_file}: no such file; check the path")
    if Path(options.output_file).is_dir():
        raise FlagError(f"--output_file={options.output_file}: is a folder, expected a file name; add one")
    if Path(options.output_file).resolve() == Path(options.input_file).resolve():
        raise FlagError(f"--output_file={options.output_file} is also the --input_file; give another name")
    if options.pooling == "none" and options.output_format != "jsonl":
        raise FlagError(
            f"--output_format={options.output_format} holds one vector a line; choose a --pooling, or jsonl"
        )


def layer_indexes(options: SimpleNamespace, num_layers: int) -> list[int]:
    """Layers to read, as given.

    Raises:
      FlagError: not a list of whole numbers, or a layer that the model does not have.
    """
    text = options.layers
    if options.pooling != "none" and "layers" not in options.given:
        text = FIRST_AND_LAST if options.pooling == "first_last_mean" else LAST_LAYER
    try:
        layers = [int(part) for part in text.split(",")]
    except ValueError:
        raise FlagError(
            f"--layers={text}: expected whole numbers with commas between them, as in {ALL_LAYERS}"
        ) from None
    for layer in layers:
        if not -num_layers <= layer < num_layers:
            raise FlagError(
                f"--layers={text}: there is no layer {layer} in a model of {num_layers}; "
                f"expected {-num_layers} to {num_layers - 1}"
            )
    return layers


def batches_at_once(options: SimpleNamespace, width: int) -> int:
    """Batches sorted together, so that the buffered vectors stay under WAITING_BYTES.

    Args:
      options: `batch_size`, `max_seq_length`, `pooling`.
      width: float32 numbers of a token.
    """
    pieces = options.max_seq_length if options.pooling == "none" else 1
    batch_bytes = int(4 * width * pieces * options.batch_size)
    return min(max(WAITING_BYTES // batch_bytes, 1), BATCHES_SORTED_AT_ONCE)


def write(options: SimpleNamespace, answers: Iterator[Any], pieces: Any, pyarrow: Any) -> int:
    """Writes lines as they are answered; gives their number.

    Raises:
      FlagError: there is no line.
    """
    first = next(answers, None)
    if first is None:
        raise FlagError(f"--input_file={options.input_file}: holds no line; give a text with a line for each vector")
    count = 0
    with _writer(options, len(first.outputs[0]["vectors"]), pieces, pyarrow) as writer:
        for example, windows, outputs in itertools.chain([first], answers):
            writer.write(example, windows[0], outputs[0]["vectors"])
            count += 1
    return count


@contextlib.contextmanager
def _writer(options: SimpleNamespace, width: int, pieces: Any, pyarrow: Any) -> Iterator[FeatureWriter]:
    path = Path(options.output_file)
    if options.output_format == "npy":
        with vector_array(path, width) as array:
            yield array
    elif options.output_format == "parquet":
        with vector_table(path, pyarrow) as table:
            yield table
    else:
        with atomic_writer(path) as stream:
            yield pieces(stream) if options.pooling == "none" else VectorLines(stream)


SCRIPT = Script(
    FlagSet(
        (
            VECTORS,
            MODEL.without("extra_tokens"),
            DEVICES.only("precision", "use_xla", "use_tpu", "master", "num_tpu_cores"),
        )
    ),
    run,
)
