"""Evaluations whose graph is kept give what an Estimator that makes it anew gives."""

import numpy as np
import pytest
import tensorflow as tf

from estimator import run_model
from estimator.config import ExperimentSettings, TrainingSettings
from estimator.evaluation import Evaluation
from estimator.experiment import Experiment
from modeling.config import BertConfig
from modeling.settings import ModelSettings
from processors.example_source import ExampleSource
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, TableSpec
from tasks.base import DEV
from tasks.classification.task import ClassificationTask
from tests.support import tiny
from tokenization import BulkTokenizer


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model):
    """An experiment of which two checkpoints are kept."""
    folder = tmp_path_factory.mktemp("evaluated")
    data = tiny.write_table(folder / "data", train=64, dev=21, test=8)
    processor = TableProcessor(TableSpec(columns=Columns("text", None, "label")), data_dir=str(data))
    source = ExampleSource(processor, str(data))
    task = ClassificationTask("table", source, BulkTokenizer(str(tiny_model / "vocab.txt")), 24)
    model = ModelSettings(BertConfig.from_dict(tiny.CONFIG), str(tiny_model))
    training = TrainingSettings(
        train_batch_size=8, num_train_epochs=2, learning_rate=1e-2, save_checkpoints_steps=8, eval_batch_size=8
    )
    (folder / "run").mkdir()
    made = Experiment(task, ExperimentSettings(folder / "run", model, training))
    assert made.train() == 16
    return made


def input_fn(experiment):
    return experiment._inputs.input_fn(experiment.record_set(DEV), 8)


def events(folder):
    found = []
    for path in sorted(folder.glob("events.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
    return found


@pytest.mark.parametrize("steps", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_scores_are_the_estimators_for_each_checkpoint(trained, monkeypatch, steps):
    graphs = []
    made = run_model.build_model_fn

    def counting(*arguments):
        model_fn = made(*arguments)

        def counted(features, labels, mode, params, config=None):
            graphs.append(tf.compat.v1.get_default_graph())
            return model_fn(features, labels, mode, params, config)

        return counted

    monkeypatch.setattr(run_model, "build_model_fn", counting)
    estimator = trained._model.estimator()
    evaluation = Evaluation(estimator, input_fn(trained), steps)
    checkpoints = [str(trained.output_dir / f"model.ckpt-{step}") for step in (8, 16, 8)]
    found = [evaluation.run(checkpoint) for checkpoint in checkpoints]
    assert len(graphs) == 1
    assert found[0] == found[2] != found[1]
    assert [scores["global_step"] for scores in found] == [8, 16, 8]
    logged = events(trained.output_dir / "eval")
    for checkpoint, scores in zip(checkpoints[:2], found, strict=False):
        expected = estimator.evaluate(input_fn(trained), steps, checkpoint_path=checkpoint)
        assert scores == expected
        assert (scores["global_step"], "loss", scores["loss"]) in [(s, tag, np.float32(v)) for s, tag, v in logged]


def test_an_experiment_makes_another_graph_for_other_rows_alone(trained, monkeypatch):
    built = []
    build = Evaluation._build

    def counted(self):
        built.append(self)
        build(self)

    monkeypatch.setattr(Evaluation, "_build", counted)
    first = trained.evaluate()
    assert trained.evaluate(latest=True) == first
    assert len(built) == 1
    # What another command does where the dev table has changed: the records have the same name and are others.
    kept = trained.record_set(DEV).path
    records = list(tf.data.TFRecordDataset(str(kept)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(kept.with_suffix(".new"))) as writer:
        for record in records[::-1]:
            writer.write(record)
    kept.with_suffix(".new").replace(kept)
    assert trained.evaluate(latest=True)["eval_accuracy"] == first["eval_accuracy"]
    assert len(built) == 2
