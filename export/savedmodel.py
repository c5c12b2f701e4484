"""SavedModel export: one set of weights under several signatures, with what a client needs as assets.

<timestamp>/saved_model.pb        signatures `serving_default`, `examples`, `text`, `single_text`
<timestamp>/variables/            the model's weights, without the optimizer's
<timestamp>/assets/               vocabulary, labels, tokenizer settings
<timestamp>/frozen_graph.pb       on request: one file, weights as constants; `frozen_graph.json` names its ends
"""

import json
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from common.errors import ExportError, one_line
from common.files import sync_folder, sync_tree
from modeling.build import ENCODER_INPUTS, build_encoder
from modeling.settings import ModelSettings
from processors.records.input_fn import parse_batch
from processors.records.schema import FeatureSpec
from tasks.base import Task, TextSignature

log = logging.getLogger(__name__)

v1 = tf.compat.v1
Ends = dict[str, tf.Tensor]


def export_saved_model(
    task: Task, model: ModelSettings, checkpoint: str, export_dir: Path, frozen_graph: bool = False
) -> Path:
    """Writes an export of a checkpoint under a new time stamp; a failure leaves nothing behind.

    Args:
      task: gives the head, the record spec and the text signature.
      model: the encoder.
      checkpoint: prefix of the trained weights.
      export_dir: parent of the time-stamped directory.
      frozen_graph: also write `frozen_graph.pb`.

    Returns:
      The directory of the export.

    Raises:
      ExportError: the in-graph tokenizer does not give the featurizer's ids, or the disk is full.
    """
    final = _new_directory(export_dir)
    temporary = export_dir / f"temp-{final.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    export_dir.mkdir(parents=True, exist_ok=True)
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            signatures = _build(task, model)
            check_parity(session, task, task.text_signature())
            saver = v1.train.Saver(v1.global_variables())
            saver.restore(session, checkpoint)
            _save(session, saver, signatures, temporary)
            if frozen_graph:
                _freeze(session, signatures, temporary)
        for name, text in task.text_signature().assets().items():
            (temporary / "assets").mkdir(exist_ok=True)
            (temporary / "assets" / name).write_text(text, encoding="utf-8", newline="\n")
        sync_tree(temporary)
        temporary.replace(final)
        sync_folder(export_dir)
    except (OSError, tf.errors.OpError) as error:
        raise ExportError(
            f"{final}: export failed ({one_line(getattr(error, 'message', error))}); free disk space or check "
            "that the checkpoint is of this task"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    log.info("exported %s to %s", checkpoint, final)
    return final


def _new_directory(export_dir: Path) -> Path:
    """A time stamp that no export has yet: two exports within a second must not collide."""
    stamp = int(time.time())
    while (export_dir / str(stamp)).exists():
        stamp += 1
    return export_dir / str(stamp)


def _build(task: Task, model: ModelSettings) -> dict[str, tuple[Ends, Ends]]:
    """Builds the signatures over one set of variables: name -> (inputs, outputs)."""
    head = task.head(is_training=False)

    def outputs(features: Mapping[str, tf.Tensor]) -> Ends:
        with v1.variable_scope(v1.get_variable_scope(), reuse=v1.AUTO_REUSE):
            encoder = build_encoder(model, head, dict(features), is_training=False, packed=True)
            return head.predictions(head.logits(encoder, dict(features), is_training=False), dict(features))

    names = (*ENCODER_INPUTS, *head.further_inputs)
    ids = {name: v1.placeholder(tf.int32, [None, None], name) for name in names}
    serialized = v1.placeholder(tf.string, [None], "examples")
    text = task.text_signature()
    with tf.name_scope("text"):
        text_inputs = text.inputs()
        text_outputs = text.outputs(outputs(text.features(text_inputs)))
    signatures = {
        "serving_default": (ids, outputs(ids)),
        "examples": ({"examples": serialized}, outputs(_parse(serialized, task.featurizer.spec, names))),
        "text": (text_inputs, text_outputs),
    }
    required = {name: tensor for name, tensor in text_inputs.items() if tensor.op.type == "Placeholder"}
    if len(required) < len(text_inputs):
        # Servers and TensorFlow 2 ask for every input of a signature, whatever its default.
        signatures["single_text"] = (required, text_outputs)
    return signatures


def _parse(serialized: tf.Tensor, spec: FeatureSpec, names: Sequence[str]) -> Ends:
    return parse_batch(serialized, FeatureSpec(tuple(field for field in spec.fields if field.name in names)))


def check_parity(session: Any, task: Task, text: TextSignature) -> None:
    """Compares raw text tokenized in the graph with the featurizer, on texts chosen to tell them apart.

    Raises:
      ExportError: they differ; the text is named.
    """
    with tf.name_scope("parity"):
        inputs = text.inputs()
        features = text.features(inputs)
    values, examples = text.parity_examples()
    feed = {inputs[name]: value for name, value in values.items()}
    found = session.run(features, feed)
    made = zip(examples, task.featurizer.featurize(examples), strict=True)
    for row, (example, window) in enumerate((example, window) for example, windows in made for window in windows):
        length = len(window["input_ids"])
        for name in ENCODER_INPUTS:
            expected = np.asarray(window[name])
            if not np.array_equal(found[name][row][:length], expected) or found[name][row][length:].any():
                raise ExportError(
                    f"the in-graph tokenizer differs from the featurizer in {name} of {one_line(ascii(example))}; "
                    "no export was written; please report this text"
                )


def _save(session: Any, saver: Any, signatures: dict[str, tuple[Ends, Ends]], directory: Path) -> None:
    builder = v1.saved_model.Builder(str(directory))
    definitions = {
        name: v1.saved_model.predict_signature_def(inputs, outputs) for name, (inputs, outputs) in signatures.items()
    }
    tags = [v1.saved_model.tag_constants.SERVING]
    builder.add_meta_graph_and_variables(session, tags, definitions, saver=saver, strip_default_attrs=True)
    builder.save()


def _freeze(session: Any, signatures: dict[str, tuple[Ends, Ends]], directory: Path) -> None:
    ends = {
        name: {
            "inputs": {key: tensor.name for key, tensor in inputs.items()},
            "outputs": {key: tensor.name for key, tensor in outputs.items()},
        }
        for name, (inputs, outputs) in signatures.items()
    }
    nodes = sorted({tensor.op.name for _, outputs in signatures.values() for tensor in outputs.values()})
    frozen = v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), nodes)
    (directory / "frozen_graph.pb").write_bytes(frozen.SerializeToString())
    (directory / "frozen_graph.json").write_text(json.dumps(ends, indent=2) + "\n", encoding="utf-8")
