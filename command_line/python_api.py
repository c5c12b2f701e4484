"""The scripts as functions, for Python programs and notebooks: `from bert import train, evaluate, predict, export`.

They take the flags of the scripts as keyword arguments, run what the scripts run in the same output directories, and
raise `common.errors.BertError` where a script would end with one line.
"""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from command_line import app
from command_line.execution import STANDARD_INPUT, Results
from command_line.flags.parsing import from_values
from command_line.frame import TaskScript
from command_line.run_classifier import SCRIPT as CLASSIFIER
from command_line.run_classifier import ClassifierScript
from common.errors import FlagError
from processors.base import SPLITS, DataProcessor
from processors.tables.dataframe import DataFrameProcessor
from tasks.answers import beside, flat

if TYPE_CHECKING:
    import pandas

PREDICTIONS = "predictions.jsonl"


def train(data: DataProcessor | None = None, *, script: TaskScript[Any] = CLASSIFIER, **flags: Any) -> Path:
    """Trains in `output_dir`, or goes on with a training that was stopped.

    Args:
      data: gives the examples, in place of `task_name`: a `processors.DataFrameProcessor`, or any processor.
      script: whose flags and task; by default those of run_classifier.py.
      flags: as on the command line, for instance `init_checkpoint="...", output_dir="runs/x", num_train_epochs=3`.

    Returns:
      The output directory.

    Raises:
      BertError: an error that the user can fix.
    """
    _run(script, data, flags, do_train=True)
    return Path(flags["output_dir"])


def evaluate(
    data: DataProcessor | None = None, *, script: TaskScript[Any] = CLASSIFIER, **flags: Any
) -> dict[str, float]:
    """Evaluates what was trained in `output_dir` on the dev split.

    Args:
      data: as for `train`.
      script: as for `train`.
      flags: as on the command line; those of the training are remembered.

    Returns:
      Scores by name, as in `eval_results.json`.

    Raises:
      BertError: an error that the user can fix.
    """
    return _run(script, data, flags, do_eval=True).scores


def predict(
    data: DataProcessor | None = None, *, script: TaskScript[Any] = CLASSIFIER, **flags: Any
) -> "pandas.DataFrame":
    """Answers the test split with what was trained in `output_dir`.

    Args:
      data: as for `train`.
      script: as for `train`.
      flags: as on the command line; those of the training are remembered.

    Returns:
      A row for each row that was answered, in order: where `data` is a `DataFrameProcessor`, its test frame with the
      columns `label` and `p(NAME)` of the answers beside its own (`predicted_label`, where it has a column `label`);
      else what `predictions.jsonl` holds.

    Raises:
      BertError: an error that the user can fix.
    """
    _run(script, data, flags, do_predict=True)
    answers = read_predictions(Path(flags["output_dir"]) / PREDICTIONS)
    if not isinstance(data, DataFrameProcessor):
        return answers
    answered = data.frames["test"].iloc[: len(answers)]  # the first ones, with max_predict_examples
    return beside(answered, answers.drop(columns=["id", "text_a", "text_b"]))


def export(*, script: TaskScript[Any] = CLASSIFIER, data: DataProcessor | None = None, **flags: Any) -> Path:
    """Writes SavedModels of what was trained in `output_dir`.

    Args:
      script: as for `train`.
      data: as for `train`.
      flags: as on the command line; those of the training are remembered.

    Returns:
      The folder of the export, for `serving.predictor.Predictor`.

    Raises:
      BertError: an error that the user can fix.
    """
    made = _run(script, data, flags, do_export=True).export
    assert made is not None
    return made


def read_predictions(path: Path) -> "pandas.DataFrame":
    """A `predictions.jsonl` as a DataFrame; probabilities by name become columns `p(NAME)`."""
    import pandas

    with path.open(encoding="utf-8") as lines:
        return pandas.DataFrame([flat(json.loads(line)) for line in lines])


def _run(script: TaskScript[Any], data: DataProcessor | None, flags: dict[str, Any], **action: bool) -> Results:
    app.check_tensorflow()
    if not logging.getLogger().handlers:
        app.set_up_log()
    if data is not None:
        _check_processor(data, script)
        name = "dataframe" if isinstance(data, DataFrameProcessor) else type(data).__name__.lower()
        flags = {"task_name": name, **flags}
    values = from_values({**flags, **action}, script.flags)
    if not values.do_train:
        _check_answers(values)
    values.processor = data
    return script.run(values)


def _check_answers(values: SimpleNamespace) -> None:
    """Refuses flags with which a command prints: what the functions return would be what an earlier command has left.

    Raises:
      FlagError: one of them is given.
    """
    for name in ("validate_only", "only_check_args"):
        if getattr(values, name):
            raise FlagError(f"{name} prints, and nothing is answered; give it to train, or on the command line")
    if getattr(values, "predict_file", None) == STANDARD_INPUT:
        raise FlagError("predict_file=- answers lines of standard input; use serving.predictor.Predictor on an export")


def _check_processor(data: object, script: TaskScript[Any]) -> None:
    """Refuses what gives no examples, and a script that would not read them.

    Raises:
      FlagError: a class, or something else that is no processor; or a script that reads files.
    """
    if not isinstance(script, ClassifierScript):
        raise FlagError(
            f"data gives texts with labels, but {type(script).__name__} reads files; give its flags instead"
        )
    if isinstance(data, type):
        raise FlagError(f"data={data.__name__} is a class; expected a processor, as in {data.__name__}(...)")
    if not any(hasattr(data, f"get_{split}_examples") for split in SPLITS):
        raise FlagError(
            f"data is a {type(data).__name__}; expected a processor, such as DataFrameProcessor(train=frame, "
            'text_a="text", label="label")'
        )
