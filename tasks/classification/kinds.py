"""What differs between problem types behind the encoder: head, scores, answers, and outputs of an export.

What a label is before the model, `processors.problem_types` says. Nothing here needs TensorFlow until a graph is built.
"""

import abc
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import FlagError, one_line
from processors.problem_types import MULTI_LABEL, REGRESSION, SINGLE_LABEL, ProblemType
from tasks.answers import Answer, ExportAnswers, Outputs
from tasks.classification import metrics
from tasks.distillation import Scores

MULTI_LABEL_THRESHOLD = 0.5
"""Probability above which a label of several is given."""
SMALLEST_PROBABILITY = 1e-7
"""Probabilities of a teacher are drawn so far from 0 and 1, that their logarithms are finite."""
_SUM_TOLERANCE = 0.02
"""How far the sum of a teacher's probabilities may be from 1: files may hold them with few digits."""


class Kind(ExportAnswers):
    """One problem type.

    Attributes:
      problem_type: what its labels are.
      output: name of the head's prediction that answers are made of.
    """

    problem_type: ProblemType
    output: str = "probabilities"

    @abc.abstractmethod
    def head_class(self) -> Any:
        """The class of the head, a `modeling.heads.base.Head`; a user's head is derived from it."""

    def head(self, num_labels: int, loss: Sequence[Any] = (), users: Any = None) -> Any:
        """A `modeling.heads.base.Head`.

        Args:
          num_labels: number of classes C.
          loss: class weights, label smoothing and focal gamma, for training; none otherwise.
          users: a class to use in place of `head_class`.
        """
        return (users or self.head_class())(num_labels, *loss)

    @abc.abstractmethod
    def score(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, float]:
        """The metrics of a whole evaluation beyond those of the head.

        Args:
          collected: `label_ids` and the head's predictions, a row an example.
          names: of the classes.
        """

    @abc.abstractmethod
    def accuracy(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> tuple[str, float]:
        """As `tasks.base.Task.accuracy`; arguments as for `score`."""

    @abc.abstractmethod
    def answer(self, names: Sequence[str], values: NDArray[Any]) -> Answer:
        """The answer for one row, as in `predictions.jsonl`.

        Args:
          names: of the classes.
          values: of the prediction `output`: probabilities `[C]`, or the score as a scalar or `[1]`.
        """

    @abc.abstractmethod
    def in_graph(self, predictions: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Tensors that the text signature of an export gives: `predictions` under names for people."""

    @abc.abstractmethod
    def in_numpy(self, predictions: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The same values outside of the graph, texts as bytes."""

    def soft_targets(self, outputs: Mapping[str, NDArray[Any]]) -> Scores:
        """What a student learns of the head's predictions for a row: float32 `[C]`, or `[1]` for a number."""
        return np.atleast_1d(np.asarray(outputs["logits"], np.float32))

    @abc.abstractmethod
    def soft_targets_of_answer(self, names: Sequence[str], answer: Mapping[str, Any]) -> Scores:
        """The same of an answer.

        Args:
          names: of the classes.
          answer: as `answer` gives it.

        Raises:
          ValueError: it lacks what is needed.
        """

    def check_loss(self, flags: Mapping[str, Any], names: Sequence[str]) -> None:
        """Checks flags about the loss that are given.

        Args:
          flags: name of a flag -> its value, for those that are not off.
          names: of the classes.

        Raises:
          FlagError: one of them has no meaning here.
        """
        weights = flags.get("class_weights")
        if isinstance(weights, Sequence) and not isinstance(weights, str) and len(weights) != len(names):
            raise FlagError(
                f"--class_weights has {len(weights)} weights for {len(names)} labels "
                f"({', '.join(names)}); give one for each, in this order"
            )

    def write_evaluation(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str], to: Path, of: str) -> None:
        """Writes what an evaluation leaves beside its metrics; nothing by default.

        Args:
          collected: as for `score`.
          names: of the classes.
          to: the folder.
          of: title of a picture.
        """


class _Labels(Kind):
    """What the two kinds with classes share."""

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        """Label and probabilities by name."""
        names = [name.decode() for name in outputs["labels"][0]] if count else []
        return [self.answer(names, row) for row in outputs[self.output]]

    def in_graph(self, predictions: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """`probabilities` [N, C] and `labels` [N, C]."""
        import tensorflow as tf

        rows = tf.shape(predictions["probabilities"])[0]
        labels = tf.tile(tf.constant(list(names))[tf.newaxis], [rows, 1])
        return {"probabilities": predictions["probabilities"], "labels": labels}

    def in_numpy(self, predictions: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        probabilities = predictions["probabilities"]
        return {"probabilities": probabilities, "labels": np.tile(_as_bytes(names), (len(probabilities), 1))}

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """`probabilities` and `labels`."""
        return {
            "probabilities": [list(answer["probabilities"].values()) for answer in answers],
            "labels": [list(answer["probabilities"]) for answer in answers],
        }


class _SingleLabel(_Labels):
    """One class of several."""

    problem_type = SINGLE_LABEL

    def soft_targets_of_answer(self, names: Sequence[str], answer: Mapping[str, Any]) -> Scores:
        if "label" in answer and not isinstance(answer["label"], str):
            found = one_line(repr(answer["label"]), 60)
            raise ValueError(f"has {found} under label, expected the name of one label (--problem_type=single_label)")
        probabilities = _probabilities(names, answer)
        total = float(np.sum(probabilities))
        if abs(total - 1.0) > _SUM_TOLERANCE:
            raise ValueError(
                f"has probabilities with the sum {total:.4g}, expected 1 for labels of which one is right "
                "(--problem_type=single_label)"
            )
        return np.log(probabilities).astype(np.float32)

    def head_class(self) -> Any:
        from modeling.heads.classification import ClassificationHead

        return ClassificationHead

    def score(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, float]:
        gold = collected["label_ids"]
        baseline = {"eval_majority_baseline": metrics.majority_baseline(gold)}
        return baseline | metrics.single_label_scores(gold, collected[self.output], names)

    def accuracy(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> tuple[str, float]:
        return "accuracy", float(np.mean(collected["label_ids"] == collected[self.output].argmax(axis=-1)))

    def answer(self, names: Sequence[str], values: NDArray[Any]) -> Answer:
        """`label`, a name, and `probabilities` by name."""
        return {"label": names[int(values.argmax())], "probabilities": _by_name(names, values)}

    def in_graph(self, predictions: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """Also `label` [N] and `score` [N], its probability."""
        import tensorflow as tf

        probabilities = predictions["probabilities"]
        return super().in_graph(predictions, names) | {
            "label": tf.gather(tf.constant(list(names)), tf.argmax(probabilities, axis=-1)),
            "score": tf.reduce_max(probabilities, axis=-1),
        }

    def in_numpy(self, predictions: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        probabilities = predictions["probabilities"]
        return super().in_numpy(predictions, names) | {
            "label": _as_bytes(names)[probabilities.argmax(axis=-1)],
            "score": probabilities.max(axis=-1),
        }

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """Also `label` and `score`."""
        return super().outputs(answers) | {
            "label": [answer["label"] for answer in answers],
            "score": [max(answer["probabilities"].values()) for answer in answers],
        }

    def write_evaluation(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str], to: Path, of: str) -> None:
        """The confusion matrix as CSV and PNG."""
        from tasks.classification.confusion import write_confusion

        write_confusion(collected["label_ids"], collected[self.output].argmax(axis=-1), names, to, of)


class _MultiLabel(_Labels):
    """Any of several classes."""

    problem_type = MULTI_LABEL

    def soft_targets_of_answer(self, names: Sequence[str], answer: Mapping[str, Any]) -> Scores:
        if "label" in answer and not isinstance(answer["label"], list):
            stated = one_line(repr(answer["label"]), 60)
            raise ValueError(f"has {stated} under label, expected a list of names (--problem_type=multi_label)")
        found = _probabilities(names, answer)
        return (np.log(found) - np.log1p(-found)).astype(np.float32)

    def head_class(self) -> Any:
        from modeling.heads.classification import MultiLabelHead

        return MultiLabelHead

    def score(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, float]:
        return metrics.multi_label_scores(collected["label_ids"], collected[self.output], names)

    def accuracy(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> tuple[str, float]:
        return "f1_micro", self.score(collected, names)["eval_f1_micro"]

    def answer(self, names: Sequence[str], values: NDArray[Any]) -> Answer:
        """`label`, the names above the threshold, and `probabilities` by name."""
        probabilities = _by_name(names, values)
        chosen = [name for name, p in probabilities.items() if p > MULTI_LABEL_THRESHOLD]
        return {"label": chosen, "probabilities": probabilities}

    def check_loss(self, flags: Mapping[str, Any], names: Sequence[str]) -> None:
        if flags.get("class_weights") == "balanced":
            raise FlagError("--class_weights=balanced needs one label a row; give a weight for each label instead")
        super().check_loss(flags, names)


class _Regression(Kind):
    """A number."""

    problem_type = REGRESSION
    output = "score"
    predicts_number = True

    def soft_targets(self, outputs: Mapping[str, NDArray[Any]]) -> Scores:
        return np.atleast_1d(np.asarray(outputs[self.output], np.float32))

    def soft_targets_of_answer(self, names: Sequence[str], answer: Mapping[str, Any]) -> Scores:
        del names
        label = answer.get("label")
        if isinstance(label, bool) or not isinstance(label, int | float) or not math.isfinite(label):
            raise ValueError("has no number under label")
        return np.array([label], np.float32)

    def head_class(self) -> Any:
        from modeling.heads.classification import RegressionHead

        return RegressionHead

    def head(self, num_labels: int, loss: Sequence[Any] = (), users: Any = None) -> Any:
        return (users or self.head_class())()

    def score(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, float]:
        return metrics.regression_scores(collected["label_ids"], collected[self.output])

    def accuracy(self, collected: Mapping[str, NDArray[Any]], names: Sequence[str]) -> tuple[str, float]:
        return "pearson", self.score(collected, names)["eval_pearson"]

    def answer(self, names: Sequence[str], values: NDArray[Any]) -> Answer:
        """`label`, a number."""
        return {"label": float(np.atleast_1d(values)[0])}

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        return [self.answer((), value) for value in outputs[self.output]]

    def in_graph(self, predictions: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """`score` [N]."""
        return {"score": predictions["score"]}

    def in_numpy(self, predictions: Mapping[str, NDArray[Any]], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        return {"score": predictions["score"]}

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        return {"score": [answer["label"] for answer in answers]}

    def check_loss(self, flags: Mapping[str, Any], names: Sequence[str]) -> None:
        for name in flags:
            raise FlagError(f"--{name} has no meaning for --problem_type=regression; remove it")


KINDS: Mapping[str, Kind] = {one.problem_type.name: one for one in (_SingleLabel(), _MultiLabel(), _Regression())}
"""By the name of the problem type."""


def _as_bytes(names: Sequence[str]) -> NDArray[Any]:
    return np.array([name.encode() for name in names], dtype=object)


def _probabilities(names: Sequence[str], answer: Mapping[str, Any]) -> NDArray[np.float64]:
    """The probabilities of an answer in the order of the classes, `[C]`.

    Raises:
      ValueError: it has none, or those of other labels.
    """
    found = answer.get("probabilities")
    if not isinstance(found, dict):
        raise ValueError("has no probabilities by name under probabilities")
    if found.keys() != set(names):
        raise ValueError(
            f"has the labels {one_line(', '.join(map(str, found)))}, expected {one_line(', '.join(names))}"
        )
    values = [found[name] for name in names]
    if not all(isinstance(p, int | float) and not isinstance(p, bool) and 0.0 <= p <= 1.0 for p in values):
        raise ValueError("has a probability that is not a number between 0 and 1")
    return np.clip(np.array(values, np.float64), SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)


def _by_name(names: Sequence[str], values: NDArray[Any]) -> dict[str, float]:
    return {name: float(p) for name, p in zip(names, values, strict=True)}
