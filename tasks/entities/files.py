"""The files of predicted tags, written sentence by sentence."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.files import atomic_writer
from processors.entities.sentence import Sentence, text_of
from processors.entities.tags import IOB2, NONE, spans_of_tags, tags_of_spans
from tasks.entities.answers import entity, sentence_answer, spans_of
from tasks.entities.decoding import Decoded

COLUMNS, LINES, EVALUATED = "predictions.conll", "predictions.jsonl", "label_test.txt"

_SEPARATORS = re.compile(r"[\t\r\n]")
_BLANKS = re.compile(r"\s")

TagWriter = Callable[[Sentence, Sequence[str], Decoded], None]


@contextlib.contextmanager
def tag_files(folder: Path, scheme: str, between: str = " ") -> Iterator[TagWriter]:
    """Opens `predictions.conll`, `predictions.jsonl` and, for sentences that have tags, `label_test.txt`.

    `predictions.conll` has the columns of the input, tab-separated, and the predicted tag in the scheme of the data;
    `label_test.txt` has word, tag and predicted tag in IOB2, blank-separated, for `conlleval.pl`.

    Args:
      folder: of the files.
      scheme: that the data is written in.
      between: joins the words of sentences without a text.

    Returns:
      A function of a sentence, its predicted tags and how they were decoded.
    """
    with contextlib.ExitStack() as stack:
        columns = stack.enter_context(atomic_writer(folder / COLUMNS))
        lines = stack.enter_context(atomic_writer(folder / LINES))
        evaluated: list[Any] = []

        def write(sentence: Sentence, tags: Sequence[str], decoded: Decoded) -> None:
            shown = in_scheme(tags, scheme)
            cells = sentence.columns or _cells(sentence)
            for row, tag in zip(cells, shown, strict=True):
                columns.write("\t".join([*row, tag]) + "\n")
            columns.write("\n")
            lines.write(json.dumps(answer_line(sentence, tags, decoded, scheme, between), ensure_ascii=False) + "\n")
            if sentence.tags is not None:
                if not evaluated:
                    evaluated.append(stack.enter_context(atomic_writer(folder / EVALUATED)))
                for word, gold, tag in zip(sentence.words, sentence.tags, tags, strict=True):
                    evaluated[0].write(" ".join(_BLANKS.sub("_", cell) for cell in (word, gold, tag)) + "\n")
                evaluated[0].write("\n")

        yield write
        if not evaluated:  # that of an earlier prediction would be about other sentences
            (folder / EVALUATED).unlink(missing_ok=True)


def in_scheme(tags: Sequence[str], scheme: str) -> list[str]:
    """Predicted tags as the data is written; IOB2 as it was predicted, ill-formed or not."""
    return list(tags) if scheme in (IOB2, NONE) else tags_of_spans(spans_of_tags(tags), len(tags), scheme)


def answer_line(
    sentence: Sentence, tags: Sequence[str], decoded: Decoded, scheme: str, between: str = " "
) -> dict[str, Any]:
    """One sentence for people: its line in the file, its text, and the answer."""
    text, offsets = text_of(sentence, between)
    entities = [
        entity(text, offsets[start][0], offsets[end - 1][1], kind, decoded.probability(start, end))
        for start, end, kind in spans_of(tags, scheme)
    ]
    answer = sentence_answer(text, offsets, tags, decoded.probabilities.tolist(), entities)
    return {"line": sentence.line, "text": text, **answer}


def _cells(sentence: Sentence) -> list[list[str]]:
    """Word and tag of a sentence that is not of a column file, whose words may have any characters."""
    words = [_SEPARATORS.sub("_", word) for word in sentence.words]
    if sentence.tags is None:
        return [[word] for word in words]
    return [[word, tag] for word, tag in zip(words, sentence.tags, strict=True)]
