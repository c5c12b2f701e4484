"""Saves small random models of tf-models-official as TensorFlow 2 checkpoints, with their outputs.

    python tests/data/model_garden/make.py           make every folder again
    python tests/data/model_garden/make.py FOLDER    export a module of TensorFlow Hub there, with its outputs

It needs tf-models-official, and nothing of this project.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

HERE = Path(__file__).resolve().parent
LENGTHS = (7, 3, 9)
MASK = (np.arange(9) < np.array(LENGTHS)[:, None]).astype(np.int32)
IDS = np.random.default_rng(1).integers(5, 20, MASK.shape, np.int32) * MASK
SEGMENTS = np.random.default_rng(2).integers(0, 2, MASK.shape, np.int32) * MASK
POSITIONS = np.array([[1, 2], [0, 2], [3, 4]], np.int32)
SIZES = {"vocab_size": 30, "hidden_size": 8, "num_layers": 3, "num_attention_heads": 2, "type_vocab_size": 2}


def fed() -> dict[str, tf.Tensor]:
    values = {"input_word_ids": IDS, "input_mask": MASK, "input_type_ids": SEGMENTS}
    return {name: tf.constant(value) for name, value in values.items()}


def randomize(model) -> None:
    numbers = np.random.default_rng(3)
    for variable in model.variables:
        variable.assign(numbers.normal(0.1 * (variable.shape.rank == 1), 0.4, variable.shape))


def encoder_of(name: str):
    from official.nlp.modeling import networks

    further = {"BertEncoder": {"intermediate_size": 12}, "BertEncoderV2": {"inner_dim": 12}}
    further["AlbertEncoder"] = {"intermediate_size": 12, "embedding_width": 6}
    encoder = getattr(networks, name)(**SIZES, max_sequence_length=16, dict_outputs=True, **further[name])
    encoder(fed())
    randomize(encoder)
    return encoder


def outputs(encoder) -> dict[str, np.ndarray]:
    found = encoder(fed(), training=False)
    expected = {name: found[name].numpy() for name in ("sequence_output", "pooled_output")}
    return expected | {"input_ids": IDS, "input_mask": MASK, "segment_ids": SEGMENTS}


def make_encoder(name: str) -> None:
    encoder = encoder_of(name)
    tf.train.Checkpoint(model=encoder).save(str(HERE / name / "ckpt"))
    np.savez_compressed(HERE / name / "expected.npz", **outputs(encoder))


def make_pretrainer() -> None:
    """With both heads, and with the optimizer's variables."""
    from official.modeling import tf_utils
    from official.nlp.modeling import layers, models

    order = layers.ClassificationHead(8, 2, name="next_sentence")
    activation = tf_utils.get_activation("gelu")
    pretrainer = models.BertPretrainerV2(encoder_of("BertEncoder"), activation, classification_heads=[order])
    inputs = fed() | {"masked_lm_positions": tf.constant(POSITIONS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the encoder's, of inputs that the heads read
        pretrainer(inputs)
        randomize(pretrainer)
        found = pretrainer(inputs, training=False)
    optimizer = tf.keras.optimizers.Adam()
    optimizer.build(pretrainer.trainable_variables)
    checkpoint = tf.train.Checkpoint(model=pretrainer, optimizer=optimizer, **pretrainer.checkpoint_items)
    checkpoint.save(str(HERE / "BertPretrainerV2" / "ckpt"))
    expected = {name: found[name].numpy() for name in ("mlm_logits", "next_sentence")}
    np.savez_compressed(HERE / "BertPretrainerV2" / "expected.npz", **expected, positions=POSITIONS)


def make_module(folder: Path) -> None:
    """As the Model Garden exports encoders for TensorFlow Hub; `vocab.txt` stands in the folder's parent."""
    from official.legacy.bert import configs
    from official.nlp.tools import export_tfhub_lib

    config = configs.BertConfig(30, 8, 3, 2, 12, max_position_embeddings=16, type_vocab_size=2)
    encoder = export_tfhub_lib.get_bert_encoder(config)
    randomize(encoder)
    prefix = str(folder.parent / "weights" / "ckpt")
    path = tf.train.Checkpoint(model=encoder, encoder=encoder).save(prefix)
    export_tfhub_lib.export_model(
        str(folder), bert_config=config, model_checkpoint_path=path, with_mlm=False,
        vocab_file=str(folder.parent / "vocab.txt"), do_lower_case=True,
    )  # fmt: skip
    np.savez_compressed(folder.parent / "expected.npz", **outputs(encoder))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make_module(Path(sys.argv[1]))
    else:
        for title in ("BertEncoder", "BertEncoderV2", "AlbertEncoder"):
            make_encoder(title)
        make_pretrainer()
