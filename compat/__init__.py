"""Public names of google-research/bert's modules, on the parts of this project.

The top-level scripts and `optimization.py` give these names when they are asked for, so that importing a script stays
cheap. A name that has no counterpart raises an error that says what to use instead.
"""

import importlib
from collections.abc import Callable

MODULES = (
    "run_classifier",
    "run_squad",
    "run_pretraining",
    "create_pretraining_data",
    "extract_features",
    "optimization",
)

_FLAGS = "flags are not global here: give settings to functions, or run the script; see command_line/flags"
_TENSORFLOW = "import tensorflow.compat.v1 as tf"

INSTEAD: dict[str, dict[str, str]] = {
    "run_classifier": {},
    "run_squad": {
        "InputFeatures": "a window is a processors.squad.windows.Window",
        "FeatureWriter": "run_squad.py writes its records itself",
        "convert_examples_to_features": "processors.squad.windows.SpanFeaturizer makes windows of examples",
        "write_predictions": "tasks.span.task.SpanTask.decode ranks answers, tasks.span.files writes them",
        "validate_flags_or_throw": "run_squad.py checks its flags itself",
        "_improve_answer_span": "processors.squad.windows.SpanFeaturizer places answers",
        "_check_is_max_context": "processors.squad.windows.Window has is_max_context",
        "_get_best_indexes": "tasks.span.ranking.top_indexes",
        "_compute_softmax": "numpy, or scipy.special.softmax",
    },
    "run_pretraining": {"_decode_record": "processors.records.input_fn.parse_batch"},
    "create_pretraining_data": {},
    "extract_features": {},
    "optimization": {},
}
"""Names of upstream without a counterpart, and what to use."""


_WITHOUT_TENSORFLOW = {
    ("run_classifier", name): "processors.base" for name in ("DataProcessor", "InputExample", "PaddingInputExample")
}
"""Names that a processor's file imports; they must not bring TensorFlow along."""


class NoCounterpartError(ImportError):
    """A public name of google-research/bert that this project has no counterpart of."""


def lookup(module: str) -> Callable[[str], object]:
    """The `__getattr__` of a top-level module: its upstream names, found when asked for.

    Args:
      module: one of `MODULES`.
    """

    def find(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        general = {"FLAGS": _FLAGS, "flags": _FLAGS, "tf": _TENSORFLOW}
        instead = general.get(name) or INSTEAD[module].get(name)
        if instead is not None:
            raise NoCounterpartError(f"{module}.{name}: not in this project; {instead}")
        home = _WITHOUT_TENSORFLOW.get((module, name), f"compat.{module}")
        found = getattr(importlib.import_module(home), name, None)
        if found is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return found

    return find
