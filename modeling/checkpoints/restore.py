"""Reading weights: what a checkpoint holds, what of it fits the model, and a report of both directions."""

import collections
import dataclasses
import re
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from common.errors import CheckpointError, closest
from modeling.checkpoints.added_rows import OF_TOKENS, lengthened, with_rows
from modeling.checkpoints.label_order import UNCHANGED, LabelOrder
from modeling.checkpoints.object_based import ObjectCheckpoint
from modeling.checkpoints.sources import (
    Shapes,
    as_float32,
    open_checkpoint,
    save_tensors,
    temporary_checkpoint,
    verified_values,
)
from modeling.checkpoints.variable_names import (
    GLOBAL_STEP,
    WORD_EMBEDDINGS,
    grouped,
    is_bookkeeping,
    require_google_style,
    some,
)
from modeling.families.base import Family
from modeling.families.names import GoogleNames


@dataclasses.dataclass(frozen=True)
class RestoreReport:
    """What came from a checkpoint and what did not.

    Args:
      source: the checkpoint.
      restored: model variables that take their value from it.
      new: model variables that it does not hold; they keep their initial values.
      unused: variables of the checkpoint that the model does not have, other than optimizer slots and step counters.
      reshaped: model variables that it holds in another shape and that may start anew; they keep their initial values.
      copied: model variables that it does not hold, and that take the value of another variable of it.
    """

    source: str
    restored: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]
    reshaped: tuple[str, ...] = ()
    copied: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line: `restored 39/41; new: output_weights, output_bias; unused: cls/predictions/* (5)`."""
        all_names = (*self.restored, *self.copied, *self.new, *self.reshaped)
        parts = [f"restored {len(self.restored)}/{len(all_names)}"]
        groups = (
            ("copied", self.copied),
            ("new", self.new),
            ("new, as the shape differs", self.reshaped),
            ("unused", self.unused),
        )
        for label, names in groups:
            if names:
                parts.append(f"{label}: {grouped(names)}")
        return "; ".join(parts)


def checkpoint_variables(init_checkpoint: str) -> Shapes:
    """Names and shapes of the variables in a checkpoint, under the names of the graph whatever they are in the file.

    Args:
      init_checkpoint: prefix, file or directory; see `locate.locate_checkpoint`.

    Raises:
      CheckpointError: it is not found or cannot be read.
    """
    return open_checkpoint(init_checkpoint).shapes()


def read_tensor(init_checkpoint: str, name: str) -> np.ndarray:
    """Value of one variable in a checkpoint.

    Args:
      init_checkpoint: prefix, file or directory.
      name: Google's name of the variable, without `:0`.

    Raises:
      CheckpointError: the checkpoint or the variable is not found, or the file is truncated.
    """
    source = open_checkpoint(init_checkpoint)
    shapes = source.shapes()
    if name not in shapes:
        raise CheckpointError(f"{source.path}: no variable {name}, {closest(name, shapes)}")
    return source.tensor(name)


def family_of_names(init_checkpoint: str) -> Family | None:
    """The family whose names a checkpoint has; None where they are those of the graph, which any family may have.

    Raises:
      CheckpointError: the checkpoint is not found or cannot be read.
    """
    return open_checkpoint(init_checkpoint).family


def verify_checkpoint(init_checkpoint: str) -> None:
    """Reads every variable of a checkpoint once, checksums included.

    Args:
      init_checkpoint: prefix, file or directory.

    Raises:
      CheckpointError: the checkpoint is not found, truncated or damaged.
    """
    source = open_checkpoint(init_checkpoint)
    for name in source.shapes():
        source.tensor(name)


def get_assignment_map_from_checkpoint(
    tvars: Sequence[tf.Variable], init_checkpoint: str
) -> tuple[dict[str, str], dict[str, int]]:
    """Variables that a model and a checkpoint have in common.

    Args:
      tvars: variables of the model.
      init_checkpoint: prefix, file or directory.

    Returns:
      A map from checkpoint to model names, for `tf.compat.v1.train.init_from_checkpoint`, and a dict whose keys are
      the common names with and without `:0`.

    Raises:
      CheckpointError: the checkpoint is not found or cannot be read.

    Source: `modeling.get_assignment_map_from_checkpoint` of google-research/bert.
    """
    model = {_name_of(variable) for variable in tvars}
    common = [name for name in checkpoint_variables(init_checkpoint) if name in model]
    assignment = collections.OrderedDict((name, name) for name in common)
    return assignment, {key: 1 for name in common for key in (name, name + ":0")}


def initialize_from_checkpoint(
    variables: Iterable[tf.Variable],
    init_checkpoint: str,
    replaceable: Collection[str] = (),
    starts: Mapping[str, str] = types.MappingProxyType({}),
    label_order: LabelOrder = UNCHANGED,
    added_rows: int = 0,
) -> RestoreReport:
    """Let variables start from a checkpoint's values, matched by name.

    Works wherever `init_from_checkpoint` does: in a `model_fn`, under a strategy, in a TPU scaffold function. Every
    value that will be needed is read here, so that a damaged file is found before training and not in the midst of it.

    Args:
      variables: variables of the model, made by `get_variable`.
      init_checkpoint: a TensorFlow checkpoint or Hugging Face's safetensors, by prefix, file or directory.
      replaceable: names that start anew where the checkpoint has them in another shape: heads, whose shape follows
        the labels; default none.
      starts: of variables that the checkpoint may lack, the name of another whose value they start from; default none.
      label_order: how the labels of the checkpoint's head lie in the model's; default as they are.
      added_rows: how many tokens the model has beyond the checkpoint's; default none.

    Returns:
      What was restored, what is new, what was left over.

    Raises:
      CheckpointError: the checkpoint is not found, cannot be read, has none of the encoder's variables, or one of them
        has another shape.
    """
    model = {_name_of(variable): tuple(variable.shape.as_list()) for variable in variables}
    report, prefix, assignment = _compared(model, init_checkpoint, replaceable, added_rows)
    report = _with_copies(report, starts)
    in_file = {name: source for source, name in assignment.items()}
    grown = [name for name in report.restored if added_rows and name in OF_TOKENS]
    reordered = [name for name in report.restored if label_order.moves(name)]
    changed = [*grown, *reordered]
    tf.compat.v1.train.init_from_checkpoint(prefix, {in_file[name]: name for name in in_file if name not in changed})
    for name in report.copied:
        tf.compat.v1.train.init_from_checkpoint(prefix, {in_file[starts[name]]: name})
    if changed:
        tensors = dict(read_tensors(init_checkpoint, changed))
        values = {name: lengthened(tensors[name], added_rows) for name in grown}
        values |= {name: label_order.arranged(name, tensors[name]) for name in reordered}
        prefix = temporary_checkpoint(values)
        tf.compat.v1.train.init_from_checkpoint(prefix, {name: name for name in changed})
    return report


def _with_copies(report: RestoreReport, starts: Mapping[str, str]) -> RestoreReport:
    copied = tuple(name for name, other in starts.items() if name in report.new and other in report.restored)
    new = tuple(name for name in report.new if name not in copied)
    return dataclasses.replace(report, new=new, copied=copied)


def compare_with_checkpoint(
    model: Shapes,
    init_checkpoint: str,
    replaceable: Collection[str] = (),
    starts: Mapping[str, str] = types.MappingProxyType({}),
    added_rows: int = 0,
) -> RestoreReport:
    """What `initialize_from_checkpoint` would do for variables of these shapes; it reads the values as well.

    Args:
      model: shapes of a model's variables, by name.
      init_checkpoint, replaceable, starts, added_rows: as for `initialize_from_checkpoint`.

    Raises:
      CheckpointError: as for `initialize_from_checkpoint`.
    """
    return _with_copies(_compared(model, init_checkpoint, replaceable, added_rows)[0], starts)


def _compared(
    model: Shapes, init_checkpoint: str, replaceable: Collection[str], added_rows: int
) -> tuple[RestoreReport, str, dict[str, str]]:
    """The report, the prefix of a TensorFlow checkpoint whose values have been read, and its names with the model's."""
    source = open_checkpoint(init_checkpoint)
    shapes = with_rows(source.shapes(), added_rows)
    reshaped = tuple(name for name in model if name in replaceable and shapes.get(name, model[name]) != model[name])
    restored = tuple(name for name in model if name in shapes and name not in reshaped)
    require_google_style(model, shapes, source.path)
    _require_encoder(model, shapes, source.path)
    _require_equal_shapes({name: model[name] for name in restored}, shapes, source.path)
    report = RestoreReport(
        source=source.path,
        restored=restored,
        new=tuple(name for name in model if name not in shapes),
        unused=tuple(sorted(name for name in shapes if name not in model and not is_bookkeeping(name, shapes))),
        reshaped=reshaped,
    )
    return report, *verified_values(source, restored)


def write_weights(init_checkpoint: str, prefix: str, names: GoogleNames | None = None) -> None:
    """Writes a TensorFlow checkpoint of weights, in float32, and step, without the optimizer's slots: a third of it.

    Args:
      init_checkpoint: prefix, file or directory of what to copy.
      prefix: of the new checkpoint, in a directory that exists.
      names: what variables are called in it; by default as in the graph.

    Raises:
      CheckpointError: the checkpoint is not found, truncated or damaged.
    """
    source = open_checkpoint(init_checkpoint)
    shapes = source.shapes()
    kept = [name for name in shapes if name == GLOBAL_STEP or not is_bookkeeping(name, shapes)]
    save_tensors({names.theirs(name) if names else name: as_float32(source.tensor(name)) for name in kept}, prefix)


def has_weights_of(prefix: str, init_checkpoint: str) -> bool:
    """Whether `write_weights` has written this checkpoint, whole, from one that has the same values."""
    try:
        written, source = open_checkpoint(prefix), open_checkpoint(init_checkpoint)
        shapes = source.shapes()
        kept = [name for name in shapes if name == GLOBAL_STEP or not is_bookkeeping(name, shapes)]
        same = written.shapes() == {name: shapes[name] for name in kept}
        return same and all(np.array_equal(written.tensor(name), source.tensor(name)) for name in kept)
    except CheckpointError:
        return False


def read_tensors(init_checkpoint: str, names: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Variables of a checkpoint with their values, one after the other.

    Args:
      init_checkpoint: prefix, file or directory.
      names: Google's names of variables that it holds.

    Raises:
      CheckpointError: the checkpoint is not found, truncated or damaged.
    """
    source = open_checkpoint(init_checkpoint)
    for name in names:
        yield name, source.tensor(name)


def attention_heads_of(init_checkpoint: str) -> int | None:
    """How many heads attention has, where a checkpoint's shapes tell: those of TensorFlow 2; None where they do not.

    Raises:
      CheckpointError: the checkpoint is not found or cannot be read.
    """
    source = open_checkpoint(init_checkpoint)
    return source.attention_heads() if isinstance(source, ObjectCheckpoint) else None


def casing_of_variables(init_checkpoint: str) -> bool | None:
    """Whether text is lower-cased, where a checkpoint has a variable for it; None where it has none.

    Raises:
      CheckpointError: the checkpoint is not found or cannot be read.
    """
    source = open_checkpoint(init_checkpoint)
    return source.casing() if isinstance(source, ObjectCheckpoint) else None


def left_out(init_checkpoint: str) -> dict[str, str]:
    """Why a tensor of a checkpoint is not among its `checkpoint_variables`, by its name in the file.

    Raises:
      CheckpointError: the checkpoint is not found or cannot be read.
    """
    source = open_checkpoint(init_checkpoint)
    return source.left_out()


def _require_encoder(model: Shapes, shapes: Mapping[str, tuple[int, ...]], path: str) -> None:
    encoder = [name for name in model if name.startswith("bert/")] or list(model)
    if any(name in shapes for name in encoder):
        return
    held = [name for name in sorted(shapes) if not is_bookkeeping(name, shapes)]
    raise CheckpointError(
        f"{path}: none of the model's {len(encoder)} encoder variables is in this checkpoint; the model has "
        f"{some(encoder)}, the checkpoint has {some(held)}; use a BERT checkpoint in Google's or Hugging Face's names"
    )


def _require_equal_shapes(model: Shapes, shapes: Shapes, path: str) -> None:
    clashes = [name for name in model if model[name] != shapes[name]]
    if not clashes:
        return
    name = clashes[0]
    rows = f"{model[name]} in the model, {shapes[name]} in the checkpoint"
    if name == WORD_EMBEDDINGS and model[name][1:] == shapes[name][1:]:
        raise CheckpointError(
            f"{path}: its vocabulary has {shapes[name][0]} entries ({name}), but vocab_size of the model configuration "
            f"is {model[name][0]}; use the configuration and the vocabulary file that came with the checkpoint"
        )
    more = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
    raise CheckpointError(
        f"{path}: {name} has shape {rows}{more}; use the configuration that came with the checkpoint, or the labels it "
        "was trained with"
    )


def _name_of(variable: tf.Variable) -> str:
    return re.sub(r":\d+$", "", variable.name)
