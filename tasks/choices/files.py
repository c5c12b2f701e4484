"""The files of answered questions, written question by question."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common.files import atomic_writer, csv_row
from processors.choices.question import ChoiceQuestion
from tasks.choices.answers import choice_answer

ANSWERS, TABLE = "predictions.jsonl", "predictions.csv"


@contextlib.contextmanager
def answer_files(folder: Path) -> Iterator[Callable[[ChoiceQuestion, Sequence[float]], None]]:
    """Opens `predictions.jsonl`, a question a line, and `predictions.csv`, a choice a row.

    Returns:
      A function of a question and the probabilities of its choices; call it once a question.
    """
    with atomic_writer(folder / ANSWERS) as lines, atomic_writer(folder / TABLE) as table:
        table.write(csv_row(["id", "question", "place", "choice", "probability", "is_answer"]))

        def write(question: ChoiceQuestion, probabilities: Sequence[float]) -> None:
            answer = choice_answer(question.choices, probabilities)
            texts = {"id": question.guid, "context": question.context, "question": question.question}
            lines.write(json.dumps(texts | answer, ensure_ascii=False) + "\n")
            for place, one in enumerate(answer["choices"]):
                if one["text"]:
                    is_answer = int(place == answer["index"])
                    table.write(
                        csv_row([question.guid, question.question, place, one["text"], one["probability"], is_answer])
                    )

        yield write
