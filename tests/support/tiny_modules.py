"""A tiny module of TensorFlow Hub in the format of TensorFlow 1: a real SavedModel with its variables and its graph."""

from pathlib import Path

import tensorflow as tf

from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from tests.support import tiny

v1 = tf.compat.v1
CONFIG = BertConfig(
    vocab_size=len(tiny.TOKENS), hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=16,
    max_position_embeddings=12, type_vocab_size=2,
)  # fmt: skip


def write(folder: Path, do_lower_case: bool = False) -> Path:
    """Writes a module of a random encoder, with the signatures of Google's.

    Args:
      folder: not there yet.
      do_lower_case: what the module says of its text.
    """
    vocab_file = folder.parent / "vocab.txt"
    vocab_file.write_text("".join(f"{token}\n" for token in tiny.TOKENS))
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        fed = {name: v1.placeholder(tf.int32, [None, None]) for name in ("input_ids", "input_mask", "segment_ids")}
        model = BertModel(CONFIG, False, fed["input_ids"], fed["input_mask"], fed["segment_ids"], scope="bert")
        vocabulary = tf.constant(str(vocab_file))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, vocabulary)
        given = {"pooled_output": model.get_pooled_output(), "sequence_output": model.get_sequence_output()}
        stated = {"vocab_file": vocabulary, "do_lower_case": tf.constant(do_lower_case)}
        told = {name: v1.saved_model.build_tensor_info(tensor) for name, tensor in stated.items()}
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(
            session, [], assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS), signature_def_map={
                "tokens": v1.saved_model.predict_signature_def(fed, given),
                "tokenization_info": v1.saved_model.build_signature_def(outputs=told),
            },
        )  # fmt: skip
        builder.save()
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return folder
