"""The span head: upstream's variables and loss, and indifference to padding."""

import numpy as np
import tensorflow as tf

from modeling import BertConfig, BertModel
from modeling.checkpoints.restore import initialize_from_checkpoint
from modeling.heads.span import SpanHead

v1 = tf.compat.v1


def run(golden, batch, packed=False):
    """Logits, loss, losses of the rows, and predictions of a batch through the golden random checkpoint."""
    features = {name: tf.constant(value, tf.int32) for name, value in batch.items()}
    config = BertConfig.from_json_file(str(golden / "tiny" / "bert_config.json"))
    inputs = (features[name] for name in ("input_ids", "input_mask", "segment_ids"))
    model = BertModel(config, False, *inputs, scope="bert", packed=packed)
    head = SpanHead()
    logits = head.logits(model, features, is_training=False)
    report = initialize_from_checkpoint(v1.trainable_variables(), str(golden / "tiny"))
    loss, losses = head.loss(logits, features)
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        return report, *session.run([logits, loss, losses, head.predictions(logits, features)])


def batch_of(golden, rows=4):
    stored = np.load(golden / "forward_tiny.npz")
    batch = {name: stored[name][:rows] for name in ("input_ids", "input_mask", "segment_ids")}
    return batch | {"start_positions": np.array([0, 3, 5, 1][:rows]), "end_positions": np.array([0, 4, 5, 2][:rows])}


def test_loss_is_the_mean_of_two_cross_entropies_over_the_tokens(golden):
    batch = batch_of(golden)
    with tf.Graph().as_default():
        report, logits, loss, losses, predictions = run(golden, batch)
    assert {"cls/squad/output_weights", "cls/squad/output_bias"} <= set(report.restored)
    assert not report.new
    expected = []
    for row, length in enumerate(batch["input_mask"].sum(axis=1)):
        real = logits[row, :length]
        log_probabilities = real - np.log(np.exp(real).sum(axis=0))
        start, end = batch["start_positions"][row], batch["end_positions"][row]
        expected.append(-(log_probabilities[start, 0] + log_probabilities[end, 1]) / 2)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    np.testing.assert_allclose(loss, np.mean(expected), rtol=1e-4)
    np.testing.assert_array_equal(predictions["start_logits"], logits[:, :, 0])
    assert set(predictions) == {"start_logits", "end_logits"}


def test_scores_are_a_linear_layer_on_the_last_encoder_layer(golden):
    batch = batch_of(golden)
    stored = np.load(golden / "forward_tiny.npz")
    reader = tf.train.load_checkpoint(str(golden / "tiny" / "bert_model.ckpt"))
    weights, bias = (reader.get_tensor(f"cls/squad/output_{part}") for part in ("weights", "bias"))
    with tf.Graph().as_default():
        _, logits, *_ = run(golden, batch)
    real = batch["input_mask"].astype(bool)
    np.testing.assert_allclose(logits[real], (stored["layers"][-1, :4] @ weights.T + bias)[real], rtol=1e-4, atol=1e-5)


def test_padding_and_filling_rows_change_nothing(golden):
    batch = batch_of(golden)
    wider = {name: np.pad(value, [(0, 0), (0, 9)]) if value.ndim == 2 else value for name, value in batch.items()}
    with_filler = {name: np.concatenate([value, np.zeros_like(value[:1])]) for name, value in wider.items()}
    with_filler["is_real_example"] = np.array([1, 1, 1, 1, 0])
    with_filler["input_mask"][-1, 0] = 1
    with_filler["unique_ids"] = np.arange(5)
    with tf.Graph().as_default():
        _, _, loss, *_ = run(golden, batch)
    for packed in (False, True):
        with tf.Graph().as_default():
            _, _, padded_loss, _, predictions = run(golden, with_filler, packed)
        np.testing.assert_allclose(padded_loss, loss, rtol=1e-5)
        assert predictions["unique_ids"].tolist() == [0, 1, 2, 3, 4]
        assert (predictions["end_logits"][:4, -9:] < -1000).all()
