"""SavedModels with TensorFlow Hub's API for text encoders: an encoder that can be trained on, and its preprocessor.

Source: tensorflow.org/hub/common_saved_model_apis/text (transformer encoders and preprocessors).
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from common.errors import ExportError, one_line
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from processors.graph.pairs import pack_pairs
from processors.graph.parity_texts import PARITY_TEXTS
from processors.graph.tokenizer import in_graph
from processors.records.pair_layout import PairLayout
from tokenization.base import Tokenizer

ENCODER, PREPROCESSOR = "encoder", "preprocessor"
"""Names of the two folders."""

_INPUTS = {"input_word_ids": "input_ids", "input_mask": "input_mask", "input_type_ids": "segment_ids"}
"""Names of the API, and ours."""
_DEFAULT_LENGTH = 128
_POOLER = "bert/pooler/"


def write_encoder(
    config: BertConfig,
    weights: Iterable[tuple[str, np.ndarray]],
    folder: Path,
    vocab_file: Path,
    do_lower_case: bool,
) -> bool:
    """Writes the encoder: called with a dictionary of ids, and `training`.

    Args:
      config: of the encoder.
      weights: its variables by our names, each with its value.
      folder: the new folder.
      vocab_file: goes into its assets.
      do_lower_case: casing of the tokenizer, which goes along as a variable.

    Returns:
      Whether the weights have a pooler; without it `pooled_output` is the vector of the first token.
    """
    variables = {name: tf.Variable(value, name=name) for name, value in weights}
    has_pooler = any(name.startswith(_POOLER) for name in variables)

    @tf.function(autograph=False)
    def call(inputs: Mapping[str, tf.Tensor], training: bool = False, mask: None = None) -> dict[str, Any]:
        del mask  # Keras gives one to layers; the input has its own
        with _reading(variables):
            ids, input_mask, segments = (inputs[name] for name in _INPUTS)
            model = BertModel(config, bool(training), ids, input_mask, segments, scope="bert")
        sequence = model.get_sequence_output()
        pooled = model.get_pooled_output() if has_pooler else sequence[:, 0]
        return {
            "pooled_output": pooled,
            "default": pooled,
            "sequence_output": sequence,
            "encoder_outputs": model.get_all_encoder_layers(),
        }

    spec = {name: tf.TensorSpec([None, None], tf.int32, name) for name in _INPUTS}
    for training in (True, False):
        call.get_concrete_function(spec, training=training, mask=None)
    root = tf.train.Checkpoint()
    root.__call__ = call
    root.variables = root.trainable_variables = list(variables.values())
    root.regularization_losses = []
    root.vocab_file = tf.saved_model.Asset(str(vocab_file))
    root.do_lower_case = tf.Variable(do_lower_case, trainable=False, name="do_lower_case")
    tf.saved_model.save(root, str(folder))
    return has_pooler


@contextlib.contextmanager
def _reading(variables: Mapping[str, tf.Variable]) -> Iterator[None]:
    """Lets graph code have these variables where it asks for them; what the weights lack is left as it is made."""

    def read(getter: Any, name: str, **further: Any) -> tf.Variable | tf.Tensor:
        if name in variables:
            return variables[name]
        del getter
        return tf.zeros(further["shape"], further.get("dtype") or tf.float32)  # a pooler whose output nobody reads

    with tf.compat.v1.variable_scope("", custom_getter=read, reuse=tf.compat.v1.AUTO_REUSE):
        yield


def write_preprocessor(tokenizer: Tokenizer, longest: int, folder: Path) -> None:
    """Writes the preprocessor: called with strings; its parts are `tokenize` and `bert_pack_inputs`.

    Args:
      tokenizer: of the model; of a kind that has a form in a graph.
      longest: most tokens of a sequence.
      folder: the new folder.

    Raises:
      ExportError: it has no such form, or the form gives other ids for a text.
    """
    graph_tokenizer = in_graph(tokenizer)
    resources = graph_tokenizer.prepared() if hasattr(graph_tokenizer, "prepared") else []
    length = min(_DEFAULT_LENGTH, longest)
    texts = tf.TensorSpec([None], tf.string, "texts")
    tokenize = tf.function(graph_tokenizer, input_signature=[texts], autograph=False)
    _check_tokens(tokenize, tokenizer)
    pack = _packing(tokenizer, length)
    ids, special = tokenizer.special_ids, tokenizer.special_tokens
    settings = {
        "vocab_size": len(tokenizer.tokens), "padding_id": ids.pad, "start_of_sequence_id": ids.cls,
        "end_of_segment_id": ids.sep, "mask_id": tokenizer.vocab.get(special.mask, -1),
    }  # fmt: skip
    root, tokens = tf.train.Checkpoint(), tf.train.Checkpoint()
    root.__call__ = tf.function(lambda texts: pack([tokenize(texts)]), input_signature=[texts], autograph=False)
    tokens.__call__ = tokenize
    tokens.get_special_tokens_dict = tf.train.Checkpoint()
    tokens.get_special_tokens_dict.__call__ = tf.function(
        lambda: {name: tf.constant(value, tf.int32) for name, value in settings.items()}, input_signature=[]
    )
    root.tokenize = tokens
    root.bert_pack_inputs = tf.train.Checkpoint()
    root.bert_pack_inputs.__call__ = pack
    root.resources = resources
    root.__call__.get_concrete_function()
    tf.saved_model.save(root, str(folder))


def _packing(tokenizer: Tokenizer, default_length: int) -> Any:
    """Joins the tokens of one or two texts, of words or not, to sequences of equal lengths."""
    layout = PairLayout.of(tokenizer)

    @tf.function(autograph=False)
    def pack(inputs: list[tf.RaggedTensor], seq_length: int | tf.Tensor = default_length) -> dict[str, tf.Tensor]:
        seq_length = tf.convert_to_tensor(seq_length, tf.int32)
        flat = [one.merge_dims(1, -1) if one.ragged_rank > 1 else one for one in inputs]
        first, second = flat[0], flat[-1]
        has_second = tf.fill([first.nrows()], len(flat) > 1)
        packed = pack_pairs(layout, first, second, has_second, seq_length)
        missing = seq_length - tf.shape(packed["input_ids"])[1]
        values = {"input_ids": layout.pad}
        return {
            name: tf.pad(packed[ours], [[0, 0], [0, missing]], constant_values=values.get(ours, 0))
            for name, ours in _INPUTS.items()
        }

    for rank in (1, 2):
        for count in (1, 2):
            specs = [tf.RaggedTensorSpec([None] * (rank + 1), tf.int32, rank) for _ in range(count)]
            pack.get_concrete_function(specs, seq_length=tf.TensorSpec([], tf.int32))
            pack.get_concrete_function(specs)
    return pack


def _check_tokens(tokenize: Any, tokenizer: Tokenizer) -> None:
    """Compares the graph's ids with the tokenizer's, on texts chosen to tell them apart.

    Raises:
      ExportError: they differ; the text is named.
    """
    found = tokenize(tf.constant(PARITY_TEXTS)).to_list()
    for text, ids, expected in zip(PARITY_TEXTS, found, tokenizer.encode(PARITY_TEXTS), strict=True):
        if ids != list(expected):
            raise ExportError(
                f"the in-graph tokenizer differs from the tokenizer in {one_line(ascii(text))}; nothing was written; "
                "please report this text"
            )
