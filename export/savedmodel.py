"""SavedModel export: one set of weights under several signatures, with what a client needs as assets.

export/<timestamp>/saved_model.pb          signatures `serving_default`, `examples`, `text`, `single_text`
export/<timestamp>/variables/              the model's weights, without the optimizer's
export/<timestamp>/assets/                 vocabulary, labels, tokenizer settings, architecture
export/<timestamp>/frozen_graph.pb         on request: the id signatures as one file, weights as constants
export/<timestamp>/frozen_graph_text.pb    on request: the text signatures likewise
export/<timestamp>/signatures.json         with `model.onnx`: the signatures, for servers without TensorFlow
export/<timestamp>/model.onnx              on request: `serving_default` for ONNX Runtime, in float32 or int8
export_ids/<timestamp>/                    the id signatures alone, in TensorFlow's own operations: loads anywhere

The text signatures tokenize with operations of tensorflow_text, so a program that loads them imports that package; what
is under `export_ids` and in `frozen_graph.pb` needs TensorFlow alone, or its C, Java or Go library. Each `.pb` has a
`.json` beside it that names its ends.
"""

import dataclasses
import functools
import json
import logging
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

from common.errors import ExportError, one_line
from common.files import sync_folder, sync_tree
from common.run_directory import RUN_FILE
from export.onnx_file import write_onnx
from export.onnx_quantization import quantize
from export.signatures import EXPORT, EXPORT_IDS, FOLDERS, IDS, ONNX_FILE, PLAIN, SIGNATURES_FILE, TEXT, ExportSettings
from modeling.build import ENCODER_INPUTS, build_encoder
from modeling.checkpoints.first_weights import load_first_weights
from modeling.settings import ModelSettings
from processors.graph.tokenizer import why_not_in_graph
from processors.records.input_fn import parse_batch
from processors.records.padded import padded
from processors.records.schema import FeatureSpec
from tasks.base import Task, TextSignature

log = logging.getLogger(__name__)

v1 = tf.compat.v1
Ends = dict[str, tf.Tensor]
Signature = tuple[Ends, Ends]
"""Inputs and outputs by name."""


def export_saved_model(
    task: Task,
    model: ModelSettings,
    checkpoint: str | None,
    output_dir: Path,
    settings: ExportSettings = PLAIN,
) -> Path:
    """Writes exports of a checkpoint under a new time stamp; a failure leaves nothing behind.

    Args:
      task: gives the head, the record spec and the text signature.
      model: the encoder.
      checkpoint: prefix of the trained weights; None for those of the model's `init_checkpoint`.
      output_dir: parent of `export/` and `export_ids/`.
      settings: which of them to write.

    Returns:
      The directory of the export, of `export/` where both are written.

    Raises:
      ExportError: the in-graph tokenizer does not give the featurizer's ids, int8 loses too much, or the disk is full.
    """
    text = task.text_signature()
    signatures = _signatures(task, text, settings.signatures)
    settings = dataclasses.replace(settings, signatures=signatures)
    folders = [output_dir / name for name in FOLDERS[signatures]]
    stamp = _new_stamp(output_dir)
    temporaries = {folder: folder / f"temp-{stamp}" for folder in folders}
    try:
        for temporary in temporaries.values():
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.parent.mkdir(parents=True, exist_ok=True)
        directories = {folder.name: path for folder, path in temporaries.items()}
        _write(SignatureBuilder(task, model), text, checkpoint, directories, settings)
        for folder in reversed(folders):  # the one that servers look for comes last
            sync_tree(temporaries[folder])
            temporaries[folder].replace(folder / stamp)
            sync_folder(folder)
    except (OSError, tf.errors.OpError) as error:
        is_lacking = isinstance(error, tf.errors.NotFoundError)
        advice = (
            "a head of your own makes variables by tf.compat.v1.get_variable alone" if is_lacking else "free disk space"
        )
        raise ExportError(
            f"{folders[0] / stamp}: export failed ({one_line(getattr(error, 'message', error))}); {advice}, or check "
            "that the checkpoint is of this task"
        ) from error
    finally:
        for temporary in temporaries.values():
            shutil.rmtree(temporary, ignore_errors=True)
    log.info(
        "exported %s to %s",
        checkpoint or model.init_checkpoint,
        " and ".join(str(folder / stamp) for folder in folders),
    )
    return folders[0] / stamp


def _signatures(task: Task, text: TextSignature | None, asked: str) -> str:
    """What can be written of what is asked for: signatures on ids alone where there is none on texts.

    Raises:
      ExportError: those on texts alone are asked for.
    """
    reason = f"task {task.name} has none" if text is None else why_not_in_graph(task.tokenizer)
    if reason is None or asked == IDS:
        return asked
    if asked == TEXT:
        raise ExportError(f"--export_signatures={TEXT}: {reason}; give --export_signatures={IDS}")
    if text is not None:
        log.warning("no text signature is exported: %s; %s takes ids", reason, EXPORT_IDS)
    return IDS


def _write(
    build: "SignatureBuilder",
    text: TextSignature | None,
    checkpoint: str | None,
    directories: Mapping[str, Path],
    settings: ExportSettings,
) -> None:
    """Builds the signatures in one graph, ids first, and saves each export once its own are there."""
    with tf.Graph().as_default(), v1.Session() as session:
        signatures = build.ids()
        saver = v1.train.Saver(v1.global_variables())
        if checkpoint is None:
            build.load_first_weights()
            session.run(v1.global_variables_initializer())
        else:
            saver.restore(session, checkpoint)
        assets = build.assets() | ({} if text is None else text.assets())
        if EXPORT_IDS in directories:
            _save(session, saver, signatures, directories[EXPORT_IDS])
            _write_assets(assets, directories[EXPORT_IDS])
        texts: dict[str, Signature] = {}
        if EXPORT in directories and text is not None:
            for name, form in {"text": text, **text.further()}.items():
                texts |= build.texts(form, name)
                check_features(session, build.task, form, *build.text_features)
            _save(session, saver, signatures | texts, directories[EXPORT])
            _write_assets(assets, directories[EXPORT])
        if settings.frozen_graph:
            main = directories[EXPORT if EXPORT in directories else EXPORT_IDS]
            _freeze(session, signatures, main / "frozen_graph.pb")
            if texts:
                _freeze(session, texts, main / "frozen_graph_text.pb")
        if settings.onnx:
            main = directories[EXPORT if EXPORT in directories else EXPORT_IDS]
            ids = signatures["serving_default"]
            write_onnx(session, *ids, main / ONNX_FILE, None if text is None else _rows_of(build.task, text, ids[0]))
            _write_signatures(signatures | texts, main / SIGNATURES_FILE)
            if settings.quantization is not None:
                quantize(main / ONNX_FILE, settings.quantization)


def _write_signatures(signatures: Mapping[str, Signature], path: Path) -> None:
    """As `saved_model.pb` has them, in the JSON form of protocol buffers."""
    definitions = {name: v1.saved_model.predict_signature_def(*ends) for name, ends in sorted(signatures.items())}
    options = {"including_default_value_fields": True, "preserving_proto_field_name": True}
    shown = {name: json_format.MessageToDict(one, **options) for name, one in definitions.items()}
    path.write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")


def _rows_of(task: Task, text: TextSignature, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Texts on which tokenizers are known to differ, as the featurizer makes them: rows of many lengths."""
    _, examples = text.parity_examples()
    rows = [window for windows in task.featurizer.featurize(examples) for window in windows]
    return dict(padded(task.featurizer.spec, rows, names))


def _write_assets(assets: Mapping[str, str | bytes], directory: Path) -> None:
    (directory / "assets").mkdir(exist_ok=True)
    for name, content in assets.items():
        (directory / "assets" / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _new_stamp(output_dir: Path) -> str:
    """A time stamp that no export has yet: two exports within a second must not collide."""
    stamp = int(time.time())
    while any((output_dir / name / str(stamp)).exists() for name in (EXPORT, EXPORT_IDS)):
        stamp += 1
    return str(stamp)


class SignatureBuilder:
    """Builds the signatures of a task over one set of variables, in the default graph.

    Args:
      task: gives the head and the record spec.
      model: the encoder.

    Attributes:
      text_features: string inputs and the features made of them, by the last run of `texts`.
    """

    def __init__(self, task: Task, model: ModelSettings) -> None:
        self.task = task
        self._model = model
        self._head = task.head(is_training=False)
        self.text_features: tuple[Ends, Ends] = ({}, {})

    def assets(self) -> dict[str, str | bytes]:
        """The configuration of the encoder, and of a head that is not the usual one, so that an export is a checkpoint.

        `run.json` is as that of a run: what the head reads of the encoder, and the class of a head of the user's.
        """
        identity, flags = self.task.identity(), self._model.reading.flags()
        own = {name: identity[name] for name in ("head", "hugging_face_class") if identity.get(name)}
        described = {RUN_FILE: json.dumps({"identity": own, "flags": flags}, indent=2) + "\n"} if own or flags else {}
        return {"bert_config.json": str(self._model.bert_config.to_json_string()), **described}

    def ids(self) -> dict[str, Signature]:
        """`serving_default` on ids and `examples` on serialized records, in TensorFlow's own operations."""
        names = (*ENCODER_INPUTS, *self._head.further_inputs)
        ids: Ends = {name: v1.placeholder(tf.int32, [None, None], name) for name in names}
        serialized = v1.placeholder(tf.string, [None], "examples")
        parsed = _parse(serialized, self.task.featurizer.spec, names)
        return {
            "serving_default": (ids, self._outputs(_of_one_shape(ids))),
            "examples": ({"examples": serialized}, self._outputs(parsed)),
        }

    def load_first_weights(self) -> None:
        """Lets the variables start from the model's `init_checkpoint`."""
        load_first_weights(self._model, self._head)

    def texts(self, text: TextSignature, name: str = "text") -> dict[str, Signature]:
        """A signature on raw texts, and `single_...` where all but some of them may be left out."""
        with tf.name_scope(name):
            inputs = text.inputs()
            features = text.features(inputs)
            outputs = text.outputs(self._outputs(features))
        self.text_features = (inputs, features)
        signatures: dict[str, Signature] = {name: (inputs, outputs)}
        required = {name: tensor for name, tensor in inputs.items() if tensor.op.type == "Placeholder"}
        if len(required) < len(inputs):
            # Servers and TensorFlow 2 ask for every input of a signature, whatever its default.
            signatures[f"single_{name}"] = (required, outputs)
        return signatures

    def _outputs(self, features: Mapping[str, tf.Tensor]) -> Ends:
        with v1.variable_scope(v1.get_variable_scope(), reuse=v1.AUTO_REUSE):
            encode = functools.partial(build_encoder, self._model, self._head, is_training=False, packed=True)
            logits = self._head.read(encode, dict(features), is_training=False)
            return self._head.predictions(logits, dict(features))


def _of_one_shape(ids: Ends) -> Ends:
    """The inputs, of which those of tokens cannot have different shapes: one that is shorter would be broadcast, or cut
    the others, without a word. Unlike an assertion a `Reshape` stays in frozen graphs and in ONNX, and moves no data.
    """
    shape = tf.shape(ids[ENCODER_INPUTS[0]])
    alike = {
        name: tf.reshape(ids[name], shape, f"{name}_has_the_shape_of_{ENCODER_INPUTS[0]}")
        for name in ENCODER_INPUTS[1:]
    }
    return {**ids, **alike}


def _parse(serialized: tf.Tensor, spec: FeatureSpec, names: Sequence[str]) -> Ends:
    return parse_batch(serialized, FeatureSpec(tuple(field for field in spec.fields if field.name in names)))


def check_parity(session: Any, task: Task, text: TextSignature) -> None:
    """Builds the features of a text signature and compares them; see `check_features`."""
    with tf.name_scope("parity"):
        inputs = text.inputs()
        features = text.features(inputs)
    check_features(session, task, text, inputs, features)


def check_features(session: Any, task: Task, text: TextSignature, inputs: Ends, features: Ends) -> None:
    """Compares raw text tokenized in the graph with the featurizer, on texts chosen to tell them apart.

    Raises:
      ExportError: they differ; the text is named.
    """
    values, examples = text.parity_examples()
    feed = {inputs[name]: value for name, value in values.items()}
    found = session.run(features, feed)
    made = zip(examples, task.featurizer.featurize(examples), strict=True)
    for row, (example, window) in enumerate((example, window) for example, windows in made for window in windows):
        for name in (name for name in found if name in window):
            expected = np.asarray(window[name])
            length = len(expected)
            if not np.array_equal(found[name][row][:length], expected) or found[name][row][length:].any():
                raise ExportError(
                    f"the in-graph tokenizer differs from the featurizer in {name} of {one_line(ascii(example))}; "
                    "no export was written; please report this text"
                )


def _save(session: Any, saver: Any, signatures: dict[str, Signature], directory: Path) -> None:
    builder = v1.saved_model.Builder(str(directory))
    definitions = {
        name: v1.saved_model.predict_signature_def(inputs, outputs) for name, (inputs, outputs) in signatures.items()
    }
    tags = [v1.saved_model.tag_constants.SERVING]
    builder.add_meta_graph_and_variables(session, tags, definitions, saver=saver, strip_default_attrs=True)
    builder.save()


def _freeze(session: Any, signatures: dict[str, Signature], path: Path) -> None:
    ends = {
        name: {
            "inputs": {key: tensor.name for key, tensor in inputs.items()},
            "outputs": {key: tensor.name for key, tensor in outputs.items()},
        }
        for name, (inputs, outputs) in signatures.items()
    }
    nodes = sorted({tensor.op.name for _, outputs in signatures.values() for tensor in outputs.values()})
    frozen = v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), nodes)
    path.write_bytes(frozen.SerializeToString())
    path.with_suffix(".json").write_text(json.dumps(ends, indent=2) + "\n", encoding="utf-8")
