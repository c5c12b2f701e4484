"""What belongs to the problem type of an export: the reader of its outputs, and its signature on texts."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import ExportError
from tasks.answers import ExportAnswers
from tasks.base import TextSignature
from tasks.classification.kinds import KINDS
from tasks.entities.answers import EntityAnswers
from tasks.pretraining.answers import MaskAnswers
from tasks.span.answers import SpanAnswers
from tasks.vectors.answers import VectorAnswers
from tokenization.base import Tokenizer

READERS: Mapping[str, ExportAnswers] = {
    **KINDS,
    "masked_lm": MaskAnswers(),
    "span": SpanAnswers(),
    "entities": EntityAnswers(),
    "vectors": VectorAnswers(),
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


_BY_NAME = ExportAnswers()
