"""What belongs to the problem type of an export: the reader of its outputs, and its signature on texts."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import ExportError
from tasks.answers import ExportAnswers
from tasks.base import TextSignature
from tasks.choices.answers import ChoiceAnswers
from tasks.classification.kinds import KINDS
from tasks.entities.answers import EntityAnswers
from tasks.pretraining.answers import MaskAnswers
from tasks.sequences.answers import SequenceAnswers
from tasks.span.answers import SpanAnswers
from tasks.text_rows import TextRows
from tasks.vectors.answers import VectorAnswers
from tokenization.base import Tokenizer

READERS: Mapping[str, ExportAnswers] = {
    **KINDS,
    "masked_lm": MaskAnswers(),
    "span": SpanAnswers(),
    "entities": EntityAnswers(),
    "vectors": VectorAnswers(),
    "sequences": SequenceAnswers(),
    "multiple_choice": ChoiceAnswers(),
}
"""By the `problem_type` in an export's settings."""


def reader(problem_type: str) -> ExportAnswers:
    """The reader of exports of a problem type; values by output name for one that is not known here."""
    return READERS.get(problem_type, _BY_NAME)


_SIGNATURES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(KINDS, ("tasks.classification.signature", "LabelTextSignature")),
    "masked_lm": ("tasks.pretraining.signature", "MaskedTextSignature"),
    "span": ("tasks.span.signature", "SpanTextSignature"),
    "entities": ("tasks.entities.signature", "EntityTextSignature"),
    "vectors": ("tasks.vectors.signature", "VectorTextSignature"),
    "sequences": ("tasks.sequences.signature", "SequenceTextSignature"),
    "multiple_choice": ("tasks.choices.signature", "ChoiceTextSignature"),
}
"""Module and class by problem type; imported where a graph is built."""


def text_signature(tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> TextSignature:
    """The signature on texts that belongs to an export with signatures on ids; see `TextSignature.of_export`.

    Raises:
      ExportError: there is none for its problem type.
    """
    try:
        module, name = _SIGNATURES[settings["problem_type"]]
    except KeyError:
        raise ExportError(
            f"{assets.parent}: takes ids alone, and there is no way from texts to them for its problem type "
            f"{settings['problem_type']}"
        ) from None
    signature: TextSignature = getattr(importlib.import_module(module), name).of_export(tokenizer, settings, assets)
    return signature


_TEXT_ROWS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(KINDS, ("tasks.classification.text_rows", "LabelRows")),
    "masked_lm": ("tasks.pretraining.text_rows", "MaskedRows"),
    "span": ("tasks.span.text_rows", "SpanRows"),
    "entities": ("tasks.entities.text_rows", "EntityRows"),
    "vectors": ("tasks.vectors.text_rows", "VectorRows"),
    "multiple_choice": ("tasks.choices.text_rows", "ChoiceRows"),
}
"""Module and class by problem type."""


def text_rows(tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> TextRows:
    """The text signature in NumPy, for an engine that computes the ids signature of an export.

    Raises:
      ExportError: its problem type has none.
    """
    found = _TEXT_ROWS.get(settings["problem_type"])
    if found is None:
        raise ExportError(
            f"{assets.parent}: exports of problem type {settings['problem_type']} are computed by TensorFlow alone; "
            "choose --engine=tensorflow"
        )
    rows: TextRows = getattr(importlib.import_module(found[0]), found[1]).of_export(tokenizer, settings, assets)
    return rows


def has_text_rows(problem_type: str) -> bool:
    """Whether `text_rows` has a class for a problem type."""
    return problem_type in _TEXT_ROWS


_BY_NAME = ExportAnswers()
