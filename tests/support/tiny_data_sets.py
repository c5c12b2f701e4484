"""Tiny data sets, each in the layout that its registered processor reads."""

import itertools
from pathlib import Path

from processors.registry import XNLI_LANGUAGES
from tests.support.tiny_choices import write_opinion

BINARY, NLI, ENTAILMENT = ["0", "1"], ["neutral", "entailment", "contradiction"], ["not_entailment", "entailment"]


def write_rows(path: Path, rows: list[list[str]], delimiter: str = "\t") -> Path:
    """Writes a delimited file without quoting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8", newline="\n")
    return path


def rows_of(header: list[str] | None, row: list[str], labels: list[str], count: int = 4) -> list[list[str]]:
    """`count` rows like `row`, where `{i}` is the number of the row and `{label}` takes turns among `labels`."""
    turns = itertools.cycle(labels)
    filled = [[cell.format(i=i, label=label) for cell in row] for i, label in zip(range(count), turns, strict=False)]
    return ([] if header is None else [header]) + filled


def write_splits(folder, header, row, labels, test_header, test_row, names=("train", "dev", "test")):
    train, dev, test = (folder / f"{name}.tsv" for name in names)
    write_rows(train, rows_of(header, row, labels))
    write_rows(dev, rows_of(header, row, labels))
    write_rows(test, rows_of(test_header, test_row, labels))


def write_cola(folder):
    write_splits(folder, None, ["src", "{label}", "", "Text {i}."], BINARY, ["index", "sentence"], ["{i}", "Text {i}."])


def write_mrpc(folder):
    ids = ["#1 ID", "#2 ID", "#1 String", "#2 String"]
    row = ["7", "8", 'First " {i}', "Second {i}"]
    write_splits(folder, ["Quality", *ids], ["{label}", *row], BINARY, ["index", *ids], ["{i}", *row])


def write_mnli(folder, kind="matched"):
    head = ["index", "promptID", "pairID", "genre", "s1_bp", "s2_bp", "s1_p", "s2_p", "sentence1", "sentence2"]
    row = ["{i}", "p", "q", "fiction", "( a )", "( b )", "(A)", "(B)", "First {i}", "Second {i}"]
    names = ("train", f"dev_{kind}", f"test_{kind}")
    extra = ["label1", "gold_label"]
    write_splits(folder, [*head, *extra], [*row, "{label}", "{label}"], NLI, head, row, names)


def write_named(*columns, labels, label_column, row=None):
    def write(folder):
        texts = [f"{name} {{i}}" for name in columns]
        write_splits(
            folder,
            ["index", *columns, label_column],
            ["{i}", *texts, "{label}"],
            labels,
            ["index", *columns],
            ["{i}", *texts],
        )

    return write


def write_xnli(language):
    def write(folder):
        rows = rows_of(
            ["premise", "hypo", "label"], ["First {i}", "Second {i}", "{label}"], [*NLI[:2], "contradictory"]
        )
        write_rows(folder / "multinli" / f"multinli.train.{language}.tsv", rows)
        header = ["language", "gold_label", "sb1", "sb2", "sp1", "sp2", "sentence1", "sentence2"]
        row = ["{label}", "", "", "", "", "First {i}", "Second {i}"]
        other = "en" if language != "en" else "fr"
        rows = rows_of(header, [language, *row], NLI) + rows_of(None, [other, *row], NLI)
        write_rows(folder / "xnli.dev.tsv", rows)
        write_rows(folder / "xnli.test.tsv", rows)

    return write


def write_table(folder):
    write_splits(folder, ["text", "label"], ["Text {i}", "{label}"], ["good", "bad"], ["text"], ["Text {i}"])


TINY_DATA = {
    "cola": write_cola,
    "mnli": write_mnli,
    "mnli-mm": lambda folder: write_mnli(folder, "mismatched"),
    "mrpc": write_mrpc,
    "opinion": write_opinion,
    "qnli": write_named("question", "sentence", labels=ENTAILMENT, label_column="label"),
    "qqp": write_named("qid1", "qid2", "question1", "question2", labels=BINARY, label_column="is_duplicate"),
    "rte": write_named("sentence1", "sentence2", labels=ENTAILMENT, label_column="label"),
    "sst-2": write_named("sentence", labels=BINARY, label_column="label"),
    "sts-b": write_named("genre", "sentence1", "sentence2", labels=["0.000", "4.750"], label_column="score"),
    "table": write_table,
    "wnli": write_named("sentence1", "sentence2", labels=BINARY, label_column="label"),
    "xnli": write_xnli("zh"),
    **{f"xnli-{language}": write_xnli(language) for language in XNLI_LANGUAGES},
}
