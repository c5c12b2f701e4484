"""Operations on the code points of texts, by the tables of `code_points`.

Shapes: N texts, T code points of all texts (flat).
"""

import tensorflow as tf

from processors.graph.code_points import BLOCK_SIZE, CASED, PLAIN, SELF, BlockArray, Expansions

_CAPITAL_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C2


def expand(expansions: Expansions, codes: tf.RaggedTensor) -> tf.RaggedTensor:
    """Replace each code point [N, (T)] by those that it becomes."""
    rows = tf.RaggedTensor.from_row_splits(expansions.values, expansions.row_splits, validate=False)
    expanded = tf.gather(rows, look_up(expansions.row_of, codes.values))  # [T, (expansion)]
    unchanged = tf.gather(codes.values, expanded.value_rowids())
    values = tf.where(tf.equal(expanded.values, SELF), unchanged, expanded.values)
    return tf.RaggedTensor.from_row_splits(values, tf.gather(expanded.row_splits, codes.row_splits), validate=False)


def has_capital_sigma(codes: tf.RaggedTensor) -> tf.Tensor:
    """Whether `with_final_sigmas` can change any text."""
    return tf.reduce_any(tf.equal(codes.values, _CAPITAL_SIGMA))


def with_final_sigmas(codes: tf.RaggedTensor, sigma_class: tf.Tensor) -> tf.Tensor:
    """Replace capital sigmas at the ends of words by small final ones: [T].

    A sigma is final if the nearest character before it that is not case-ignorable is cased, and the nearest such one
    after it is not. Without the ignorable characters these are its neighbours.
    """
    is_kept = tf.logical_or(tf.equal(sigma_class, CASED), tf.equal(sigma_class, PLAIN))
    kept = tf.where(is_kept)[:, 0]
    text = tf.gather(codes.value_rowids(), kept)
    is_cased = tf.equal(tf.gather(sigma_class, kept), CASED)
    same_text = tf.equal(text[1:], text[:-1])
    follows_cased = tf.concat([[False], is_cased[:-1] & same_text], axis=0)
    precedes_cased = tf.concat([is_cased[1:] & same_text, [False]], axis=0)
    is_sigma = tf.equal(tf.gather(codes.values, kept), _CAPITAL_SIGMA)
    final = tf.boolean_mask(kept, is_sigma & follows_cased & ~precedes_cased)
    updates = tf.fill(tf.shape(final), _FINAL_SIGMA)
    return tf.tensor_scatter_nd_update(codes.values, final[:, tf.newaxis], updates)


def look_up(array: BlockArray, codes: tf.Tensor) -> tf.Tensor:
    """Values of an array over code points: [T]."""
    block = tf.gather(array.block_of, codes // BLOCK_SIZE)
    return tf.gather(array.values, block * BLOCK_SIZE + codes % BLOCK_SIZE)
