"""Where the variables of a graph start, and how each is trained."""

import logging
from collections.abc import Collection

import tensorflow as tf

from common.errors import CheckpointError
from modeling.checkpoints.first_weights import load_first_weights
from modeling.checkpoints.restore import checkpoint_variables, initialize_from_checkpoint
from modeling.heads.base import Reader
from modeling.parameter_groups import HEAD, ParameterGroup, ParameterTable
from modeling.settings import ModelSettings, UpdateRule
from modeling.training.freezing import FrozenParts
from modeling.training.rates import rates_by_depth

log = logging.getLogger(__name__)
v1 = tf.compat.v1


def warm_start(model: ModelSettings, head: Reader) -> tuple[str, ...]:
    """Lets the graph's variables start from the model's weights, where it has any.

    Returns:
      Names of the variables that they do not hold.

    Raises:
      CheckpointError: they cannot be read, or do not fit the model configuration.
    """
    if model.init_checkpoint is None:
        return ()
    if not any(variable.op.name.startswith("bert/") for variable in v1.trainable_variables()):
        return _start_of_heads(model.init_checkpoint)
    report = load_first_weights(model, head)
    log.info("%s: %s", model.init_checkpoint, report.summary())
    if model.added_rows:
        log.info("%d rows for further tokens start as the mean of those there", model.added_rows)
    if model.init_adapter is not None:
        _start_from_adapter(model.init_adapter)
    return (*report.new, *report.reshaped)


def _start_of_heads(init_checkpoint: str) -> tuple[str, ...]:
    """Lets a head without an encoder start from what a checkpoint has of it; gives the names that it lacks."""
    graph = {variable.op.name: tuple(variable.shape.as_list()) for variable in v1.trainable_variables()}
    shapes = checkpoint_variables(init_checkpoint)
    held = [name for name, shape in graph.items() if shapes.get(name) == shape]
    if held:
        initialize_from_checkpoint([v for v in v1.trainable_variables() if v.op.name in held], init_checkpoint)
    return tuple(name for name in graph if name not in held)


def _start_from_adapter(prefix: str) -> None:
    """Lets what is inserted start from given values.

    Raises:
      CheckpointError: the model lacks a variable of that name and shape: a part would be lost.
    """
    shapes = checkpoint_variables(prefix)
    graph = {variable.op.name: tuple(variable.shape.as_list()) for variable in v1.trainable_variables()}
    for name, shape in shapes.items():
        if graph.get(name) != shape:
            raise CheckpointError(
                f"--init_adapter: holds {name} of shape {shape}, but this model has {graph.get(name, 'none')}"
            )
    v1.train.init_from_checkpoint(prefix, {name: name for name in shapes})
    log.info("--init_adapter: restored %d variables", len(shapes))


def table_of(
    model: ModelSettings,
    head: Reader,
    frozen: FrozenParts,
    rule: UpdateRule,
    rates: tuple[ParameterGroup, ...] = (),
    new: Collection[str] = (),
) -> ParameterTable:
    """How each variable is trained.

    What `--freeze` says comes first, then what is new in a base that otherwise stays, then what the parts themselves
    say, then rates that flags give.

    Args:
      model: its insertions freeze the base.
      head: may say more of its own variables.
      frozen: parts of the encoder.
      rule: gives the weight decay.
      rates: groups with rates.
      new: names of variables that the first weights lack.
    """
    inserted = model.insertions.groups() if model.insertions else ()
    if inserted:
        inserted = (*(ParameterGroup("new", f"^{name}$", is_trained=True) for name in new), *inserted)
    groups = (*frozen.groups(), *inserted, *head.parameter_groups, *model.reading.groups(), *rates)
    return ParameterTable(groups, rule.weight_decay)


def group_rates(
    model: ModelSettings, learning_rate: float, head_learning_rate: float | None, decay: float | None
) -> tuple[ParameterGroup, ...]:
    """The rates that flags give: of heads, then by depth."""
    heads = () if head_learning_rate is None else (ParameterGroup("head", HEAD, learning_rate=head_learning_rate),)
    by_depth = () if decay is None else rates_by_depth(decay, learning_rate, model.bert_config.num_hidden_layers)
    return (*heads, *by_depth)


def warn_of_random_weights(table: ParameterTable, frozen: FrozenParts, new: Collection[str]) -> None:
    """Warns if `--freeze` keeps what no checkpoint has given."""
    kept = [name for name in new if not table.of(name).is_trained]
    if kept:
        log.warning("--freeze=%s keeps random weights: the checkpoint lacks %s; train them", frozen, ", ".join(kept))


def report(table: ParameterTable, model: ModelSettings, frozen: FrozenParts, learning_rate: float | None) -> None:
    """Logs which parameters are trained, and at which rates, where the table says anything of it."""
    # Every replica builds the graph, and one line says it for all of them.
    if not table.groups or tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group) != 0:
        return
    variables = v1.trainable_variables()
    reasons = ([f"frozen: {frozen}"] if frozen else []) + ([str(model.insertions)] if model.insertions else [])
    if reasons:
        log.info("%s", table.summary(variables, "; ".join(reasons)))
    if table.rates() and learning_rate is not None:
        log.info("%s", "; ".join(table.lines(variables, learning_rate)))


def keep_base_out_of_checkpoints(table: ParameterTable, new: Collection[str]) -> None:
    """Makes frozen variables local ones: checkpoints leave them out, and every session reads them from the base.

    Args:
      table: says what is frozen.
      new: names of variables that the base lacks; they are saved, frozen or not.
    """
    saved = v1.get_collection_ref(v1.GraphKeys.GLOBAL_VARIABLES)
    names = {
        variable.op.name
        for variable in v1.trainable_variables()
        if not table.of(variable.op.name).is_trained and variable.op.name not in new
    }
    base = [variable for variable in saved if variable.op.name in names]
    saved[:] = [variable for variable in saved if variable.op.name not in names]
    v1.get_collection_ref(v1.GraphKeys.LOCAL_VARIABLES).extend(base)
