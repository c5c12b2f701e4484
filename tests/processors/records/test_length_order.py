"""Rows of similar length share a batch; what comes out is as if they had not."""

import json

import numpy as np
import pytest
import tensorflow as tf

from estimator.config import DeviceSettings, ExperimentSettings, TrainingSettings
from estimator.experiment import Experiment
from estimator.hooks.collector import PER_EXAMPLE_LOSS, Collector
from estimator.streaming import ExampleStream
from modeling.config import BertConfig
from modeling.settings import ModelSettings
from processors.base import InputExample
from processors.example_source import ExampleSource
from processors.records import input_fn, length_order, record_sets
from processors.records.featurizer import PairFeaturizer, chunked
from processors.records.input_fn import InputSettings, build_input_fn
from processors.records.length_order import ROW_INDEX, in_order, longest_first
from processors.records.schema import FeatureSpec, Field
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, TableSpec
from tasks.classification.task import ClassificationTask
from tests.support import tiny
from tokenization import BulkTokenizer

AS_THEY_LIE = 1
"""A window of one batch: every row stays in the batch that it is in without sorting."""


@pytest.fixture(scope="module")
def featurizer(tiny_model):
    return PairFeaturizer(BulkTokenizer(tiny_model / "vocab.txt"), 24, ["neg", "pos"], "single_label")


def examples(count):
    return [InputExample(str(i), text, None, label) for i, (text, label) in enumerate(tiny.rows(count))]


def test_items_come_as_soon_as_all_before_them_are_there():
    taken = []

    def numbered():
        for number in (2, 0, 1, 4, 3):
            taken.append(number)
            yield number, "abcde"[number]

    items = in_order(numbered())
    assert next(items) == "a"
    assert taken == [2, 0]
    assert list(items) == ["b", "c", "d", "e"]


def test_rows_of_equal_length_keep_their_order():
    assert longest_first([3, 7, 3, 7, 1]) == [1, 3, 0, 2, 4]


def read(path, featurizer, count, **settings):
    inputs = InputSettings(batch_size=4, num_records=count, **settings)
    return list(build_input_fn([path], featurizer.spec, inputs)().as_numpy_iterator())


def lengths(batch):
    return batch["input_mask"].sum(axis=1).tolist()


def test_batches_are_of_similar_length_within_windows_of_whole_batches(tmp_path, featurizer, monkeypatch):
    monkeypatch.setattr(length_order, "ROWS_SORTED_AT_ONCE", 11)
    record_sets.build(tmp_path / "rows", lambda: examples(19), featurizer, "d", 1)
    plain = read(tmp_path / "rows", featurizer, 19)
    found = read(tmp_path / "rows", featurizer, 19, sorts_by_length=True)
    assert [len(batch[ROW_INDEX]) for batch in found] == [4, 4, 4, 4, 3]
    windows = [found[:2], found[2:4], found[4:]]
    for start, window in zip((0, 8, 16), windows, strict=True):
        numbers = [number for batch in window for number in batch[ROW_INDEX].tolist()]
        assert sorted(numbers) == list(range(start, start + len(numbers)))
        in_window = [length for batch in window for length in lengths(batch)]
        assert in_window == sorted(in_window, reverse=True)
    # The same rows with the same fields, and less padding around them.
    rows = {name: [row for batch in plain for row in batch[name]] for name in plain[0]}
    for batch in found:
        assert batch["input_ids"].shape[1] == max(lengths(batch))
        for name in rows:
            for index, value in zip(batch[ROW_INDEX], batch[name], strict=True):
                size = np.size(value)
                np.testing.assert_array_equal(value.reshape(-1), np.resize(rows[name][index], size))
    assert sum(batch["input_ids"].size for batch in found) < sum(batch["input_ids"].size for batch in plain)


def test_records_without_a_mask_stay_in_order(tmp_path, featurizer):
    record_sets.build(tmp_path / "rows", lambda: examples(6), featurizer, "d", 1)
    spec = FeatureSpec((Field("label_ids"),))
    inputs = InputSettings(batch_size=4, num_records=6, sorts_by_length=True)
    found = list(build_input_fn([tmp_path / "rows"], spec, inputs)().as_numpy_iterator())
    assert [batch.keys() for batch in found] == [{"label_ids"}] * 2
    assert np.concatenate([batch["label_ids"] for batch in found]).tolist() == [1, 0] * 3


def test_padded_records_of_google_research_bert_are_sorted_by_their_mask(golden, featurizer):
    found = read(golden / "mrpc_dev64.tf_record", featurizer, 64, sorts_by_length=True)
    in_order = [length for batch in found for length in lengths(batch)]
    assert in_order == sorted(in_order, reverse=True)
    assert len(set(in_order)) > 10
    assert [batch["input_ids"].shape[1] for batch in found] == [max(lengths(batch)) for batch in found]


def test_loss_is_that_of_batches_in_order_and_fillers_count_nowhere():
    losses = np.array([1.0, 2.0, 4.0, 8.0, 16.0], np.float32)
    is_real = np.array([1, 1, 0, 1, 1], np.int32)
    shuffled = np.array([3, 0, 4, 2, 1])
    columns = {PER_EXAMPLE_LOSS: losses, "is_real_example": is_real, "twice": 2 * losses}
    columns = {name: values[shuffled] for name, values in columns.items()} | {ROW_INDEX: shuffled}
    collector = Collector()
    with tf.Graph().as_default():
        batches = tf.data.Dataset.from_tensor_slices(columns).batch(3)
        tensors = tf.compat.v1.data.make_one_shot_iterator(batches).get_next()
        tf.compat.v1.train.get_or_create_global_step()
        collector.watch(tensors)
        with tf.compat.v1.train.SingularMonitoredSession(hooks=[collector]) as session:
            while not session.should_stop():
                session.run(tensors[ROW_INDEX])
    assert collector.arrays().keys() == {"twice"}
    assert collector.arrays()["twice"].tolist() == [2, 4, 16, 32]
    assert collector.mean_loss(2) == np.mean([1.5, 8.0, 16.0], dtype=np.float32)
    assert collector.mean_loss(5) == np.float32(27 / 4)


@pytest.fixture(scope="module")
def trained(tiny_model, tmp_path_factory):
    """An experiment after two steps; the dev set has an odd row, so that its last batch is not full."""
    folder = tmp_path_factory.mktemp("sorted")
    data = tiny.write_table(folder / "data", train=16, dev=21, test=23)
    processor = TableProcessor(TableSpec(columns=Columns("text", None, "label")), data_dir=str(data))
    source = ExampleSource(processor, str(data))
    task = ClassificationTask("table", source, BulkTokenizer(str(tiny_model / "vocab.txt")), 24)
    training = TrainingSettings(
        train_batch_size=8, num_train_epochs=1, learning_rate=1e-2, eval_batch_size=4, predict_batch_size=4
    )
    model = ModelSettings(BertConfig.from_dict(tiny.CONFIG), str(tiny_model))
    (folder / "run").mkdir()

    def make(**changes):
        device = DeviceSettings(pad_to_max_length=changes.pop("static_shapes", False))
        settings = TrainingSettings(**{**vars(training), **changes})
        return Experiment(task, ExperimentSettings(folder / "run", model, settings, device))

    make().train()
    return make


def scores_and_predictions(made):
    scores = made.evaluate()
    matrix = (made.output_dir / "confusion_matrix.csv").read_text()
    made.predict()
    lines = (made.output_dir / "predictions.jsonl").read_text().splitlines()
    probabilities = np.loadtxt(made.output_dir / "test_results.tsv")
    return scores, matrix, [json.loads(line)["text_a"] for line in lines], probabilities


@pytest.fixture
def sorted_sets(monkeypatch):
    """The batch sizes of the record sets that were sorted."""
    seen = []

    def noted(dataset, spec, batch_size):
        seen.append(batch_size)
        return length_order.sorted_batches(dataset, spec, batch_size)

    monkeypatch.setattr(input_fn, "sorted_batches", noted)
    return seen


@pytest.mark.parametrize("window", [8, pytest.param(4096, marks=pytest.mark.slow)])
def test_scores_and_predictions_do_not_depend_on_the_order_of_computation(trained, monkeypatch, sorted_sets, window):
    monkeypatch.setattr(length_order, "ROWS_SORTED_AT_ONCE", AS_THEY_LIE)
    plain = scores_and_predictions(trained())
    monkeypatch.setattr(length_order, "ROWS_SORTED_AT_ONCE", window)
    found = scores_and_predictions(trained())
    assert sorted_sets == [4, 4, 4, 4]
    assert {"eval_loss", "eval_accuracy", "loss"} <= found[0].keys()
    assert found[0] == pytest.approx(plain[0], abs=1e-6)
    assert found[0]["loss"] != pytest.approx(found[0]["eval_loss"], abs=1e-6)  # the last batch is not full
    assert found[1:3] == plain[1:3]
    np.testing.assert_allclose(found[3], plain[3], rtol=0, atol=1e-6)
    assert len(np.unique(np.round(plain[3][:, 0], 5))) > 10


def test_nothing_is_sorted_where_shapes_are_static_and_the_loss_is_the_same(trained, sorted_sets):
    """Padded to one length, the Estimator's own mean over batches in order stands."""
    padded = trained(static_shapes=True, eval_batch_size=6).evaluate()
    assert sorted_sets == []
    assert trained(eval_batch_size=6).evaluate()["loss"] == pytest.approx(padded["loss"], abs=1e-6)
    assert sorted_sets == [6]


@pytest.mark.slow
def test_a_limited_evaluation_takes_the_first_rows(trained, sorted_sets):
    scores = trained(max_eval_steps=2).evaluate()
    limited = trained(eval_batch_size=8, max_eval_steps=1).evaluate()
    assert scores["eval_loss"] == pytest.approx(limited["eval_loss"], abs=1e-6)
    assert sorted_sets == []
    assert scores["eval_loss"] != pytest.approx(trained().evaluate()["eval_loss"], abs=1e-4)


class Pieces:
    """A featurizer that makes a window of each two words, and none of an empty text."""

    def __init__(self, featurizer):
        self.spec = featurizer.spec

    def featurize(self, texts):
        for text in texts:
            if text == "broken":
                raise ValueError("broken")
            parts = [len(part) for part in text.split()]
            yield [{"input_ids": [size] * size} for size in parts]


@pytest.mark.parametrize("static_shapes", [False, True])
def test_stream_answers_in_order_from_batches_of_similar_length(featurizer, static_shapes):
    texts = ["a ddddddd", "", "ccc bb", "eeeeeeeeee", "", "a", "ff ggggggggg bb", "broken", "a"]
    fields = [field for field in featurizer.spec.fields if field.name == "input_ids"]
    stream = ExampleStream(Pieces(featurizer), chunked(texts, 5), 3, fields, static_shapes)
    widths, answered = [], []

    def outputs():
        for batch in stream.input_fn().as_numpy_iterator():
            widths.append(batch["input_ids"].shape)
            yield {"first": batch["input_ids"][:, 0]}

    def answer_all():
        for answer in stream.answers(outputs()):
            answered.append((answer.example, [int(row["first"]) for row in answer.outputs]))

    with pytest.raises(ValueError, match="broken"):
        answer_all()
    assert answered == [(text, [len(part) for part in text.split()]) for text in texts[:7]]
    # Five windows in the first list and four in what could be read of the second.
    assert widths == ([(3, 24)] * 4 if static_shapes else [(3, 10), (2, 2), (3, 9), (1, 1)])
