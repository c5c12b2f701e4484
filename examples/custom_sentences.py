"""Sentences with a tag for each word, written `Ann/B-person sleeps/O`; run_ner.py --processor_module=<this file>."""

from pathlib import Path

from processors import SentenceProcessor, TaggedExample


class SlashedProcessor(SentenceProcessor):
    tag_scheme = "iob2"

    def get_train_examples(self, data_dir: str) -> list[TaggedExample]:
        return self._read(data_dir, "train")

    def get_dev_examples(self, data_dir: str) -> list[TaggedExample]:
        return self._read(data_dir, "dev")

    def get_test_examples(self, data_dir: str) -> list[TaggedExample]:
        return self._read(data_dir, "test")

    def get_labels(self) -> list[str]:
        return ["O", "B-person", "I-person", "B-place", "I-place"]

    def _read(self, data_dir: str, split: str) -> list[TaggedExample]:
        lines = Path(data_dir, f"{split}.slashed").read_text(encoding="utf-8").splitlines()
        pairs = [[cell.rsplit("/", 1) for cell in line.split()] for line in lines]
        return [
            TaggedExample(f"{split}-{i}", [word for word, _ in line], [tag for _, tag in line])
            for i, line in enumerate(pairs, 1)
        ]
