"""The answer to one question: which choice, and how probable each is; one form for files and exports."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.answers import Answer, ExportAnswers, Outputs


def choice_answer(choices: Sequence[str], probabilities: Sequence[float]) -> Answer:
    """The most probable choice with its place from 0, and each choice with its probability.

    Args:
      choices: texts by place; "" where there is none.
      probabilities: of the places; 0 where there is none.
    """
    index = int(np.argmax(probabilities))
    return {
        "index": index,
        "answer": choices[index],
        "probability": float(probabilities[index]),
        "choices": [
            {"text": text, "probability": float(probability)}
            for text, probability in zip(choices, probabilities, strict=True)
        ],
    }


class ChoiceAnswers(ExportAnswers):
    """Which choice, and each with its probability."""

    needs_all_texts = True

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        """As `choice_answer`."""
        found = []
        for row in range(count):
            size = int(outputs["num_choices"][row])
            texts = [text.decode() for text in outputs["choices"][row][:size]]
            found.append(choice_answer(texts, outputs["probabilities"][row][:size].tolist()))
        return found

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """Rows of fewer choices than others are filled up, as in the signature: "" and 0."""
        sizes = [len(answer["choices"]) for answer in answers]
        filled = [
            [*answer["choices"], *[{"text": "", "probability": 0.0}] * (max(sizes) - size)]
            for answer, size in zip(answers, sizes, strict=True)
        ]
        return {
            "answer": [answer["answer"] for answer in answers],
            "index": [answer["index"] for answer in answers],
            "num_choices": sizes,
            "choices": [[one["text"] for one in row] for row in filled],
            "probabilities": [[one["probability"] for one in row] for row in filled],
        }
