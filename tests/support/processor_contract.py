"""What every processor owes to the code that uses it; a new one must pass `check_processor` on tiny data."""

from numbers import Real
from pathlib import Path

from processors import DataProcessor, InputExample
from processors.base import SPLITS
from processors.example_source import ExampleSource
from processors.problem_types import PROBLEM_TYPES
from processors.reading import MissingDataError


def check_processor(processor: DataProcessor, data_dir: str | Path, splits=SPLITS) -> None:
    """Asserts the contract of a `DataProcessor` on the data set in `data_dir`."""
    labels = processor.get_labels()
    assert processor.problem_type in PROBLEM_TYPES
    assert isinstance(labels, list)
    assert all(isinstance(label, str) and label for label in labels)
    assert len(set(labels)) == len(labels), "a label twice"
    assert (labels == []) == (processor.problem_type == "regression")
    assert isinstance(processor.metrics, tuple)
    assert processor.get_labels() == labels, "labels change between calls"
    for split in splits:
        check_split(processor, split, str(data_dir), labels)


def check_split(processor: DataProcessor, split: str, data_dir: str, labels: list[str]) -> None:
    try:
        examples = list(getattr(processor, f"get_{split}_examples")(data_dir))
    except MissingDataError:
        assert split == "test", f"no {split} split"
        return
    assert examples, f"no {split} examples"
    assert list(getattr(processor, f"get_{split}_examples")(data_dir)) == examples, "a second pass differs"
    guids = [example.guid for example in examples]
    assert len(set(guids)) == len(guids), "a guid twice"
    for example in examples:
        check_example(example, processor.problem_type, labels, needs_label=split != "test")
    pairs = {example.text_b is not None for example in examples}
    assert len(pairs) == 1, "pairs and single texts mixed"
    source = ExampleSource(processor, data_dir)
    files = source.data_files(split)
    assert files or "content" in source.description(split), "nothing decides the fingerprint"
    assert all(isinstance(path, Path) and path.is_file() for path in files)


def check_example(example: InputExample, problem_type: str, labels: list[str], needs_label: bool) -> None:
    assert isinstance(example, InputExample)
    assert isinstance(example.guid, str)
    assert example.guid
    assert isinstance(example.text_a, str)
    assert example.text_a.strip()
    assert example.text_b is None or (isinstance(example.text_b, str) and example.text_b.strip())
    if example.label is None:
        assert not needs_label, f"{example.guid} has no label"
    elif problem_type == "regression":
        assert isinstance(float(example.label), Real)
    elif problem_type == "multi_label":
        assert not isinstance(example.label, str)
        assert set(example.label) <= set(labels)
    else:
        assert example.label in labels
