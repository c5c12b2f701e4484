"""The decoder with layers of its own against an encoder-decoder of Hugging Face with the same weights.

`tests/data/sequences/make.py` has made the model, its losses and the texts that it generates.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.writing import peers_name
from modeling.config import BertConfig
from modeling.decoder.settings import TRANSFORMER, DecodingSettings, TokenIds
from modeling.encoder.model import BertModel
from modeling.heads.sequence import IDS, LOSSES, SequenceHead
from tests.support.graphs import assign

v1 = tf.compat.v1
FILE = Path(__file__).resolve().parents[2] / "data" / "sequences" / "encoder_decoder.npz"
CONFIG = BertConfig(
    vocab_size=29, hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=40, type_vocab_size=2, hidden_act="gelu_erf",
)  # fmt: skip
TOKENS = TokenIds(begin=2, end=3, pad=0, never=(0, 1, 2, 4))
LONGEST = 10


def load(session, weights):
    given = {}
    for variable in v1.global_variables():
        value = weights[f"weights/{peers_name(variable.op.name)}"]
        given[variable] = value.T if variable.op.name.endswith("kernel") else value
    assign(session, given)


@pytest.fixture(scope="module")
def golden():
    return np.load(FILE)


def outputs(golden, settings, *names):
    with tf.Graph().as_default(), v1.Session() as session:
        features = {"input_ids": golden["ids"], "input_mask": golden["mask"], "target_ids": golden["targets"]}
        features = {name: tf.constant(value, tf.int32) for name, value in features.items()}
        encoder = BertModel(CONFIG, False, features["input_ids"], features["input_mask"], scope="bert", packed=True)
        found = SequenceHead(CONFIG, TOKENS, settings, TRANSFORMER, num_layers=2).logits(encoder, features, False)
        load(session, golden)
        return session.run([found[name] for name in names])


def test_losses_and_greedy_texts_are_those_of_hugging_face(golden):
    losses, ids = outputs(golden, DecodingSettings(max_length=LONGEST), LOSSES, IDS)
    np.testing.assert_allclose(losses, golden["losses"], atol=2e-4)
    np.testing.assert_array_equal(ids[:, 0], golden["greedy"][:, : ids.shape[2]])
    assert len({tuple(row) for row in golden["greedy"].tolist()}) > 4
