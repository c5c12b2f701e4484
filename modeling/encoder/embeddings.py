"""Vectors of words, segments and positions."""

import tensorflow as tf

from modeling.encoder.layers import create_initializer, layer_norm_and_dropout
from modeling.encoder.shapes import get_shape_list


def embedding_lookup(
    input_ids: tf.Tensor,
    vocab_size: int,
    embedding_size: int = 128,
    initializer_range: float = 0.02,
    word_embedding_name: str = "word_embeddings",
    use_one_hot_embeddings: bool = False,
) -> tuple[tf.Tensor, tf.Variable]:
    """Vectors of ids, and the table they come from.

    Args:
      input_ids: int32 `[B, S]`.
      vocab_size: rows of the table.
      embedding_size: its width H.
      initializer_range: standard deviation of its initializer.
      word_embedding_name: its variable name.
      use_one_hot_embeddings: multiply one-hot vectors with the table, which is faster on TPU, instead of gathering.

    Returns:
      float32 `[B, S, H]` and the variable `[vocab_size, H]`.
    """
    table = tf.compat.v1.get_variable(
        word_embedding_name, [vocab_size, embedding_size], initializer=create_initializer(initializer_range)
    )
    if not use_one_hot_embeddings:
        return tf.gather(table, input_ids), table
    return _one_hot_lookup(input_ids, table), table


def _one_hot_lookup(ids: tf.Tensor, table: tf.Variable) -> tf.Tensor:
    entries, width = table.shape
    one_hot = tf.one_hot(tf.reshape(ids, [-1]), depth=entries)  # [B*S, entries]
    return tf.reshape(tf.matmul(one_hot, table), [*get_shape_list(ids), width])


def embedding_postprocessor(  # noqa: PLR0913 - upstream's signature
    input_tensor: tf.Tensor,
    use_token_type: bool = False,
    token_type_ids: tf.Tensor | None = None,
    token_type_vocab_size: int = 16,
    token_type_embedding_name: str = "token_type_embeddings",
    use_position_embeddings: bool = True,
    position_embedding_name: str = "position_embeddings",
    initializer_range: float = 0.02,
    max_position_embeddings: int = 512,
    dropout_prob: float = 0.1,
) -> tf.Tensor:
    """Word vectors plus those of segment and position, normalized.

    Args:
      input_tensor: float32 `[B, S, H]`.
      use_token_type: add segment vectors.
      token_type_ids: int32 `[B, S]`, needed with `use_token_type`.
      token_type_vocab_size: number of segments.
      token_type_embedding_name: variable name.
      use_position_embeddings: add position vectors.
      position_embedding_name: variable name.
      initializer_range: standard deviation of the initializers.
      max_position_embeddings: the longest sequence.
      dropout_prob: probability of dropping a value.

    Returns:
      float32 `[B, S, H]`.

    Raises:
      ValueError: segments are missing, or the sequence is longer than there are positions.
    """
    output = input_tensor
    if use_token_type:
        if token_type_ids is None:
            raise ValueError("use_token_type needs token_type_ids")
        output += token_type_embeddings(
            token_type_ids, token_type_vocab_size, output.shape[-1], initializer_range, token_type_embedding_name
        )
    if use_position_embeddings:
        output += position_embeddings(output, max_position_embeddings, initializer_range, position_embedding_name)
    return layer_norm_and_dropout(output, dropout_prob)


def token_type_embeddings(
    token_type_ids: tf.Tensor, entries: int, width: int, initializer_range: float, name: str = "token_type_embeddings"
) -> tf.Tensor:
    """Vectors `[B, S, H]` of segments; by one-hot vectors, which is fastest for so few."""
    table = tf.compat.v1.get_variable(name, [entries, width], initializer=create_initializer(initializer_range))
    return _one_hot_lookup(token_type_ids, table)


def position_embeddings(
    tensor: tf.Tensor,
    max_positions: int,
    initializer_range: float,
    name: str = "position_embeddings",
    offset: int = 0,
) -> tf.Tensor:
    """Vectors `[1, S, H]` of the positions of a tensor `[B, S, H]`, the first of which is row `offset` of the table.

    Raises:
      ValueError: S is known and larger than `max_positions` without the offset.
    """
    seq_length, width = get_shape_list(tensor, expected_rank=3)[1:]
    if isinstance(seq_length, int) and seq_length > max_positions - offset:
        beside = f", of which {offset} are for padding" if offset else ""
        raise ValueError(f"sequence length {seq_length} exceeds max_position_embeddings {max_positions}{beside}")
    table = tf.compat.v1.get_variable(name, [max_positions, width], initializer=create_initializer(initializer_range))
    # A length known only at run time is checked by the slice itself.
    return tf.slice(table, [offset, 0], tf.stack([seq_length, width]))[tf.newaxis]


def gathered_position_embeddings(
    position_ids: tf.Tensor, max_positions: int, width: int, initializer_range: float, name: str = "position_embeddings"
) -> tf.Tensor:
    """Vectors `[B, S, H]` of given positions int32 `[B, S]`, each below `max_positions`; H is the width."""
    table = tf.compat.v1.get_variable(name, [max_positions, width], initializer=create_initializer(initializer_range))
    # The reshape makes the gradient a table and no list of rows: as with consecutive positions, it is added up before
    # its norm is taken.
    return tf.gather(tf.reshape(table, [max_positions, width]), position_ids)
