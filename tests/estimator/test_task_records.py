"""The examples behind the rows of a record set, whatever the number of their windows."""

import pytest

from common.errors import DataError
from estimator.task_records import TaskRecords, labelled
from processors.base import DataProcessor, InputExample
from processors.example_source import ExampleSource
from processors.records.featurizer import PairFeaturizer
from tasks.base import DEV, TEST, TRAIN
from tasks.classification.task import ClassificationTask
from tokenization import BulkTokenizer


class Reviews(DataProcessor):
    def get_labels(self):
        return ["neg", "pos"]

    def get_test_examples(self, data_dir):
        return [InputExample(str(number), text) for number, text in enumerate(["good", "bad film", "a day"])]


class Repeated(PairFeaturizer):
    """Gives example n so many windows."""

    counts: tuple[int, ...] = (1, 1, 1)

    def featurize(self, examples):
        for count, (window,) in zip(self.counts, super().featurize(examples), strict=True):
            yield [window] * count


@pytest.fixture
def records(tiny_model, tmp_path, monkeypatch):
    def made(counts):
        monkeypatch.setattr(Repeated, "counts", counts)
        tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
        task = ClassificationTask("reviews", ExampleSource(Reviews(), "", in_memory=True), tokenizer, 24)
        task.featurizer = Repeated(tokenizer, 24, task.labels, "single_label")
        return TaskRecords(task, tmp_path, 1)

    return made


@pytest.mark.parametrize("counts", [(1, 1, 1), (2, 1, 3)])
def test_each_example_comes_with_its_windows(records, counts):
    read = records(counts)
    found = list(read.examples(TEST, read.record_set(TEST)))
    assert [(example.text_a, len(windows)) for example, windows in found] == [
        *zip(["good", "bad film", "a day"], counts, strict=True)
    ]


def test_what_the_spec_does_not_say_is_refused(records, monkeypatch):
    monkeypatch.setattr(Repeated, "label_value", lambda self, example: 0.5)
    with pytest.raises(DataError, match=r"Repeated.featurize: field label_ids holds \(0.5,\), expected int64; correct"):
        records((1, 1, 1)).record_set(TEST)


def test_an_example_without_a_window_is_refused(records):
    with pytest.raises(DataError, match=r"Repeated.featurize gives an example no window, expected at least one"):
        records((0, 2, 1)).record_set(TEST)


@pytest.mark.parametrize("split", [TRAIN, DEV])
def test_rows_to_learn_from_have_a_label_in_every_task(split):
    """A user's task, too: a record would hold the default in place of the label."""
    examples = [InputExample("a", "x", None, [1.0]), InputExample("b", "y"), ("of", "another", "form")]
    with pytest.raises(DataError, match=f"example b of the {split} split has no label; expected one to train"):
        list(labelled(examples, split))
    assert list(labelled(examples, TEST)) == examples
    assert list(labelled(examples[::2], split)) == examples[::2]
