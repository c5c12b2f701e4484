"""Sentence pairs that do (1) or do not (0) mean the same; --processor_module=<this file> --task_name=selfsim."""

from processors import DataProcessor, InputExample, register


@register("selfsim")
class SelfSimProcessor(DataProcessor):
    def get_train_examples(self, data_dir: str) -> list[InputExample]:
        return self._read(data_dir, "train")

    def get_dev_examples(self, data_dir: str) -> list[InputExample]:
        return self._read(data_dir, "dev")

    def get_test_examples(self, data_dir: str) -> list[InputExample]:
        return self._read(data_dir, "test")

    def get_labels(self) -> list[str]:
        return ["0", "1"]

    def _read(self, data_dir: str, split: str) -> list[InputExample]:
        rows = self._read_tsv(f"{data_dir}/{split}.tsv")[1:]  # the first line names the columns
        return [InputExample(f"{split}-{i}", a, b, label) for i, (a, b, label) in enumerate(rows, 1)]
