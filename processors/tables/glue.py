"""GLUE and XNLI, declared: which files, which columns, which labels.

Files are those of the official archives (https://gluebenchmark.com/tasks, https://cims.nyu.edu/~sbowman/xnli/). For the
data sets that google-research/bert reads, columns are its indices and labels its `get_labels` in order, so that its
checkpoints keep their classes; the others go by header name. Quotes are text.
"""

from typing import Any

from common.errors import DataError, closest
from processors.registry import XNLI_LANGUAGES
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, Split, TableFormat, TableSpec

BINARY = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")
NLI = ("contradiction", "entailment", "neutral")

_NO_HEADER = TableFormat(header=False)


def _files(
    train: str = "train.tsv", dev: str = "dev.tsv", test: str = "test.tsv", **differences: Any
) -> dict[str, Split]:
    """The three files; `dev_columns` and `test_columns` where they are not those of training."""
    return {
        "train": Split(train),
        "dev": Split(dev, differences.get("dev_columns")),
        "test": Split(test, differences.get("test_columns")),
    }


class _Published(TableProcessor):
    """A data set in the files of its publishers."""

    is_published = True


class ColaProcessor(_Published):
    """Corpus of Linguistic Acceptability; only its test file has a header."""

    metrics = ("matthews_corrcoef",)
    spec = TableSpec(
        Columns(text_a=3, label=1),
        _NO_HEADER,
        {**_files(), "test": Split("test.tsv", Columns(text_a=1), TableFormat())},
        labels=BINARY,
    )


class MrpcProcessor(_Published):
    """Microsoft Research Paraphrase Corpus."""

    metrics = ("accuracy", "f1")
    spec = TableSpec(
        Columns(text_a=3, text_b=4, label=0), splits=_files(test_columns=Columns(text_a=3, text_b=4)), labels=BINARY
    )


class MnliProcessor(_Published):
    """Multi-Genre Natural Language Inference, evaluated on the genres of training (matched)."""

    metrics = ("accuracy",)
    spec = TableSpec(
        Columns(text_a=8, text_b=9, label=-1),
        splits=_files(dev="dev_matched.tsv", test="test_matched.tsv", test_columns=Columns(text_a=8, text_b=9)),
        labels=NLI,
    )


class MnliMismatchedProcessor(_Published):
    """Multi-Genre Natural Language Inference, evaluated on other genres (mismatched)."""

    metrics = ("accuracy",)
    spec = MnliProcessor.spec.replace(dev_file="dev_mismatched.tsv", test_file="test_mismatched.tsv")


class QnliProcessor(_Published):
    """Question NLI: whether a sentence answers a question; from SQuAD."""

    metrics = ("accuracy",)
    spec = TableSpec(Columns("question", "sentence", "label"), splits=_files(), labels=ENTAILMENT)


class QqpProcessor(_Published):
    """Quora Question Pairs; the published training file has a few broken rows, see `--on_bad_row=skip`."""

    metrics = ("accuracy", "f1")
    spec = TableSpec(Columns("question1", "question2", "is_duplicate"), splits=_files(), labels=BINARY)


class RteProcessor(_Published):
    """Recognizing Textual Entailment."""

    metrics = ("accuracy",)
    spec = TableSpec(Columns("sentence1", "sentence2", "label"), splits=_files(), labels=ENTAILMENT)


class Sst2Processor(_Published):
    """Stanford Sentiment Treebank, two classes."""

    metrics = ("accuracy",)
    spec = TableSpec(Columns("sentence", label="label"), splits=_files(), labels=BINARY)


class StsbProcessor(_Published):
    """Semantic Textual Similarity Benchmark: scores from 0 to 5."""

    metrics = ("pearson", "spearman")
    spec = TableSpec(Columns("sentence1", "sentence2", "score"), splits=_files(), problem_type="regression")


class WnliProcessor(_Published):
    """Winograd NLI."""

    metrics = ("accuracy",)
    spec = TableSpec(Columns("sentence1", "sentence2", "label"), splits=_files(), labels=BINARY)


class XnliProcessor(_Published):
    """Cross-lingual NLI: trained on machine-translated MultiNLI, evaluated on human translations.

    Args:
      language: ISO code of the language; default Chinese, as in google-research/bert.
      **options: as for `TableProcessor`.

    Raises:
      DataError: a language that XNLI does not have.
    """

    metrics = ("accuracy",)

    def __init__(self, language: str = "zh", **options: Any) -> None:
        if language not in XNLI_LANGUAGES:
            raise DataError(f"XNLI has no language {language!r}; {closest(language, XNLI_LANGUAGES)}")
        evaluated = Columns(text_a=6, text_b=7, label=1)
        spec = TableSpec(
            Columns(text_a=0, text_b=1, label=2),
            splits={
                "train": Split(f"multinli/multinli.train.{language}.tsv"),
                "dev": Split("xnli.dev.tsv", evaluated, where=(0, language)),
                "test": Split("xnli.test.tsv", evaluated, where=(0, language)),
            },
            labels=NLI,
            rename={"contradictory": "contradiction"},
        )
        super().__init__(spec, **options)
