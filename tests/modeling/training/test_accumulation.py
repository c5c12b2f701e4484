"""Several small batches make one update: the large batch's, to rounding."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import run_classifier
from estimator.hooks.progress import progress_tensors
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling import BertConfig, ClassificationHead, MultiLabelHead, RegressionHead
from modeling.build import ENCODER_INPUTS
from modeling.encoder.model import BertModel
from modeling.heads.base import Head
from modeling.heads.masked_lm import PretrainingHead
from modeling.heads.span import SpanHead
from modeling.settings import ModelSettings
from modeling.training.accumulation import accumulate
from modeling.training.optimization import create_optimizer, gradients_of
from tests.command_line.test_run_classifier import TABLE, TRAINING
from tests.estimator.test_devices import two_cpus
from tests.support import tiny
from tests.support.graphs import initialize_by_name

tf1 = tf.compat.v1
CONFIG = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 1, "classifier_dropout": 0.0})
ROWS, LENGTH, GUESSES = 8, 11, 3
TRAIN = tf.estimator.ModeKeys.TRAIN


def batch() -> dict[str, np.ndarray]:
    """Rows of unlike lengths, one of which only fills up the batch, with the labels of every head."""
    rng = np.random.default_rng(3)
    lengths = np.array([11, 4, 2, 7, 3, 9, 5, 6])
    mask = (np.arange(LENGTH) < lengths[:, np.newaxis]).astype(np.int32)
    guesses = np.array([3, 1, 1, 2, 0, 3, 2, 1])
    return {
        "input_ids": (rng.integers(1, CONFIG.vocab_size, mask.shape) * mask).astype(np.int32),
        "input_mask": mask,
        "segment_ids": (rng.integers(0, 2, mask.shape) * mask).astype(np.int32),
        "is_real_example": np.array([1, 1, 1, 1, 1, 0, 1, 1], np.int32),
        "label_ids": np.array([0, 1, 2, 2, 1, 0, 0, 2], np.int32),
        "start_positions": (lengths - 2).astype(np.int32),
        "end_positions": (lengths - 1).astype(np.int32),
        "masked_lm_positions": np.tile(np.array([0, 1, 0], np.int32), (ROWS, 1)),
        "masked_lm_ids": rng.integers(1, CONFIG.vocab_size, (ROWS, GUESSES)).astype(np.int32),
        "masked_lm_weights": (np.arange(GUESSES) < guesses[:, np.newaxis]).astype(np.float32),
        "next_sentence_labels": np.array([[0], [1], [1], [0], [1], [1], [0], [1]], np.int32),
    }


def multi_hot(features):
    return {**features, "label_ids": np.eye(3, dtype=np.float32)[features["label_ids"]]}


HEADS = {
    "classification": lambda: ClassificationHead(3),
    "weighted": lambda: ClassificationHead(3, [1.0, 5.0, 0.25]),
    "regression": RegressionHead,
    "multi_label": lambda: MultiLabelHead(3, [1.0, 2.0, 4.0]),
    "span": SpanHead,
    "pretraining": lambda: PretrainingHead(CONFIG),
    "masked_lm": lambda: PretrainingHead(CONFIG, next_sentence=False),
}


def train(head, features, settings, updates=3, one_hot=False):
    """What is reported, the first clipped gradients, and variables after updates, from weights given by their names."""
    schedule = Schedule(learning_rate=1e-4, num_train_steps=10, num_warmup_steps=0)
    model_fn = build_model_fn(ModelSettings(CONFIG, None, one_hot), head, schedule, settings)
    with tf.Graph().as_default(), tf1.Session() as sess:
        tensors = {name: tf.constant(value) for name, value in features.items()}
        step = tf1.train.get_or_create_global_step()
        spec = model_fn(tensors, None, TRAIN, {})
        initialize_by_name(sess)
        slots = {v.op.name: v for v in tf1.global_variables() if v.op.name.endswith("adam_m")}
        reports = []
        for update in range(updates):
            reports.append(sess.run([spec.train_op, progress_tensors(), spec.loss])[1:])
            if update == 0:
                gradients = {name: value / 0.1 for name, value in sess.run(slots).items()}
        assert sess.run(step) == updates
        return reports, gradients, sess.run(tf1.global_variables())


def assert_same_training(one, other):
    for (left, left_loss), (right, right_loss) in zip(one[0], other[0], strict=True):
        assert left.keys() == right.keys()
        np.testing.assert_allclose(right_loss, left_loss, rtol=0, atol=1e-5)
        for name, value in left.items():
            np.testing.assert_allclose(right[name], value, rtol=0, atol=1e-5, err_msg=name)
    assert one[1].keys() == other[1].keys()
    for name, value in one[1].items():
        np.testing.assert_allclose(other[1][name], value, rtol=0, atol=1e-6, err_msg=name)
    assert np.sqrt(sum(np.sum(np.square(value)) for value in one[1].values())) > 0.01
    for left, right in zip(one[2], other[2], strict=True):
        np.testing.assert_allclose(right, left, rtol=0, atol=3 * 3.2e-4)


@pytest.mark.parametrize("kind", HEADS)
def test_shares_of_the_parts_add_up_to_the_loss(kind):
    """Rows that do not count, unlike class weights and unlike numbers of guesses: parts do not weigh the same."""
    rng, head = np.random.default_rng(4), HEADS[kind]()
    features = multi_hot(batch()) if kind == "multi_label" else batch()
    wide = {"span": [LENGTH, 2], "regression": [1]}.get(kind, [3])
    logits = rng.normal(0, 3, [ROWS, *wide]).astype(np.float32)
    if isinstance(head, PretrainingHead):
        pieces = rng.normal(0, 3, [ROWS, GUESSES, CONFIG.vocab_size]).astype(np.float32)
        logits = {"masked_lm": pieces, "next_sentence": logits[:, :2]}

    def rows(values, part):
        return tf.nest.map_structure(lambda value: tf.constant(value[part]), values)

    with tf.Graph().as_default(), tf1.Session() as sess:
        loss = head.loss(rows(logits, slice(None)), rows(features, slice(None)))[0]
        whole = head.loss_weights(rows(features, slice(None)))
        parts = [slice(0, 3), slice(3, 4), slice(4, 6), slice(6, 8)]
        shares = [head.loss_shares(rows(logits, part), rows(features, part), whole) for part in parts]
        expected, found = sess.run([loss, [list(share.values()) for share in shares]])
    assert np.sum(found) == pytest.approx(expected, abs=1e-5)
    assert abs(np.mean([np.sum(share) for share in found]) * 4 - len(parts) * np.sum(found[0])) > 1e-3


@pytest.mark.parametrize(
    "kind", ["weighted", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("span", "pretraining"))]
)
def test_training_is_that_on_the_large_batch(kind):
    large = train(HEADS[kind](), batch(), GraphSettings())
    assert_same_training(large, train(HEADS[kind](), batch(), GraphSettings(micro_batches=4)))
    if kind == "pretraining":
        assert {"masked_lm_loss", "next_sentence_loss", "loss", "learning_rate", "gradient_norm"} == large[0][0][
            0
        ].keys()


@pytest.mark.parametrize(
    ("packed", "one_hot", "micro_batches"),
    [pytest.param(False, False, 2, marks=pytest.mark.slow), pytest.param(True, True, 8, marks=pytest.mark.slow)],
)
def test_every_layout_and_number_of_parts_trains_as_the_large_batch(packed, one_hot, micro_batches):
    settings = GraphSettings(packed=packed)
    large = train(ClassificationHead(3), batch(), settings, one_hot=one_hot)
    settings = dataclasses.replace(settings, micro_batches=micro_batches, recompute=True)
    assert_same_training(large, train(ClassificationHead(3), batch(), settings, one_hot=one_hot))


class MeasuringHead(Head):
    """A classification that also reports how wide its features are: over all parts, their widths add up."""

    uses_sequence_output = False
    measured = ("input_ids", "token_labels", "scores")

    def __init__(self):
        self._inner = ClassificationHead(3)

    def logits(self, encoder, features, is_training):
        return self._inner.logits(encoder, features, is_training)

    def loss(self, logits, features):
        return self._inner.loss(logits, features)

    def loss_parts(self, logits, features):
        widths = {f"{name}_loss": tf.cast(tf.shape(features[name])[1], tf.float32) for name in self.measured}
        return {"loss": self.loss(logits, features)[0], **widths}

    def loss_weights(self, features):
        ones = {f"{name}_loss": tf.constant(1.0) for name in self.measured}
        return {**self._inner.loss_weights(features), **ones}

    def predictions(self, logits, features):
        return self._inner.predictions(logits, features)

    def metrics(self, logits, features, per_example_loss):
        return self._inner.metrics(logits, features, per_example_loss)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("packed", "width"), [(True, 11 + 7 + 9 + 6), pytest.param(False, 4 * LENGTH, marks=pytest.mark.slow)]
)
def test_each_part_is_as_wide_as_its_own_longest_row_unless_shapes_are_static(packed, width):
    """What has a value for each piece goes along; what only happens to be as wide does not."""
    features = batch()
    others = {"token_labels": features["input_mask"], "scores": np.ones([ROWS, LENGTH], np.float32)}
    settings = GraphSettings(packed=packed, micro_batches=4, token_fields=(*ENCODER_INPUTS, "token_labels"))
    reported = train(MeasuringHead(), {**features, **others}, settings, updates=1)[0][0][0]
    assert reported["input_ids_loss"] == reported["token_labels_loss"] == width
    assert reported["scores_loss"] == 4 * LENGTH


@pytest.mark.slow
def test_one_part_is_the_graph_without_accumulation():
    def graph_of(**settings):
        with tf.Graph().as_default() as graph:
            tensors = {name: tf.constant(value) for name, value in batch().items()}
            model_fn = build_model_fn(ModelSettings(CONFIG), ClassificationHead(3), Schedule(0.1, 9, 0), **settings)
            model_fn(tensors, None, TRAIN, {})
            return graph.as_graph_def()

    plain = graph_of()
    assert not [node.name for node in plain.node if "While" in node.op]
    settings = GraphSettings(micro_batches=1)
    assert [node.name for node in graph_of(graph=settings).node] == [node.name for node in plain.node]
    looped = graph_of(graph=dataclasses.replace(settings, micro_batches=4))
    (loop,) = [node for node in looped.node if "While" in node.op]
    assert loop.attr["parallel_iterations"].i == 1


def table_step(ids, targets, micro_batches, rate=0.05):
    """A model whose gradients are far above norm 1, and whose batch looks the same row of a table up repeatedly."""

    def shares(features):
        table = tf1.get_variable("table", initializer=np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2))
        kernel = tf1.get_variable("kernel", initializer=np.array([[3.0], [-2.0]], np.float32))
        tf1.get_variable("unused", initializer=np.ones(2, np.float32))
        errors = tf.square(tf.matmul(tf.gather(table, features["ids"]), kernel)[:, 0] - features["targets"])
        return {"loss": tf.reduce_sum(errors) * 50 / features["rows"][0]}

    rows = tf.fill(tf.shape(targets), tf.cast(tf.shape(targets)[0], tf.float32))
    features = {"ids": ids, "targets": targets, "rows": rows}
    if micro_batches == 1:
        return create_optimizer(shares(features)["loss"], rate, 6, 0, False)

    def gradients(loss, variables):
        return gradients_of(loss, variables, use_tpu=False)

    accumulated = accumulate(shares, gradients, features, micro_batches)
    return create_optimizer(accumulated.loss, rate, 6, 0, False, accumulated=accumulated)


def first_gradients(strategy, micro_batches):
    """Clipped gradients of the first update."""
    inputs, targets = np.array([0, 1, 1, 1, 5, 2, 1, 0]), np.linspace(-2, 4, 8, dtype=np.float32)
    with tf.Graph().as_default(), strategy.scope():
        strategy._scale_loss_for_estimator = True  # as the Estimator does
        replicas = strategy.num_replicas_in_sync
        parts = [
            strategy.experimental_distribute_values_from_function(
                lambda context, array=array: tf.constant(np.split(array, replicas)[context.replica_id_in_sync_group])
            )
            for array in (inputs, targets)
        ]
        tf1.train.get_or_create_global_step()
        train_op = strategy.group(strategy.extended.call_for_each_replica(table_step, args=(*parts, micro_batches)))
        with tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 2})) as sess:
            sess.run(tf1.global_variables_initializer())
            sess.run(train_op)
            slots = {v.op.name: v for v in tf1.global_variables()}
            return [value / 0.1 for value in sess.run([slots["table/adam_m"], slots["kernel/adam_m"]])]


@pytest.mark.slow
def test_clipping_is_that_of_the_large_batch():
    """Repeated rows count one by one in upstream's norm, however the batch is cut and on however many devices."""
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    expected = first_gradients(one, 1)
    for found in (first_gradients(one, 4), first_gradients(two_cpus(), 2)):
        for left, right in zip(expected, found, strict=True):
            np.testing.assert_allclose(right, left, rtol=1e-5, atol=1e-6)
    # Far from 1, which it is where rows are added up first.
    assert 0.3 < np.sqrt(sum(np.sum(np.square(value)) for value in expected)) < 2
    assert abs(np.sqrt(sum(np.sum(np.square(value)) for value in expected)) - 1) > 0.01


def test_each_part_drops_other_values():
    config = BertConfig.from_dict({**tiny.CONFIG, "hidden_dropout_prob": 0.5})
    same_rows = {name: np.repeat(value[:1], 4, axis=0) for name, value in batch().items()}
    with tf.Graph().as_default(), tf1.Session() as sess:
        drawn = []
        features = {name: tf.constant(value) for name, value in same_rows.items()}

        def shares(part):
            head = ClassificationHead(3)
            encoder = BertModel(config, True, part["input_ids"], part["input_mask"], scope="bert", packed=True)
            loss = head.loss(head.logits(encoder, part, True), part)[0]
            drawn.append(loss)
            return {"loss": loss, "square": tf.square(loss)}

        accumulated = accumulate(shares, lambda loss, v: gradients_of(loss, v, False), features, 4)
        sess.run(tf1.global_variables_initializer())
        parts = sess.run(accumulated.loss_parts)
    # The mean of squares is above the square of the mean only where the parts differ.
    assert parts["square"] / 4 - (parts["loss"] / 4) ** 2 > 1e-6
    assert len(drawn) == 2


@pytest.mark.slow
def test_a_run_counts_updates(tmp_path, tiny_model, table_dir):
    """Steps, checkpoints, the learning rate and the reports of a run in parts are those of a run in one piece."""
    found = {}
    for steps in (1, 4):
        run = tmp_path / f"run{steps}"
        run_classifier.main([
            "run_classifier.py", *TABLE, *TRAINING, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}",
            f"--output_dir={run}", "--num_train_epochs=1", "--do_train", "--save_checkpoints_steps=5",
            f"--gradient_accumulation_steps={steps}", "--log_every_n_steps=2",
        ])  # fmt: skip
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        reports = [line for line in lines if line["event"] == "train"]
        assert [line["event"] for line in lines].count("memory") == 1
        assert lines[-1]["host_mib"] > 100
        checkpoints = sorted(path.name for path in run.glob("model.ckpt-*.index"))
        variables = [name for name, _ in tf.train.list_variables(tf.train.latest_checkpoint(str(run)))]
        found[steps] = reports, checkpoints, variables
    assert found[1][1:] == found[4][1:]
    assert found[4][1] == ["model.ckpt-0.index", "model.ckpt-5.index", "model.ckpt-8.index"]
    for left, right in zip(found[1][0], found[4][0], strict=True):
        for name in ("step", "epoch", "learning_rate"):
            assert left[name] == right[name]
        assert right["loss"] == pytest.approx(left["loss"], abs=0.01)


def test_a_batch_that_cannot_be_cut_is_named(run_script):
    code, _, err = run_script(
        run_classifier.main, "--task_name=table", "--do_train", "--output_dir=x", "--train_batch_size=10",
        "--gradient_accumulation_steps=4",
    )  # fmt: skip
    assert code == 2
    assert err.strip() == (
        "error: --train_batch_size=10 cannot be cut into --gradient_accumulation_steps=4 equal parts; "
        "give a batch size that is a multiple of 4, such as 12"
    )
