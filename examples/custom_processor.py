"""A data set of your own: sentence pairs that do (1) or do not (0) mean the same.

python run_classifier.py --processor_module=examples/custom_processor.py --task_name=selfsim --data_dir=examples/selfsim-en
"""

from pathlib import Path

from processors import DataProcessor, InputExample, register


@register("selfsim")
class SelfSimProcessor(DataProcessor):
    def get_train_examples(self, data_dir):
        return self._read(data_dir, "train")

    def get_dev_examples(self, data_dir):
        return self._read(data_dir, "dev")

    def get_test_examples(self, data_dir):
        return self._read(data_dir, "test")

    def get_labels(self):
        return ["0", "1"]

    def _read(self, data_dir, split):
        rows = self._read_tsv(Path(data_dir) / f"{split}.tsv")[1:]  # the first line names the columns
        return [InputExample(f"{split}-{i}", a, b, label) for i, (a, b, label) in enumerate(rows, 1)]
