"""The loss scale of float16: what overflows moves nothing but the scale."""

import logging

import numpy as np
import pytest
import tensorflow as tf

from common.errors import BertError
from estimator.config import LAMB
from estimator.hooks.loss_scale import LossScaleHook, ScaleSaver
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling.settings import FP16, ModelSettings
from modeling.training import loss_scale as loss_scale_module
from modeling.training.lamb import LambOptimizer
from modeling.training.loss_scale import INITIAL_SCALE, LossScale
from modeling.training.optimization import create_optimizer
from tests.estimator.test_devices import two_cpus
from tests.modeling.training.test_accumulation import CONFIG, HEADS, TRAIN, batch

tf1 = tf.compat.v1
RATE, STEPS = 0.05, 10


class Trained:
    """A table and a kernel whose loss is a product with what is fed, so that its gradient can be anything."""

    def __init__(self, scaled: bool, optimizer=None) -> None:
        self.factor = tf1.placeholder(tf.float32, [])
        table = tf1.get_variable("table", initializer=np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2))
        kernel = tf1.get_variable("kernel", initializer=np.array([[3.0], [-2.0]], np.float32))
        tf1.get_variable("unused", initializer=np.ones(2, np.float32))
        loss = tf.reduce_sum(tf.matmul(tf.gather(table, [1, 1, 4]), kernel)) * self.factor
        self.scale = LossScale() if scaled else None
        self.train_op = create_optimizer(loss, RATE, STEPS, 0, False, optimizer=optimizer, loss_scale=self.scale)
        self.session = tf1.Session()
        self.session.run(tf1.global_variables_initializer())

    def step(self, factor: float) -> dict[str, np.ndarray]:
        """One update; all variables after it, by name."""
        self.session.run(self.train_op, {self.factor: factor})
        return self.values()

    def values(self) -> dict[str, np.ndarray]:
        return self.session.run({variable.op.name: variable for variable in tf1.global_variables()})


def without_scale(values):
    return {name: value for name, value in values.items() if name not in (*loss_scale_module.NAMES, "global_step")}


def assert_equal(left, right, rtol=0.0):
    assert left.keys() == right.keys()
    for name, value in left.items():
        np.testing.assert_allclose(right[name], value, rtol=rtol, atol=0, err_msg=name)


@pytest.mark.parametrize("optimizer", [None, LambOptimizer])
@pytest.mark.parametrize("factor", [1e-3, 50.0])
def test_updates_are_those_without_a_scale(optimizer, factor):
    """Below and above the norm at which gradients are clipped: clipping sees what is unscaled."""
    found = []
    for scaled in (False, True):
        with tf.Graph().as_default():
            trained = Trained(scaled, optimizer)
            found.append([trained.step(factor) for _ in range(3)])
    for plain, scaled in zip(*found, strict=True):
        assert_equal(without_scale(plain), without_scale(scaled), rtol=1e-6)
        assert plain["global_step"] == scaled["global_step"]
    assert found[1][-1]["loss_scale"] == INITIAL_SCALE
    assert found[1][-1]["loss_scale_good_steps"] == 3


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("optimizer", [None, LambOptimizer])
def test_an_overflow_moves_nothing_but_scale_and_step(optimizer, bad):
    with tf.Graph().as_default():
        trained = Trained(True, optimizer)
        before = trained.step(1.0)
        after = trained.step(bad)
        assert_equal(without_scale(before), without_scale(after))
        assert (after["loss_scale"], after["loss_scale_good_steps"]) == (INITIAL_SCALE / 2, 0)
        assert (before["global_step"], after["global_step"]) == (1, 2)
        again = trained.step(1.0)
    assert abs(again["table"] - after["table"]).max() > 0
    assert (again["loss_scale"], again["loss_scale_good_steps"]) == (INITIAL_SCALE / 2, 1)


def test_a_gradient_that_overflows_by_the_scale_alone_is_left_out():
    with tf.Graph().as_default():
        trained = Trained(True)
        trained.scale._scale.load(2.0**127, trained.session)
        before = trained.values()
        first, *_, last_but_one, last = [trained.step(30.0) for _ in range(12)]
        assert first["loss_scale"] == 2.0**126
        assert_equal(without_scale(before), without_scale(first))
        assert last["loss_scale"] == last_but_one["loss_scale"] >= 2.0**118  # small enough now
        assert abs(last["table"] - before["table"]).max() > 0


def test_the_scale_doubles_after_good_steps_and_never_falls_below_one(monkeypatch):
    monkeypatch.setattr(loss_scale_module, "GROWTH_PERIOD", 3)
    with tf.Graph().as_default():
        trained = Trained(True)
        states = [trained.step(factor) for factor in (1, 1, np.inf, 1, 1, 1, 1)]
        counts = [int(state["loss_scale_good_steps"]) for state in states]
        assert counts == [1, 2, 0, 1, 2, 0, 1]
        assert [float(state["loss_scale"] / INITIAL_SCALE) for state in states] == [1, 1, 0.5, 0.5, 0.5, 1, 1]
        trained.scale._scale.load(2.0, trained.session)
        assert [trained.step(np.nan)["loss_scale"] for _ in range(3)] == [1.0, 1.0, 1.0]


def test_the_period_is_that_of_the_paper():
    assert loss_scale_module.GROWTH_PERIOD == 2000


@pytest.mark.parametrize(
    ("optimizer", "micro_batches"),
    [
        ("adamw", 1),
        pytest.param("adamw", 4, marks=pytest.mark.slow),
        pytest.param(LAMB, 1, marks=pytest.mark.slow),
        pytest.param(LAMB, 4, marks=pytest.mark.slow),
    ],
)
def test_a_scale_too_large_for_float16_finds_its_way_down(optimizer, micro_batches):
    """A real overflow, in the layers: float16 ends at 65504."""
    settings = GraphSettings(precision=FP16, micro_batches=micro_batches, recompute=micro_batches > 1)
    with tf.Graph().as_default(), tf1.Session() as session:
        features = {name: tf.constant(value) for name, value in batch().items()}
        model_fn = build_model_fn(ModelSettings(CONFIG), HEADS["span"](), Schedule(1e-4, 60, 0, optimizer), settings)
        tf1.set_random_seed(4)
        spec = model_fn(features, None, TRAIN, {})
        (hook,) = spec.training_hooks
        session.run(tf1.global_variables_initializer())
        variables = {variable.op.name: variable for variable in tf1.global_variables()}
        variables["loss_scale"].load(2.0**40, session)
        weights = {name: v for name, v in variables.items() if name not in (*loss_scale_module.NAMES, "global_step")}
        before = session.run(weights)
        scale, is_finite, _ = session.run([*hook._fetches, spec.train_op])
        assert (scale, bool(is_finite)) == (2.0**40, False)
        assert_equal(before, session.run(weights))
        assert session.run(variables["loss_scale"]) == 2.0**39
        finite = [bool(session.run([*hook._fetches, spec.train_op])[1]) for _ in range(30)]
        after = session.run(variables)
    assert not any(finite[:5])
    assert sum(finite) > 10  # gradients move as weights do, so one at the limit may still be skipped
    assert 1.0 < after["loss_scale"] < 2.0**30
    assert after["global_step"] == 31
    assert abs(after["cls/squad/output_weights"] - before["cls/squad/output_weights"]).max() > 0


def replicas_step(factors):
    table = tf1.get_variable("table", initializer=np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2))
    loss = tf.reduce_sum(tf.gather(table, [1, 1, 4])) * factors[0]
    return create_optimizer(loss, RATE, STEPS, 0, False, loss_scale=LossScale())


def on_two_replicas(*steps):
    """Values after each step; a step gives the factor of each replica."""
    strategy = two_cpus()
    with tf.Graph().as_default(), strategy.scope():
        strategy._scale_loss_for_estimator = True  # as the Estimator does
        fed = [tf1.placeholder(tf.float32, [1]) for _ in range(2)]
        factors = strategy.experimental_distribute_values_from_function(
            lambda context: fed[context.replica_id_in_sync_group]
        )
        tf1.train.get_or_create_global_step()
        train_op = strategy.group(strategy.extended.call_for_each_replica(replicas_step, args=(factors,)))
        with tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 2})) as session:
            session.run(tf1.global_variables_initializer())
            found = []
            for step in steps:
                session.run(train_op, {one: [value] for one, value in zip(fed, step, strict=True)})
                components = [
                    (variable.op.name, copy)
                    for variable in tf1.global_variables()
                    for copy in strategy.experimental_local_results(variable)
                ]
                names, copies = zip(*components, strict=True)
                found.append(list(zip(names, session.run(copies), strict=True)))
            return found


@pytest.mark.slow
def test_replicas_skip_together():
    """An overflow on one of two devices: neither moves, both halve their scale."""
    first, skipped, third = on_two_replicas((1.0, 3.0), (1.0, np.inf), (1.0, 3.0))
    for (name, left), (_, right) in zip(first, skipped, strict=True):
        if name == "global_step":
            assert (left, right) == (1, 2)
        elif name == "loss_scale":
            assert (left, right) == (INITIAL_SCALE, INITIAL_SCALE / 2)
        elif name != "loss_scale_good_steps":
            np.testing.assert_array_equal(left, right, err_msg=name)
    tables = [value for name, value in third if name.startswith("table") and "adam" not in name]
    np.testing.assert_array_equal(tables[0], tables[-1])
    assert abs(tables[0] - next(value for name, value in first if name == "table")).max() > 0
    assert {value for name, value in third if name == "global_step"} == {3}


def hook_of(scale, is_finite):
    with tf.Graph().as_default(), tf1.Session() as session:
        made = LossScale()
        made.value, made.is_finite = tf.constant(scale), tf.constant(is_finite)
        hook = LossScaleHook(made)
        request = hook.before_run(None)
        hook.after_run(None, tf1.train.SessionRunValues(session.run(request.fetches), None, None))


def test_a_skipped_update_is_said(caplog):
    def messages():
        return [record.getMessage() for record in caplog.records if record.name == "estimator.hooks.loss_scale"]

    with caplog.at_level(logging.INFO):
        hook_of(1024.0, True)
        assert not messages()
        hook_of(1024.0, False)
    assert messages() == ["gradients overflowed float16: update skipped, loss scale halved to 512"]


def test_a_run_that_no_scale_helps_stops():
    with pytest.raises(BertError) as stopped:
        hook_of(1.0, False)
    assert str(stopped.value) == (
        "training: gradients overflow float16 even without a loss scale; expected finite ones; "
        "use --precision=bf16, or lower --learning_rate"
    )


@pytest.mark.parametrize("written_with_scale", [True, False])
def test_checkpoints_restore_with_and_without_a_scale(written_with_scale, tmp_path):
    with tf.Graph().as_default():
        trained = Trained(written_with_scale)
        values = trained.step(1.0)
        if written_with_scale:
            values = trained.step(np.inf)
        prefix = tf1.train.Saver().save(trained.session, str(tmp_path / "model.ckpt"))
    with tf.Graph().as_default():
        trained = Trained(True)
        saver = ScaleSaver(None)
        saver.build()
        trained.scale._scale.load(4.0, trained.session)
        saver.restore(trained.session, prefix)
        restored = trained.values()
        saver.save(trained.session, str(tmp_path / "again.ckpt"))
    assert_equal(without_scale(values), without_scale(restored))
    assert restored["loss_scale"] == (INITIAL_SCALE / 2 if written_with_scale else INITIAL_SCALE)
    assert {name for name, _ in tf.train.list_variables(str(tmp_path / "again.ckpt"))} == restored.keys()
