"""The weights that a run begins with: read into its graph, or compared with its model before there is one."""

import copy
import dataclasses
import re
from collections.abc import Callable, Collection, Mapping

import tensorflow as tf

from common.errors import CheckpointError
from common.run_directory import description_of
from modeling.checkpoints.label_order import UNCHANGED, LabelOrder
from modeling.checkpoints.locate import locate_checkpoint
from modeling.checkpoints.restore import (
    RestoreReport,
    compare_with_checkpoint,
    family_of_names,
    initialize_from_checkpoint,
)
from modeling.checkpoints.sources import Shapes
from modeling.checkpoints.variable_names import grouped
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.heads.base import Reader
from modeling.insertions import is_inserted
from modeling.settings import ModelSettings

_ENCODER, _LAYERS, _POOLER = "bert/", "bert/encoder/layer_", "bert/pooler/"
_LAYER = re.compile(_LAYERS + r"(\d+)/")
_CONFIGURATION = "use the configuration that came with the checkpoint"


def load_weights(
    init_checkpoint: str,
    replaceable: Collection[str] = (),
    starts: Callable[[Collection[str]], Mapping[str, str]] | None = None,
    is_cut: bool = False,
    label_order: LabelOrder = UNCHANGED,
    added_rows: int = 0,
) -> RestoreReport:
    """Lets the graph's variables start from a checkpoint that has the whole encoder.

    Args:
      init_checkpoint: as for `initialize_from_checkpoint`.
      replaceable: `Reader.replaceable` of the head, whose shape may differ; default none.
      starts: `Reader.starts` of the head; default none.
      is_cut: the encoder ends below the checkpoint's last layer; the layers above are not read.
      label_order: as for `initialize_from_checkpoint`; default as they are.
      added_rows: as for `initialize_from_checkpoint`; default none.

    Returns:
      What was restored, what is new, what was left over.

    Raises:
      CheckpointError: it cannot be read, or does not fit the model configuration.
    """
    _refuse_part(init_checkpoint)
    variables = tf.compat.v1.trainable_variables()
    copies = starts([variable.op.name for variable in variables]) if starts else {}
    report = initialize_from_checkpoint(variables, init_checkpoint, replaceable, copies, label_order, added_rows)
    return _whole(report, is_cut)


def load_first_weights(model: ModelSettings, head: Reader) -> RestoreReport:
    """As `load_weights`, from the `init_checkpoint` of a model, for its head."""
    if model.init_checkpoint is None:
        raise ValueError("the model has no init_checkpoint")
    order = LabelOrder(model.label_places, head.label_axes)
    return load_weights(model.init_checkpoint, head.replaceable, head.starts, model.is_cut, order, model.added_rows)


def check_weights(config: BertConfig, init_checkpoint: str, is_cut: bool = False, added_rows: int = 0) -> None:
    """Reads a checkpoint that is to be loaded later, and compares it with the encoder.

    Args:
      config: of the encoder.
      init_checkpoint, is_cut, added_rows: as for `load_weights`.

    Raises:
      CheckpointError: as for `load_weights`.
    """
    _refuse_part(init_checkpoint)
    stated = family_of_names(init_checkpoint)
    if stated is not None and stated != config.family:
        raise CheckpointError(
            f"{locate_checkpoint(init_checkpoint).path}: its variables have the names of {stated.title}, but the model "
            f"configuration is of {config.family.title}; give the configuration of the checkpoint, with "
            f'"model_type": "{stated.model_type}"'
        )
    _whole(compare_with_checkpoint(_encoder_shapes(config), init_checkpoint, added_rows=added_rows), is_cut)


def _encoder_shapes(config: BertConfig) -> Shapes:
    """Shapes of the encoder's variables. Its layers are alike: one is built, which takes a fraction of the time."""
    first = copy.deepcopy(config)
    first.num_hidden_layers, first.num_hidden_groups = 1, None
    key = repr(dataclasses.asdict(first))
    if key not in _BUILT:
        with tf.Graph().as_default():
            ids = tf.compat.v1.placeholder(tf.int32, [None, None])
            BertModel(first, is_training=False, input_ids=ids, scope="bert")
            _BUILT[key] = {one.op.name: tuple(one.shape.as_list()) for one in tf.compat.v1.trainable_variables()}
    return {
        name.replace("/layer_0/", f"/layer_{layer}/"): shape
        for layer in range(config.num_hidden_groups or config.num_hidden_layers)
        for name, shape in _BUILT[key].items()
    }


_BUILT: dict[str, Shapes] = {}
"""Shapes by configuration: a program that gives many commands asks for the same ones."""


def _whole(report: RestoreReport, is_cut: bool = False) -> RestoreReport:
    """The report of a checkpoint that has the whole encoder.

    Raises:
      CheckpointError: it has not, or its encoder has more than the model's; the reason is named.
    """
    # The pooler is no part of every published encoder.
    missing = [
        name
        for name in report.new
        if name.startswith(_ENCODER) and not name.startswith(_POOLER) and not is_inserted(name)
    ]
    above = max(_layers([*report.restored, *report.new]), default=0) if is_cut else None
    surplus = [name for name in report.unused if name.startswith(_LAYERS)]
    surplus = [name for name in surplus if above is None or max(_layers([name])) <= above]
    if not missing and not surplus:
        return report
    expected = _layers([*report.restored, *report.new])
    found = _layers([*(name for name in report.restored if name not in missing), *surplus])
    if found != expected and {*_layers(missing), *_layers(surplus)} == found ^ expected:
        raise CheckpointError(
            f"{report.source}: holds {len(found)} encoder layers, but the model configuration has {len(expected)} "
            f"(num_hidden_layers); {_CONFIGURATION}"
        )
    if missing:
        raise CheckpointError(
            f"{report.source}: lacks variables of the encoder: {grouped(missing)}; it is incomplete, or of another "
            f"kind of model than the configuration says; copy it again, or {_CONFIGURATION}"
        )
    raise CheckpointError(
        f"{report.source}: has variables in its encoder layers that this encoder does not compute: {grouped(surplus)}; "
        "without them it would be another model; use a checkpoint without them"
    )


def _refuse_part(init_checkpoint: str) -> None:
    """Refuses the checkpoint of a run that leaves its base out.

    Raises:
      CheckpointError: it is one.
    """
    source = locate_checkpoint(init_checkpoint).path
    base = (description_of(source).get("base") or {}).get("path")
    if base:
        raise CheckpointError(
            f"{source}: holds only what was trained in or on {base}; give that as --init_checkpoint, which is the "
            "model without it; convert_checkpoint.py writes LoRA with --format=peft, adapters with --format=adapters"
        )


def _layers(names: Collection[str]) -> set[int]:
    """Numbers of the layers that variables are of."""
    return {int(match[1]) for match in map(_LAYER.match, names) if match}
