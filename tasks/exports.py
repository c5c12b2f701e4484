"""Which reader of an export's outputs belongs to its problem type."""

from collections.abc import Mapping

from tasks.answers import ExportAnswers
from tasks.classification.kinds import KINDS
from tasks.entities.answers import EntityAnswers
from tasks.pretraining.answers import MaskAnswers
from tasks.span.answers import SpanAnswers

READERS: Mapping[str, ExportAnswers] = {
    **KINDS,
    "masked_lm": MaskAnswers(),
    "span": SpanAnswers(),
    "entities": EntityAnswers(),
}
"""By the `problem_type` in an export's settings."""


def reader(problem_type: str) -> ExportAnswers:
    """The reader of exports of a problem type; values by output name for one that is not known here."""
    return READERS.get(problem_type, _BY_NAME)


_BY_NAME = ExportAnswers()
