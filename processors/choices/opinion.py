"""Opinion questions for a classifier: question, choices and text in one long string, whose class is a place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processors.base import DataProcessor, InputExample, SelfDescribing
from processors.choices.forms import FORMS
from processors.choices.source import ChoiceSource, Rows
from processors.reading import MissingDataError

SEPARATOR = "|"


class OpinionProcessor(DataProcessor, SelfDescribing):
    """AI Challenger's opinion questions in their publishers' files: the other recipe than `run_multiple_choice.py`.

    A text is `question|choice|choice|choice|passage`; its label is the place of the right choice from 0.
    """

    metrics = ("accuracy",)

    def get_labels(self) -> list[str]:
        """The places."""
        return [str(place) for place in range(FORMS["opinion"].max_choices)]

    def get_train_examples(self, data_dir: str) -> Iterator[InputExample]:
        """Yields the questions to train on."""
        return self._examples("train", data_dir)

    def get_dev_examples(self, data_dir: str) -> Iterator[InputExample]:
        """Yields those to evaluate on."""
        return self._examples("dev", data_dir)

    def get_test_examples(self, data_dir: str) -> Iterator[InputExample]:
        """Yields those to predict."""
        return self._examples("test", data_dir)

    def data_files(self, split: str, data_dir: str | None) -> list[Path]:
        """The files of the split.

        Raises:
          MissingDataError: there are none.
        """
        form = FORMS["opinion"]
        files = form.found(Path(data_dir or ""), split)
        if not files:
            raise MissingDataError(f"no {' or '.join(form.files[split])} in {data_dir}; add it for the {split} split")
        return files

    def settings(self) -> dict[str, Any]:
        """How texts are joined."""
        return {"form": "opinion", "separator": SEPARATOR}

    def held_out_file(self, data_dir: str | None) -> None:
        """None: dev questions have a file of their own."""
        del data_dir

    def _examples(self, split: str, data_dir: str) -> Iterator[InputExample]:
        form = FORMS["opinion"]
        rows = Rows(form.reader(None), form.label_as, {}, form.max_choices)
        for one in ChoiceSource({split: self.data_files(split, data_dir)}, rows).questions(split):
            text = SEPARATOR.join([one.question, *one.choices, one.context])
            yield InputExample(one.guid, text, None, None if one.label is None else str(one.label))
