"""An evaluation that can be made again with another checkpoint, for which its graph is kept."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from estimator import devices

v1 = tf.compat.v1


class Evaluation:
    """Evaluates checkpoints on one set of rows, as `Estimator.evaluate` does, which makes a graph each time.

    Args:
      estimator: gives the model, the session's configuration, and the folder for TensorBoard.
      input_fn: of the rows.
      steps: batches to evaluate; None for all.
    """

    def __init__(self, estimator: Any, input_fn: Callable[..., Any], steps: int | None) -> None:
        self._estimator, self._input_fn, self._steps = estimator, input_fn, steps
        self._graph: tf.Graph | None = None
        self._spec: Any = None
        self._updates: Any = None
        self._values: dict[str, Any] = {}

    def run(self, checkpoint: str | None) -> Mapping[str, Any]:
        """Scores of a checkpoint, or of the weights that the model starts with: by name, with `loss` and `global_step`.

        Args:
          checkpoint: its prefix; None for none.
        """
        if isinstance(self._estimator, v1.estimator.tpu.TPUEstimator):
            return dict(self._estimator.evaluate(self._input_fn, self._steps, checkpoint_path=checkpoint))
        if self._graph is None:
            self._build()
        assert self._graph is not None
        final = v1.train.FinalOpsHook(self._values)
        session_creator = v1.train.ChiefSessionCreator(
            self._spec.scaffold,
            config=self._estimator.config.session_config or devices.plain_session(),
            checkpoint_filename_with_path=checkpoint,
        )
        left = self._steps
        with self._graph.as_default():
            hooks = [*self._spec.evaluation_hooks, final]
            with v1.train.MonitoredSession(session_creator, hooks) as session:
                while not session.should_stop() and left != 0:
                    session.run(self._updates)
                    left = None if left is None else left - 1
            scores: dict[str, Any] = final.final_ops_values
            self._summarize(scores)
        return scores

    def _build(self) -> None:
        config, mode = self._estimator.config, tf.estimator.ModeKeys.EVAL
        with tf.Graph().as_default() as graph:
            v1.set_random_seed(config.tf_random_seed)
            step = v1.train.create_global_step()
            iterator = v1.data.make_initializable_iterator(self._input_fn())
            v1.add_to_collection(v1.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
            spec = self._estimator.model_fn(iterator.get_next(), None, mode, config)
            metrics = {**spec.eval_metric_ops, "loss": v1.metrics.mean(spec.loss)}
            self._updates = tf.group(*(update for _, update in metrics.values()))
            self._values = {**{name: value for name, (value, _) in metrics.items()}, "global_step": step}
        self._graph, self._spec = graph, spec

    def _summarize(self, scores: Mapping[str, Any]) -> None:
        """Leaves the scores where TensorBoard finds those of an Estimator's evaluation."""
        values = [
            v1.Summary.Value(tag=name, simple_value=float(value))
            for name, value in sorted(scores.items())
            if name != "global_step"
        ]
        writer = v1.summary.FileWriterCache.get(self._estimator.eval_dir())
        writer.add_summary(v1.Summary(value=values), scores["global_step"])
        writer.flush()
