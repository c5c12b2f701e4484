"""Shapes that are partly known when the graph is built, and matrices of tokens."""

from collections.abc import Sequence

import tensorflow as tf

Dimensions = list  # int where the dimension is static, scalar int32 tensor where it is not


def assert_rank(tensor: tf.Tensor, expected_rank: int | Sequence[int], name: str | None = None) -> None:
    """Check the rank of a tensor while the graph is built.

    Args:
      tensor: any tensor of known rank.
      expected_rank: the rank, or several that are allowed.
      name: what to call the tensor in the message; its own name by default.

    Raises:
      ValueError: the rank is another.
    """
    allowed = {expected_rank} if isinstance(expected_rank, int) else set(expected_rank)
    if tensor.shape.rank not in allowed:
        expected = " or ".join(str(rank) for rank in sorted(allowed))
        raise ValueError(f"{name or tensor.name}: rank {tensor.shape.rank} (shape {tensor.shape}), expected {expected}")


def get_shape_list(
    tensor: tf.Tensor, expected_rank: int | Sequence[int] | None = None, name: str | None = None
) -> Dimensions:
    """Dimensions of a tensor: Python numbers where static, scalar tensors where only known at run time.

    Args:
      tensor: any tensor of known rank.
      expected_rank: rank(s) to insist on.
      name: what to call the tensor in the message.

    Raises:
      ValueError: the rank is another than expected.
    """
    if expected_rank is not None:
        assert_rank(tensor, expected_rank, name)
    static = tensor.shape.as_list()
    if None not in static:
        return static
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(static)]


def reshape_to_matrix(input_tensor: tf.Tensor) -> tf.Tensor:
    """View a tensor of rank 2 or more as a matrix `[rows, last dimension]`.

    Raises:
      ValueError: the rank is below 2.
    """
    rank = input_tensor.shape.rank
    if rank is None or rank < 2:
        raise ValueError(f"{input_tensor.name}: shape {input_tensor.shape}, expected a rank of at least 2")
    return input_tensor if rank == 2 else tf.reshape(input_tensor, [-1, get_shape_list(input_tensor)[-1]])


def reshape_from_matrix(output_tensor: tf.Tensor, orig_shape_list: Dimensions) -> tf.Tensor:
    """Undo `reshape_to_matrix`, keeping the width of the matrix.

    Args:
      output_tensor: `[rows, width]`.
      orig_shape_list: `get_shape_list` of the tensor that was flattened.

    Returns:
      `[..., width]`.
    """
    if len(orig_shape_list) == 2:
        return output_tensor
    width = get_shape_list(output_tensor)[-1]
    return tf.reshape(output_tensor, [*orig_shape_list[:-1], width])
