"""`tokenization.natural_text` in a graph."""

import tensorflow as tf

from tokenization.natural_text import RULES


def natural_text(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Texts of the tokens of a WordPiece tokenizer.

    Args:
      tokens: string `[N, (tokens)]`, special tokens left out.

    Returns:
      string `[N]`.
    """
    texts = tf.strings.reduce_join(tokens, axis=-1, separator=" ")
    for pattern, replacement in RULES:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return tf.strings.strip(texts)
