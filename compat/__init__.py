"""Public names of google-research/bert's modules, on the parts of this project.

The top-level scripts and `optimization.py` give these names when they are asked for, so that importing a script stays
cheap. A name that has no counterpart raises an error that says what to use instead.
"""

import dis
import importlib
import sys
from collections.abc import Callable

from common.errors import BertError

NAMES: dict[str, tuple[str, ...]] = {
    "run_classifier": (
        "ColaProcessor", "DataProcessor", "InputExample", "InputFeatures", "MnliProcessor", "MrpcProcessor",
        "PaddingInputExample", "XnliProcessor", "_truncate_seq_pair", "convert_examples_to_features",
        "convert_single_example", "create_model", "file_based_convert_examples_to_features",
        "file_based_input_fn_builder", "input_fn_builder", "model_fn_builder",
    ),
    "run_squad": (
        "FeatureWriter", "InputFeatures", "RawResult", "SquadExample", "_check_is_max_context", "_compute_softmax",
        "_get_best_indexes", "_improve_answer_span", "convert_examples_to_features", "create_model", "get_final_text",
        "input_fn_builder", "model_fn_builder", "read_squad_examples", "validate_flags_or_throw", "write_predictions",
    ),
    "run_pretraining": (
        "gather_indexes", "get_masked_lm_output", "get_next_sentence_output", "input_fn_builder", "model_fn_builder",
    ),
    "create_pretraining_data": (
        "MaskedLmInstance", "TrainingInstance", "create_float_feature", "create_instances_from_document",
        "create_int_feature", "create_masked_lm_predictions", "create_training_instances", "truncate_seq_pair",
        "write_instance_to_example_files",
    ),
    "extract_features": (
        "InputExample", "InputFeatures", "_truncate_seq_pair", "convert_examples_to_features", "input_fn_builder",
        "model_fn_builder", "read_examples",
    ),
    "optimization": ("AdamWeightDecayOptimizer", "create_optimizer"),
    "run_classifier_with_tfhub": ("create_model", "create_tokenizer_from_hub_module", "model_fn_builder"),
}  # fmt: skip
"""What each module gives; `from run_classifier import *` binds the names without an underscore."""

MODULES = tuple(NAMES)

_FLAGS = (
    "flags are not global here: give settings to functions, define the flags of your program with absl.flags, or run "
    "the script"
)
_TENSORFLOW = "import tensorflow.compat.v1 as tf"

INSTEAD: dict[str, dict[str, str]] = {
    "run_classifier": {},
    "run_squad": {},
    "run_pretraining": {"_decode_record": "processors.records.input_fn.parse_batch"},
    "create_pretraining_data": {},
    "extract_features": {},
    "optimization": {},
    "run_classifier_with_tfhub": {},
}
"""Names of upstream without a counterpart, and what to use."""

_GENERAL = {"FLAGS": _FLAGS, "flags": _FLAGS, "tf": _TENSORFLOW}
_ITS_IMPORTS: dict[str, tuple[str, ...]] = {
    "run_classifier": ("collections", "csv", "os", "modeling", "optimization", "tokenization"),
    "run_squad": ("collections", "json", "math", "os", "random", "modeling", "optimization", "tokenization"),
    "run_pretraining": ("os", "modeling", "optimization"),
    "create_pretraining_data": ("collections", "random", "tokenization"),
    "extract_features": ("codecs", "collections", "json", "re", "modeling", "tokenization"),
    "optimization": ("re",),
    "run_classifier_with_tfhub": ("os", "optimization", "run_classifier", "tokenization"),
}
"""Modules that upstream's import, which people take from there: `run_classifier.tokenization`, or by a star."""

_WITHOUT_TENSORFLOW = {
    ("run_classifier", name): "processors.base" for name in ("DataProcessor", "InputExample", "PaddingInputExample")
}
"""Names that a processor's file imports; they must not bring TensorFlow along."""


class NoCounterpartError(BertError):
    """A public name of google-research/bert that this project has no counterpart of."""


class _NoAttributeError(NoCounterpartError, AttributeError):
    """Raised for `module.name`, `hasattr` and `getattr`, which take it for what it is: no such attribute."""


class _NoNameToImportError(NoCounterpartError, ImportError):
    """Raised for `from module import name`, which would replace the message of an `AttributeError` by its own."""


def lookup(module: str) -> Callable[[str], object]:
    """The `__getattr__` of a top-level module: its upstream names, found when asked for.

    Args:
      module: one of `MODULES`.
    """

    def find(name: str) -> object:
        if name == "__all__":
            return _star(module)
        instead = _GENERAL.get(name) or INSTEAD[module].get(name)
        if instead is not None:
            kind = _NoNameToImportError if _is_import(sys._getframe(1)) else _NoAttributeError
            raise kind(f"{module}.{name}: not in this project; {instead}")
        if name in _ITS_IMPORTS[module]:
            return importlib.import_module(name)
        if name not in NAMES[module]:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home = _WITHOUT_TENSORFLOW.get((module, name), f"compat.{module}")
        return getattr(importlib.import_module(home), name)

    return find


def _star(module: str) -> list[str]:
    """What `from module import *` binds: upstream's public names, `main`, and the modules that upstream imports."""
    names = [name for name in NAMES[module] if not name.startswith("_")]
    main = [] if module == "optimization" else ["main"]
    return [*names, *main, *_ITS_IMPORTS[module]]


def _is_import(frame: object) -> bool:
    """Whether a frame is executing `from module import name`."""
    code, last = getattr(frame, "f_code", None), getattr(frame, "f_lasti", -1)
    return code is not None and last >= 0 and dis.opname[code.co_code[last]] == "IMPORT_FROM"
