"""Answers from an export: loaded once, asked many times; no Estimator, no checkpoint, no flags."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import DataError, ExportError, closest, one_line
from common.files import json_object
from processors.reading import lone_surrogate
from processors.records.featurizer import chunked
from processors.records.length_order import in_order, longest_first
from serving import lists
from serving.columns import checked
from serving.engines import AUTO, Engine, load
from tasks import exports
from tasks.answers import beside, flat

BATCH_SIZE = 64
_ANY_TEXT = "a"

Row = Mapping[str, Any]
"""Texts by input name; a list of texts where the input is one, None where an optional text is not given."""


class Predictor:
    """Loads an export and answers raw text in this process.

    Args:
      export_dir: an export directory (the one that holds `saved_model.pb`).
      engine: computes its text signature: one of `serving.engines.ENGINES`, or an engine of the caller's. TensorFlow
        is imported only where it is the engine.

    Raises:
      ExportError: there is no readable export with a text signature.

    Example:
      predictor = Predictor("output/export/1700000000")
      predictor.answer([{"text_a": "a fine film"}])
      -> [{"label": "positive", "probabilities": {"negative": 0.02, "positive": 0.98}}]
    """

    def __init__(self, export_dir: str | os.PathLike[str], engine: Engine | str = AUTO) -> None:
        self.export_dir = Path(export_dir)
        if not (self.export_dir / "saved_model.pb").is_file():
            raise ExportError(f"{export_dir}: no saved_model.pb; expected an export directory; run with --do_export")
        settings = _tokenizer_settings(self.export_dir)
        self._engine = load(export_dir, engine) if isinstance(engine, str) else engine
        self.input_names = self._engine.input_names
        self.reader = exports.reader(settings["problem_type"])
        self.text_names: tuple[str, ...] = tuple(settings.get("inputs", ("text_a", "text_b")))
        self.list_names: tuple[str, ...] = tuple(settings.get("lists", ()))
        self.required_names = self.text_names if self.reader.needs_all_texts else self.text_names[:1]

    def run(self, inputs: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
        """The text signature as it is: lists of strings in, arrays out. An optional input that is left out is empty.

        Args:
          inputs: lists of one length by input name; one text of an optional input holds for every row.

        Raises:
          DataError: an input is unknown or missing, or of another length.
        """
        # An export of a kind that is not known here may name its texts otherwise.
        required = [name for name in self.required_names if name in self.input_names] or self.input_names[:1]
        given = checked(inputs, self.input_names, required)
        if given[required[0]]:
            return self._engine.run(given)
        # An engine computes at least one row; what it gives of that row has the types and the ranks.
        row = {name: [[_ANY_TEXT] * lists.FEWEST if name in self.list_names else _ANY_TEXT] for name in given}
        return {name: values[:0] for name, values in self._engine.run(row).items()}

    def answer(self, rows: Sequence[Row], batch_size: int = BATCH_SIZE) -> list[dict[str, Any]]:
        """One answer a row, as in `predictions.jsonl`: label (name, names or score) and probabilities by name.

        Args:
          rows: texts by input name.
          batch_size: most rows that are computed at once; of more, those of similar length are.

        Raises:
          DataError: no list of rows; a row with an unknown key, or without the text; its number, from 0, is given.
        """
        if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
            raise DataError(
                f"answer takes a list of rows, found a {type(rows).__name__}; put one row into a list, and give a "
                "DataFrame to answer_frame"
            )
        for number, row in enumerate(rows):
            self._check(row, number)
        if len(rows) <= batch_size:
            return self._answer_together(rows) if rows else []
        lengths = [sum(lists.length(row.get(name)) for name in self.input_names) for row in rows]
        numbered = (
            pair
            for batch in chunked(longest_first(lengths), batch_size)
            for pair in zip(batch, self._answer_together([rows[index] for index in batch]), strict=True)
        )
        return list(in_order(numbered))

    def answer_frame(self, frame: Any, batch_size: int = BATCH_SIZE) -> Any:
        """The rows of a pandas DataFrame with columns for their answers beside them: `label`, and `p(NAME)` a label.

        Where the frame has a column of that name, the answer's is `predicted_label`.

        Args:
          frame: has the columns `text_names`; others are kept, `text_b` may be missing.
          batch_size: as for `answer`.

        Raises:
          DataError: a column is missing, or a row has no text.
        """
        import pandas

        columns = list(frame.columns)
        names = [name for name in self.text_names if name in columns]
        for name in {*names, *self.required_names}:
            if columns.count(name) != 1:
                found = "several columns" if name in columns else "no column"
                raise DataError(f"the frame has {found} {name!r}; {closest(name, map(str, columns))}; rename one")
        texts = frame[names].astype(object).where(frame[names].notna(), None).to_dict("records")
        return beside(frame, pandas.DataFrame([flat(answer) for answer in self.answer(texts, batch_size)]))

    def _check(self, row: Mapping[str, Any], number: int) -> None:
        if not isinstance(row, Mapping):
            raise DataError(
                f"row {number} is a {type(row).__name__}, expected texts by name, as in {{'text_a': 'a text'}}"
            )
        unknown = sorted(map(repr, row.keys() - set(self.text_names)))
        if unknown:
            raise DataError(
                f"row {number}: unknown key {one_line(unknown[0], 80)}; expected {', '.join(self.text_names)}"
            )
        for name in self.text_names:
            value = row.get(name)
            if name in self.list_names:
                if fault := lists.fault(value):
                    raise DataError(f"row {number}: {name} {fault}")
                continue
            if value is not None and not isinstance(value, str):
                raise DataError(f"row {number}: {name} is a {type(value).__name__}, expected text")
            if value is not None and lone_surrogate(value):
                raise DataError(f"row {number}: {name} has half a character; correct how the text was read")
            if name in self.required_names and (value is None or not value.strip()):
                raise DataError(f"row {number}: {name} is {'missing' if value is None else 'blank'}; give a text")

    def _answer_together(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        inputs = {
            name: lists.rectangular([row[name] for row in rows]) if name in self.list_names
            else [row.get(name) or "" for row in rows]
            for name in self.input_names
        }  # fmt: skip
        outputs = self.run(inputs)
        return self.reader.answers(outputs, len(rows))

    def close(self) -> None:
        """Frees the engine; the predictor cannot answer afterwards."""
        self._engine.close()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _tokenizer_settings(export_dir: Path) -> dict[str, Any]:
    """What an export says of its texts.

    Raises:
      ExportError: it does not.
    """
    path = export_dir / "assets" / "tokenizer.json"
    try:
        settings = json_object(path.read_bytes())
        inputs = settings.get("inputs", [])
        if not isinstance(settings.get("problem_type"), str):
            raise ValueError("has no problem_type")
        if not isinstance(inputs, list) or not all(isinstance(name, str) for name in inputs):
            raise ValueError("has no list of names under inputs")
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror}); export again") from None
    except ValueError as error:
        raise ExportError(f"{path}: {error}; export again") from None
    return settings
