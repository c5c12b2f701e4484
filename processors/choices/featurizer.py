"""A question with its choices -> one record that holds a sequence for each choice."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from common.errors import FlagError
from processors.choices.question import ChoiceQuestion
from processors.choices.trimming import CONTEXT, LONGEST, Lengths, kept_lengths
from processors.records.featurizer import HEAD, Featurizer, kept_pieces, sequence_fields
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features, FeatureSpec, Field
from tokenization.base import TextEncoder

BLANK, FILL, SEPARATE = "blank", "fill", "separate"
JOINS = (BLANK, FILL, SEPARATE)
"""How question and choice become the second text: joined by a blank; likewise, but put in the place of each `_` of a
question that has one; or as two texts with a separator token between."""
GAP = "_"
CUT = "_cut"
"""Where a record has the number of its sequences that lost tokens, for the host alone."""
UNBOUNDED = 1 << 12
"""Choices of a question that static lengths are declared for where there is no bound; nothing is padded to them."""


@dataclasses.dataclass(frozen=True)
class JoiningSettings:
    """How the texts of a question become sequences.

    Args:
      join: one of `JOINS`.
      cut: which part loses tokens, one of `processors.choices.trimming.CUTS`.
      truncation: which tokens of a context that loses some are kept, as `kept_pieces`.
      max_choice_length: as for `kept_lengths`.
    """

    join: str = BLANK
    cut: str = CONTEXT
    truncation: str = HEAD
    max_choice_length: int | None = None


class _Row(NamedTuple):
    """Tokens of one choice; the question has none where it is no text of its own."""

    context: list[int]
    question: list[int]
    is_separate: bool
    choice: list[int]


class Texts(NamedTuple):
    """What is tokenized of a question: the first text, the question where it is a text of its own, each choice."""

    first: str
    question: str
    choices: list[str]


def texts_of(example: ChoiceQuestion, join: str) -> Texts:
    """The texts of a question; "" for a choice that is missing, and for a question that is no text of its own.

    Without a context the question takes its place, without a question each choice stands alone.
    """
    context, question, choices = example.context, example.question, list(example.choices)
    if not context or not question:
        return Texts(context or question, "", choices)
    if join == SEPARATE:
        return Texts(context, question, choices)
    if join == FILL and GAP in question:
        return Texts(context, "", [choice and question.replace(GAP, choice) for choice in choices])
    return Texts(context, "", [choice and f"{question} {choice}" for choice in choices])


class ChoiceFeaturizer(Featurizer):
    """`[CLS] context [SEP] question choice [SEP]` for each choice, one after the other in one record.

    `input_ids`, `input_mask` and `segment_ids` hold the sequences of all choices end to end; `choice_lengths` the
    tokens of each, 0 for a place without a choice; `label_ids` the place of the right one.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens of a sequence, special ones included.
      joining: how texts become sequences.
      max_choices: most places of a question; None for any number.

    Raises:
      FlagError: `max_seq_length` leaves no room for text.
    """

    def __init__(
        self,
        tokenizer: TextEncoder,
        max_seq_length: int,
        joining: JoiningSettings = JoiningSettings(),
        max_choices: int | None = None,
    ) -> None:
        self._tokenizer, self._joining, self._max_seq_length = tokenizer, joining, max_seq_length
        self.layout = layout = PairLayout.of(tokenizer)
        self._specials = layout.specials_of_pair + (layout.separators if joining.join == SEPARATE else 0)
        _check(max_seq_length, self._specials, joining)
        places = max_choices or UNBOUNDED
        self.spec = FeatureSpec(
            (
                *sequence_fields(places * max_seq_length, layout.pad),
                Field("choice_lengths", shape=(None,), static=places),
                Field("label_ids"),
                Field("is_real_example"),
            )
        )

    def settings(self) -> dict[str, Any]:
        """Everything that shapes a record: tokenizer, length, joining, spec."""
        return {
            "tokenizer": self._tokenizer.fingerprint(),
            "max_seq_length": self._max_seq_length,
            "joining": dataclasses.asdict(self._joining),
            "spec": self.spec.to_json(),
        }

    def featurize(self, examples: Sequence[ChoiceQuestion]) -> Iterator[list[Features]]:
        """Yields one window for each question, which holds all its choices."""
        texts = [texts_of(example, self._joining.join) for example in examples]
        flat = [part for one in texts for part in (one.first, one.question, *filter(None, one.choices))]
        pieces = iter(self._tokenizer.encode(flat))
        rows: list[_Row] = []
        there: list[list[bool]] = []
        for one in texts:
            first, question = next(pieces), next(pieces)
            there.append([bool(choice) for choice in one.choices])
            rows += [_Row(first, question, bool(one.question), next(pieces)) for choice in one.choices if choice]
        kept = iter(self._kept(rows))
        for example, places in zip(examples, there, strict=True):
            sequences = [next(kept) if is_there else None for is_there in places]
            yield [self._joined(sequences) | {"label_ids": example.label, "is_real_example": 1}]

    def _kept(self, rows: Sequence[_Row]) -> Iterator[Features]:
        """The sequence of each choice."""
        if not rows:
            return
        parts = ([len(row.context) for row in rows], [len(row.question) for row in rows], [len(r.choice) for r in rows])
        separate = np.array([row.is_separate for row in rows])
        budget = self._max_seq_length - self.layout.specials_of_pair - self.layout.separators * separate
        cut, limit = self._joining.cut, self._joining.max_choice_length
        kept = kept_lengths(Lengths(*map(np.array, parts)), budget, cut, limit, separate, np)
        for row, context, question, choice in zip(rows, *map(np.ndarray.tolist, kept), strict=True):
            first = kept_pieces(row.context, context, self._joining.truncation)
            # A joined text ends in the choice, so that its end is kept.
            skipped = len(row.choice) - choice if cut == CONTEXT and not row.is_separate else 0
            second = row.choice[skipped : skipped + choice]
            if row.is_separate:
                second = [*row.question[:question], *[self.layout.sep] * self.layout.separators, *second]
            is_cut = context < len(row.context) or question < len(row.question) or choice < len(row.choice)
            yield self.layout.features(first, second) | {CUT: is_cut}

    @staticmethod
    def _joined(sequences: Sequence[Features | None]) -> Features:
        """One record of the sequences of all choices."""
        names = ("input_ids", "input_mask", "segment_ids")
        features: Features = {name: [one for seq in sequences if seq for one in seq[name]] for name in names}
        features[CUT] = sum(seq[CUT] for seq in sequences if seq)
        return features | {"choice_lengths": [len(seq["input_ids"]) if seq else 0 for seq in sequences]}


def _check(max_seq_length: int, specials: int, joining: JoiningSettings) -> None:
    if max_seq_length <= specials:
        raise FlagError(
            f"--max_seq_length={max_seq_length} leaves no room for text beside {specials} special tokens; expected at "
            f"least {specials + 1}"
        )
    if joining.max_choice_length is not None and joining.cut == LONGEST:
        raise FlagError(
            f"--max_choice_length={joining.max_choice_length} has a meaning with --cut={CONTEXT} alone; remove it, or "
            f"give --cut={CONTEXT}"
        )
