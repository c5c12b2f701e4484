"""Outputs of an export that gives vectors."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from tasks.answers import Answer, ExportAnswers, Outputs

TOKEN_SEPARATOR = "\x1f"
"""Between the tokens of a text that is given in tokens."""
TEXTS = ("text_a", "text_b", "tokens")


class VectorAnswers(ExportAnswers):
    """The vector of a text, or those of its tokens; with the tokens, where the export has them."""

    def answers(self, outputs: Mapping[str, NDArray[Any]], count: int) -> list[Answer]:
        """`vector`, D numbers, or `vectors`, D for each token; `num_tokens`, special ones among them; `all_tokens`,
        what they were before the text was cut; where the export has them, `tokens`.
        """
        vectors, lengths, whole = outputs["vectors"], outputs["num_tokens"].tolist(), outputs["all_tokens"].tolist()
        if vectors.ndim == 2:
            made: list[Answer] = [{"vector": row} for row in vectors[:count].tolist()]
        else:
            made = [{"vectors": vectors[row, : lengths[row]].tolist()} for row in range(count)]
        for row, answer in enumerate(made):
            answer |= {"num_tokens": lengths[row], "all_tokens": whole[row]}
            if "tokens" in outputs:
                answer["tokens"] = [token.decode() for token in outputs["tokens"][row, : lengths[row]]]
        return made

    def outputs(self, answers: Sequence[Answer]) -> Outputs:
        """Rows of fewer tokens than others are filled up, as in the signature: 0 and ""."""
        lengths = [answer["num_tokens"] for answer in answers]
        most = max(lengths)
        if "vector" in answers[0]:
            vectors = [answer["vector"] for answer in answers]
        else:
            nothing = [0.0] * len(answers[0]["vectors"][0])
            vectors = [[*answer["vectors"], *[nothing] * (most - answer["num_tokens"])] for answer in answers]
        whole = [answer["all_tokens"] for answer in answers]
        found: Outputs = {"vectors": vectors, "num_tokens": lengths, "all_tokens": whole}
        if "tokens" in answers[0]:
            found["tokens"] = [[*answer["tokens"], *[""] * (most - answer["num_tokens"])] for answer in answers]
        return found
