"""What is in a data set of questions: for `--validate_only`."""

from collections import Counter
from collections.abc import Iterator

from processors.choices.featurizer import CUT, ChoiceFeaturizer
from processors.choices.source import ChoiceSource
from processors.records.featurizer import chunked
from processors.report import UNKNOWN_LIMIT

_CHUNK = 256


def split_lines(source: ChoiceSource, featurizer: ChoiceFeaturizer, unknown_id: int, split: str) -> Iterator[str]:
    """Reads a split once and describes it, a line for each thing.

    Args:
      source: of the questions.
      featurizer: makes their sequences.
      unknown_id: id of the token that stands for what the vocabulary does not have.
      split: `"train"`, `"dev"` or `"test"`.

    Raises:
      DataError: it cannot be read.
    """
    counts: Counter[str] = Counter()
    sizes: Counter[int] = Counter()
    labels: Counter[int] = Counter()
    longest = 0
    for chunk in chunked(source.questions(split), _CHUNK):
        for question, (record,) in zip(chunk, featurizer.featurize(chunk), strict=True):
            lengths = [length for length in record["choice_lengths"] if length]
            ids = record["input_ids"]
            longest = max(longest, *lengths)
            counts.update(
                questions=1, choices=len(lengths), cut=record[CUT], tokens=len(ids), unknown=ids.count(unknown_id)
            )
            sizes[len(lengths)] += 1
            labels.update(() if question.label is None else (question.label,))
    paths = source.data_files(split)
    named = ", ".join(map(str, paths[:2])) + (f" and {len(paths) - 2} more" if len(paths) > 2 else "")
    yield f"{split}: {named}: {counts['questions']} questions, {counts['choices']} choices"
    if not counts["questions"]:
        return
    yield "  choices of a question: " + _listed(sizes)
    yield "  place of the right one: " + (_listed(labels) if labels else "not read")
    tokens = counts["tokens"] / counts["choices"]
    cut = counts["cut"] / counts["choices"]
    yield f"  tokens of a choice with its question: mean {tokens:.1f}, longest {longest}; {cut:.1%} are cut"
    unknown = counts["unknown"] / counts["tokens"]
    if unknown > UNKNOWN_LIMIT:
        yield f"  {unknown:.1%} of the tokens are unknown: the vocabulary does not suit the text"


def _listed(counts: Counter[int]) -> str:
    return ", ".join(f"{value} ({counts[value]})" for value in sorted(counts))
