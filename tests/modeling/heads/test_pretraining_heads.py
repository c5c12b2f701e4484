"""The pretraining heads: upstream's losses, names and metrics."""

import json

import numpy as np
import pytest
import tensorflow as tf

from modeling import BertConfig, BertModel, initialize_from_checkpoint
from modeling.heads.masked_lm import PretrainingHead, gather_indexes
from processors.pretraining.instance_records import pretraining_spec
from processors.records.input_fn import parse_batch

tf1 = tf.compat.v1
CONFIG = BertConfig(
    vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
    max_position_embeddings=9, type_vocab_size=2,
)  # fmt: skip


def batch():
    return {
        "input_ids": tf.constant([[1, 5, 4, 2, 0], [1, 3, 2, 0, 0], [0, 0, 0, 0, 0]]),
        "input_mask": tf.constant([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [0, 0, 0, 0, 0]]),
        "segment_ids": tf.zeros([3, 5], tf.int32),
        "masked_lm_positions": tf.constant([[1, 2], [1, 0], [0, 0]]),
        "masked_lm_ids": tf.constant([[5, 4], [3, 0], [0, 0]]),
        "masked_lm_weights": tf.constant([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]),
        "next_sentence_labels": tf.constant([1, 0, 0]),
    }


def built(config, head, features, packed=False):
    inputs = (features[name] for name in ("input_ids", "input_mask", "segment_ids"))
    encoder = BertModel(config, False, *inputs, scope="bert", packed=packed)
    return head.logits(encoder, features, is_training=False)


@pytest.mark.parametrize("packed", [False, True])
def test_losses_of_golden_weights_are_upstreams(golden, packed):
    expected = json.loads((golden / "pretrain_eval.json").read_text())
    config = BertConfig.from_json_file(golden / "tiny" / "bert_config.json")
    with tf.Graph().as_default(), tf1.Session() as sess:
        records = tf.data.TFRecordDataset(str(golden / "pretrain.tf_record")).batch(16)
        features = parse_batch(tf1.data.make_one_shot_iterator(records).get_next(), pretraining_spec(64, 10))
        head = PretrainingHead(config)
        logits = built(config, head, features, packed)
        loss, _ = head.loss(logits, features)
        by_piece = -head.predictions(logits, features)["masked_lm_log_probabilities"]
        metrics = head.metrics(logits, features, loss)
        report = initialize_from_checkpoint(tf1.trainable_variables(), golden / "tiny")
        sess.run([tf1.global_variables_initializer(), tf1.local_variables_initializer()])
        graph = tf1.get_default_graph()
        parts = [graph.get_tensor_by_name(f"progress/{name}_loss:0") for name in ("masked_lm", "next_sentence")]
        found = sess.run([loss, by_piece, parts, {name: update for name, (_, update) in metrics.items()}])
    total, pieces, (masked_lm, next_sentence), metrics = found
    assert report.new == ()
    np.testing.assert_allclose(pieces.reshape(-1), expected["per_example_mlm"], rtol=1e-4, atol=1e-5)
    for name, part in (("masked_lm_loss", masked_lm), ("next_sentence_loss", next_sentence)):
        assert part == pytest.approx(expected[f"first16_{name}"], rel=1e-4)
        assert metrics[name] == pytest.approx(expected[f"first16_{name}"], rel=1e-4)
    assert total == pytest.approx(masked_lm + next_sentence, rel=1e-6)
    assert 0 <= metrics["masked_lm_accuracy"] < 0.1
    assert 0 <= metrics["next_sentence_accuracy"] <= 1


def test_variables_are_those_of_googles_checkpoints():
    with tf.Graph().as_default():
        built(CONFIG, PretrainingHead(CONFIG), batch())
        names = {v.op.name: tuple(v.shape) for v in tf1.trainable_variables() if v.op.name.startswith("cls/")}
    assert names == {
        "cls/predictions/transform/dense/kernel": (8, 8),
        "cls/predictions/transform/dense/bias": (8,),
        "cls/predictions/transform/LayerNorm/gamma": (8,),
        "cls/predictions/transform/LayerNorm/beta": (8,),
        "cls/predictions/output_bias": (11,),
        "cls/seq_relationship/output_weights": (2, 8),
        "cls/seq_relationship/output_bias": (2,),
    }


def test_masked_pieces_alone():
    with tf.Graph().as_default(), tf1.Session() as sess:
        features = {name: value for name, value in batch().items() if name != "next_sentence_labels"}
        head = PretrainingHead(CONFIG, next_sentence=False, top_k=3)
        logits = built(CONFIG, head, features)
        assert set(head.metrics(logits, features, tf.zeros([3]))) == {"masked_lm_accuracy", "masked_lm_loss"}
        assert not [v for v in tf1.trainable_variables() if "seq_relationship" in v.op.name]
        sess.run(tf1.global_variables_initializer())
        found = sess.run(head.predictions(logits, features))
    assert set(found) == {"top_ids", "top_probabilities", "masked_lm_log_probabilities"}
    assert found["top_ids"].shape == (3, 2, 3)
    assert (np.diff(found["top_probabilities"]) <= 0).all()
    gold = np.exp(found["masked_lm_log_probabilities"][0, 0])
    assert gold <= found["top_probabilities"][0, 0, 0] + 1e-6


def test_padding_counts_nowhere_and_rows_have_their_own_loss():
    with tf.Graph().as_default(), tf1.Session() as sess:
        features = batch()
        head = PretrainingHead(CONFIG)
        logits = built(CONFIG, head, features)
        sess.run(tf1.global_variables_initializer())
        # Other labels in padded places and in the row that fills up the batch change no loss.
        other = dict(features)
        other["masked_lm_ids"] = tf.constant([[5, 4], [3, 9], [7, 7]])
        other["next_sentence_labels"] = tf.constant([[1], [0], [1]])
        (loss, rows), (same, _) = sess.run([head.loss(logits, features), head.loss(logits, other)])
        log_probabilities = sess.run(tf.nn.log_softmax(logits["masked_lm"]))
        sentences = sess.run(tf.nn.log_softmax(logits["next_sentence"]))
    pieces = -np.array([log_probabilities[0, 0, 5], log_probabilities[0, 1, 4], log_probabilities[1, 0, 3]])
    expected = pieces.sum() / (3 + 1e-5) - (sentences[0, 1] + sentences[1, 0]) / 2
    assert loss == pytest.approx(expected, rel=1e-5)
    assert same == pytest.approx(loss, rel=1e-6)
    assert rows[0] == pytest.approx(pieces[:2].sum() / (2 + 1e-5) - sentences[0, 1], rel=1e-5)


def test_every_variable_gets_a_gradient():
    with tf.Graph().as_default(), tf1.Session() as sess:
        features = batch()
        head = PretrainingHead(CONFIG)
        loss, _ = head.loss(built(CONFIG, head, features), features)
        variables = tf1.trainable_variables()
        gradients = tf1.gradients(loss, variables)
        assert all(gradient is not None for gradient in gradients)
        sess.run(tf1.global_variables_initializer())
        table = next(g for v, g in zip(variables, gradients, strict=True) if "word_embeddings" in v.op.name)
        # Tied to the output: rows of pieces that never occur in the input are trained, too.
        assert np.abs(sess.run(tf.convert_to_tensor(table))[10]).sum() > 0


def test_gathering_takes_each_row_at_its_own_positions():
    with tf.Graph().as_default(), tf1.Session() as sess:
        values = tf.reshape(tf.range(12.0), [2, 3, 2])
        found = sess.run(gather_indexes(values, tf.constant([[2, 0], [1, 1]])))
    assert found.tolist() == [[4, 5], [0, 1], [8, 9], [8, 9]]
