"""Text whose tokens a masked-language model predicts: where it says [MASK], or every token in turn."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.errors import DataError, FlagError, one_line
from processors.pretraining.instance_records import pretraining_spec
from processors.records.featurizer import Featurizer
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features
from processors.text_lines import TextLine
from tokenization.base import Tokenizer

BEFORE_MASK = " \t\r\n"
"""Blanks that a mask takes in: some vocabularies have them as a part of the token that it stands for."""


class _MaskedFeaturizer(Featurizer):
    """Rows of a masked-language model from lines of text.

    Args:
      tokenizer: of the model; None where only the schema of finished records is asked for.
      max_seq_length: most tokens a row, special ones included.
      max_predictions_per_seq: most masked tokens in a row.
      next_sentence: whether records have `next_sentence_labels`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer | None,
        max_seq_length: int,
        max_predictions_per_seq: int,
        next_sentence: bool = True,
    ) -> None:
        self._given_tokenizer = tokenizer
        self._max_seq_length = max_seq_length
        self._limit = max_predictions_per_seq
        self.spec = pretraining_spec(max_seq_length, max_predictions_per_seq, next_sentence)

    def settings(self) -> dict[str, Any]:
        """Tokenizer and schema."""
        return {"tokenizer": self.tokenizer.fingerprint(), "spec": self.spec.to_json()}

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, for those who read text.

        Raises:
          FlagError: there is none.
        """
        if self._given_tokenizer is None:
            raise FlagError(
                "--vocab_file is missing: text is read with it, and neither --output_dir nor the folder of "
                "--init_checkpoint holds one; give its path"
            )
        return self._given_tokenizer

    @property
    def _mask_id(self) -> int:
        special = self.tokenizer.special_ids
        if special.mask is None:
            name = self.tokenizer.special_tokens.mask
            raise FlagError(f"--vocab_file: it has no {name}, which a masked-language model needs; give its own")
        return special.mask


class FillMaskFeaturizer(_MaskedFeaturizer):
    """A row for each line, to be predicted where the line says `[MASK]`, or what the vocabulary has in its place."""

    def featurize(self, examples: Sequence[TextLine]) -> Iterator[list[Features]]:
        """Yields one window for each line.

        Raises:
          DataError: a line without `[MASK]`, with too many, or with one that does not fit in.
        """
        mask, layout = self._mask_id, PairLayout.of(self.tokenizer)
        encoded = encoded_around_masks([line.text for line in examples], self.tokenizer, mask)
        for line, ids in zip(examples, encoded, strict=True):
            positions = [1 + place for place, token in enumerate(ids) if token == mask]
            self._check(line, positions)
            features = layout.features(ids[: self._max_seq_length - layout.specials_alone])
            yield [_with_labels(features, positions, [0] * len(positions))]

    def _check(self, line: TextLine, positions: Sequence[int]) -> None:
        mask = self.tokenizer.special_tokens.mask
        if not positions:
            raise DataError(
                f"{line.where}: no {mask} in {one_line(repr(line.text), 80)}; expected one in each place to guess"
            )
        if len(positions) > self._limit:
            raise DataError(
                f"{line.where}: {len(positions)} times {mask}, but --max_predictions_per_seq={self._limit}; "
                "shorten the line or raise the flag"
            )
        if positions[-1] > self._max_seq_length - 2:
            raise DataError(
                f"{line.where}: {mask} number {len(positions)} is piece {positions[-1] + 1} of the line, but "
                f"--max_seq_length={self._max_seq_length}; shorten the line or raise the flag"
            )


class ScoringFeaturizer(_MaskedFeaturizer):
    """As many rows as a line has tokens, a different one masked in each; none for an empty line.

    Source: arXiv:1910.14659, section 2.2 (pseudo-log-likelihood).
    """

    def featurize(self, examples: Sequence[TextLine]) -> Iterator[list[Features]]:
        """Yields the windows of each line; tokens beyond `max_seq_length` are left out."""
        mask, layout = self._mask_id, PairLayout.of(self.tokenizer)
        encoded = self.tokenizer.encode([line.text for line in examples])
        for pieces in encoded:
            kept = pieces[: self._max_seq_length - layout.specials_alone]
            yield [
                _with_labels(layout.features([*kept[:place], mask, *kept[place + 1 :]]), [1 + place], [piece])
                for place, piece in enumerate(kept)
            ]


def encoded_around_masks(texts: Sequence[str], tokenizer: Tokenizer, mask: int) -> Iterator[list[int]]:
    """Token ids of each text, not cut; what lies between its masks is tokenized by itself.

    Args:
      texts: with the token that masks in their places.
      tokenizer: gives no text the id of that token by itself.
      mask: its id.
    """
    parts = [_parts(text, tokenizer.special_tokens.mask) for text in texts]
    encoded = iter(tokenizer.encode([part for several in parts for part in several]))
    for several in parts:
        ids = list(next(encoded))
        for _ in several[1:]:
            ids += [mask, *next(encoded)]
        yield ids


def _parts(text: str, mask: str) -> list[str]:
    """What stands before, between and behind the masks of a text."""
    *others, last = text.split(mask)
    return [*(part.rstrip(BEFORE_MASK) for part in others), last]


def _with_labels(features: Features, positions: list[int], labels: list[int]) -> Features:
    return {
        **features,
        "masked_lm_positions": positions,
        "masked_lm_ids": labels,
        "masked_lm_weights": [1.0] * len(positions),
    }
