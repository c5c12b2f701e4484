"""Outputs of an export that answers questions."""

from tasks.answers import ExportAnswers


class SpanAnswers(ExportAnswers):
    """An answer has the values of the signature; a question without a context has none."""

    needs_all_texts = True
    reads_windows = True
