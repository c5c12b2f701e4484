"""What is in a data set of sentences, and every row that cannot be used: for `--validate_only`."""

from collections import Counter
from collections.abc import Iterator

from common.errors import DataError
from processors.entities.featurizer import SentenceFeaturizer
from processors.entities.source import SentenceSource
from processors.entities.tags import NONE, spans_of_tags
from processors.records.featurizer import chunked
from processors.report import UNKNOWN_LIMIT

SHOWN = 20
"""Most problems, and most types or tags, that are listed."""
_CHUNK = 512


class Problems:
    """Notes the problems of rows instead of stopping at the first; the same one once."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    def __call__(self, error: DataError) -> None:
        """Notes a problem."""
        self.found[str(error)] = None

    def refuse(self) -> None:
        """Prints the problems, if any, and stops.

        Raises:
          DataError: there are some.
        """
        if self.found:
            print("\n".join([f"{len(self.found)} problems:", *self.lines()]))
            raise DataError(f"{len(self.found)} rows cannot be used, the first: {next(iter(self.found))}")

    def lines(self) -> Iterator[str]:
        """The first of them, a line each, and how many more there are."""
        for problem in list(self.found)[:SHOWN]:
            yield f"  {problem}"
        if len(self.found) > SHOWN:
            yield f"  ... and {len(self.found) - SHOWN} more"


def split_lines(source: SentenceSource, featurizer: SentenceFeaturizer, unknown_id: int, split: str) -> Iterator[str]:
    """Reads a split once and describes it, a line for each thing.

    Args:
      source: of the sentences.
      featurizer: makes their windows.
      unknown_id: id of the token that stands for what the vocabulary does not have.
      split: `"train"`, `"dev"` or `"test"`.

    Raises:
      DataError: it cannot be read.
    """
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for chunk in chunked(source.sentences(split), _CHUNK):
        for sentence, windows in zip(chunk, featurizer.featurize(chunk), strict=True):
            try:
                featurizer.check_words(sentence, windows)
            except DataError as error:
                source.on_problem(error)
            ids = [one for window in windows for one in window["input_ids"]]
            counts.update(
                sentences=1, words=len(sentence.words), windows=len(windows), cut=int(len(windows) > 1),
                tokens=len(ids), unknown=ids.count(unknown_id), tagged=int(sentence.tags is not None),
            )  # fmt: skip
            tags = sentence.tags or []
            kinds.update(tags if source.scheme == NONE else (span.type or "_" for span in spans_of_tags(tags)))
    paths = ", ".join(str(path) for path in source.data_files(split))
    yield (
        f"{split}: {paths}: {counts['sentences']} sentences, {counts['words']} words, {counts['windows']} windows "
        f"({counts['cut']} sentences are cut), scheme {source.scheme}"
    )
    if counts["tagged"]:
        named = ", ".join(f"{name} {count}" for name, count in kinds.most_common(SHOWN))
        more = f", and {len(kinds) - SHOWN} more" if len(kinds) > SHOWN else ""
        yield f"  {'tags' if source.scheme == NONE else 'entities'}: {named or 'none'}{more}"
    else:
        yield "  no tags"
    unknown = counts["unknown"] / max(counts["tokens"], 1)
    if unknown > UNKNOWN_LIMIT:
        yield f"  {unknown:.1%} of the tokens are unknown: the vocabulary does not suit the text"
