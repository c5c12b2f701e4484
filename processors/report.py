"""What is in a data set, before anything is trained on it: for `--validate_only`."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from common.errors import DataError
from processors.base import SPLITS, InputExample
from processors.example_source import ExampleSource
from processors.reading import MissingDataError
from processors.records.document_windows import WindowPlan
from processors.tables.labels import look_alikes
from tokenization.base import Tokenizer

PERCENTILES = (50, 90, 95, 99)
UNKNOWN_LIMIT = 0.05
"""Share of unknown tokens above which the vocabulary does not suit the text."""

_CHUNK = 2048


def data_report(
    source: ExampleSource,
    tokenizer: Tokenizer,
    max_seq_length: int,
    splits: Sequence[str] = SPLITS,
    window_plan: Callable[[int, int | None], WindowPlan | None] | None = None,
) -> dict[str, Any]:
    """Reads every row once and describes it; of texts only hashes are kept.

    Args:
      source: gives the examples.
      tokenizer: of the model.
      max_seq_length: tokens a row beyond which it is truncated, special tokens included.
      splits: which to read.
      window_plan: `TextFeaturizer.window_plan`, where texts may be read in windows.

    Returns:
      Plain JSON: `splits` (for each its rows, labels, lengths, ...; or why it is absent), `leakage`, `warnings`.

    Raises:
      DataError: a row that cannot be used, or none of the splits is there.
    """
    report: dict[str, Any] = {"max_seq_length": max_seq_length, "splits": {}, "leakage": [], "warnings": []}
    seen: dict[str, dict[int, int]] = {}
    for split in splits:
        summary = _SplitSummary(source, tokenizer, max_seq_length, window_plan)
        try:
            summary.read(source.examples(split))
        except (MissingDataError, FileNotFoundError) as error:
            report["splits"][split] = {"absent": str(error)}
            continue
        report["splits"][split] = summary.describe(getattr(source.processor, "bad_rows", {}).get(split))
        seen[split] = summary.hashes
    if not seen:
        raise DataError("; ".join(entry["absent"] for entry in report["splits"].values()))
    for first, second in itertools.combinations(seen, 2):
        shared = len(seen[first].keys() & seen[second].keys())
        report["leakage"].append({"splits": [first, second], "texts": shared})
    report["warnings"] = _warnings(report)
    return report


class _SplitSummary:
    """Counts of one split."""

    def __init__(
        self,
        source: ExampleSource,
        tokenizer: Tokenizer,
        max_seq_length: int,
        window_plan: Callable[[int, int | None], WindowPlan | None] | None = None,
    ) -> None:
        self._problem_type = source.problem_type
        self._labels = source.labels
        self._tokenizer = tokenizer
        self._unknown_id = tokenizer.special_ids.unk
        self._max_seq_length = max_seq_length
        self._rows = self._unlabelled = self._pieces = self._unknown = self._repeated = self._contradicting = 0
        self._label_counts: Counter[str] = Counter(dict.fromkeys(self._labels, 0))
        self._score_counts: Counter[float] = Counter()
        self._lengths: Counter[int] = Counter()
        self._window_plan = window_plan
        self._windows: Counter[int] = Counter()
        self._cut_rows = self._lost = 0
        self.hashes: dict[int, int] = {}

    def read(self, examples: Iterable[InputExample]) -> None:
        """Counts all examples, a chunk at a time."""
        stream = iter(examples)
        while chunk := list(itertools.islice(stream, _CHUNK)):
            self._rows += len(chunk)
            self._count_pieces(chunk)
            for example in chunk:
                self._count_label(example)
                self._count_duplicate(example)

    def describe(self, bad_rows: Any = None) -> dict[str, Any]:
        """The counts as plain JSON."""
        skipped = {} if bad_rows is None else dict(bad_rows.counts)
        return {
            "rows": self._rows,
            "unlabelled": self._unlabelled,
            **self._describe_labels(),
            "look_alikes": look_alikes(self._labels),
            "duplicates": self._repeated,
            "contradicting_duplicates": self._contradicting,
            "lengths": _percentiles(self._lengths),
            "truncated": sum(count for length, count in self._lengths.items() if length > self._max_seq_length),
            **self._describe_windows(),
            "unknown_rate": self._unknown / max(self._pieces, 1),
            "skipped": skipped,
            "skipped_summary": str(bad_rows) if skipped else "",
        }

    def _count_pieces(self, chunk: list[InputExample]) -> None:
        pairs = [example for example in chunk if example.text_b is not None]
        encoded = self._tokenizer.encode([e.text_a for e in chunk] + [str(e.text_b) for e in pairs])
        second = iter(encoded[len(chunk) :])
        for example, ids in zip(chunk, encoded, strict=False):
            length_b = None if example.text_b is None else len(next(second))
            self._lengths[len(ids) + (2 if length_b is None else 3 + length_b)] += 1
            self._count_windows(len(ids), length_b)
        self._pieces += sum(map(len, encoded))
        self._unknown += sum(ids.count(self._unknown_id) for ids in encoded)

    def _count_windows(self, length_a: int, length_b: int | None) -> None:
        plan = self._window_plan(length_a, length_b or None) if self._window_plan else None
        if plan is not None:
            self._windows[plan.needed] += 1
            self._cut_rows += plan.lost > 0
            self._lost += plan.lost

    def _describe_windows(self) -> dict[str, Any]:
        """Windows that rows have, and what they leave out beside what a single sequence would."""
        if not self._windows:
            return {}
        pieces = max(self._pieces, 1)
        beyond = sum(count * max(length - self._max_seq_length, 0) for length, count in self._lengths.items())
        return {
            "windows": _percentiles(self._windows),
            "cut": {"rows": self._cut_rows, "pieces": self._lost / pieces, "pieces_without": beyond / pieces},
        }

    def _count_label(self, example: InputExample) -> None:
        label = example.label
        if label is None:
            self._unlabelled += 1
        elif self._problem_type.has_labels:
            self._label_counts.update(self._problem_type.names(label))
        else:
            self._score_counts[float(label)] += 1  # type: ignore[arg-type]

    def _count_duplicate(self, example: InputExample) -> None:
        label = hash(example.label if not isinstance(example.label, list) else tuple(example.label))
        texts = hash((example.text_a, example.text_b))
        if texts in self.hashes:
            self._repeated += 1
            self._contradicting += self.hashes[texts] != label
        else:
            self.hashes[texts] = label

    def _describe_labels(self) -> dict[str, Any]:
        labelled = self._rows - self._unlabelled
        if not self._problem_type.has_labels:
            return {"scores": _moments(self._score_counts)} if labelled else {}
        if not labelled:
            return {"labels": {}}
        counts = dict(self._label_counts)
        majority = max(counts, key=lambda name: counts[name], default=None)
        entry: dict[str, Any] = {"labels": counts}
        if self._problem_type.is_exclusive:
            entry["majority"] = {"label": majority, "accuracy": counts[majority] / labelled if majority else 0.0}
        return entry


def _percentiles(lengths: Counter[int]) -> dict[str, int]:
    """Nearest-rank percentiles and the maximum.

    Example:
      >>> _percentiles(Counter({3: 9, 40: 1}))
      {'50': 3, '90': 3, '95': 40, '99': 40, 'max': 40}
    """
    if not lengths:
        return {}
    total, result, below = lengths.total(), {}, 0
    wanted = list(PERCENTILES)
    for length in sorted(lengths):
        below += lengths[length]
        while wanted and 100 * below >= wanted[0] * total:
            result[str(wanted.pop(0))] = length
    return {**result, "max": max(lengths)}


def _moments(scores: Counter[float]) -> dict[str, float]:
    total = scores.total()
    mean = sum(score * count for score, count in scores.items()) / total
    variance = sum((score - mean) ** 2 * count for score, count in scores.items()) / total
    return {"min": min(scores), "mean": mean, "max": max(scores), "standard_deviation": math.sqrt(variance)}


def _warnings(report: dict[str, Any]) -> list[str]:
    present = {split: entry for split, entry in report["splits"].items() if "absent" not in entry}
    found = []
    for split, entry in present.items():
        if entry["unknown_rate"] > UNKNOWN_LIMIT:
            found.append(
                f"{split}: {entry['unknown_rate']:.1%} of the pieces are unknown, expected below {UNKNOWN_LIMIT:.0%}; "
                "check that --vocab_file and --do_lower_case suit the text"
            )
        if entry["contradicting_duplicates"]:
            found.append(f"{split}: {entry['contradicting_duplicates']} rows repeat a text with another label")
        found += [
            f"train: no row has label {label!r}; it cannot be learnt"
            for label, count in entry.get("labels", {}).items()
            if split == "train" and not count
        ]
    found += [
        f"{leak['texts']} texts are in both {leak['splits'][0]} and {leak['splits'][1]}; scores on the latter flatter"
        for leak in report["leakage"]
        if leak["texts"]
    ]
    for entry in present.values():
        found += [
            f"labels {a!r} and {b!r} differ only in what the eye does not see, or in how a number is written"
            for a, b in entry["look_alikes"]
        ]
    return list(dict.fromkeys(found))


def format_report(report: dict[str, Any]) -> str:
    """The report of `data_report` as lines to read."""
    lines = []
    for split, entry in report["splits"].items():
        if "absent" in entry:
            lines.append(f"{split}: absent ({entry['absent']})")
        else:
            lines += [f"{split}: {entry['rows']} rows", *_split_lines(entry, report["max_seq_length"])]
    lines += [f"in both {a} and {b}: {leak['texts']} texts" for leak in report["leakage"] for a, b in [leak["splits"]]]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in report["warnings"])])


def _split_lines(entry: dict[str, Any], max_seq_length: int) -> list[str]:
    rows = max(entry["rows"], 1)
    labelled = max(entry["rows"] - entry["unlabelled"], 1)
    lines = []
    if entry.get("labels"):
        shares = (f"{name} {count} ({count / labelled:.1%})" for name, count in entry["labels"].items())
        lines.append("labels: " + ", ".join(shares))
    if entry.get("majority"):
        lines.append(f"always {entry['majority']['label']}: accuracy {entry['majority']['accuracy']:.1%}")
    if entry.get("scores"):
        lines.append("scores: " + ", ".join(f"{key.replace('_', ' ')} {x:.4g}" for key, x in entry["scores"].items()))
    if entry["unlabelled"]:
        lines.append(f"unlabelled: {entry['unlabelled']}")
    lengths = _in_words(entry["lengths"])
    verb = "longer than" if "windows" in entry else "truncated at"
    truncated = f"{entry['truncated']} rows ({entry['truncated'] / rows:.1%}) are {verb} {max_seq_length}"
    lines.append(f"pieces a row: {lengths}; {truncated}")
    if "windows" in entry:
        cut, windows = entry["cut"], _in_words(entry["windows"])
        lines.append(f"windows a row: {windows}; {cut['rows']} rows ({cut['rows'] / rows:.1%}) lose pieces")
        lines.append(f"pieces that are cut: {cut['pieces']:.1%} with windows, {cut['pieces_without']:.1%} without")
    lines.append(f"unknown pieces: {entry['unknown_rate']:.2%}")
    lines.append(f"duplicates: {entry['duplicates']}, of them {entry['contradicting_duplicates']} with another label")
    if entry["skipped_summary"]:
        lines.append(entry["skipped_summary"])
    return [f"  {line}" for line in lines]


def _in_words(percentiles: dict[str, int]) -> str:
    return ", ".join(f"{key} {n}" if key == "max" else f"{key}% {n}" for key, n in percentiles.items())
