"""Text for a masked-language model to guess in: where it says [MASK], or every piece in turn."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.errors import DataError, FlagError, one_line
from processors.pretraining.instance_records import pretraining_spec
from processors.records.featurizer import Featurizer
from processors.records.schema import Features
from processors.text_lines import TextLine

MASK = "[MASK]"


class _MaskedFeaturizer(Featurizer):
    """Rows of a masked-language model from lines of text.

    Args:
      tokenizer: a `tokenization.BulkTokenizer`; None where only the schema of finished records is asked for.
      max_seq_length: most pieces a row, `[CLS]` and `[SEP]` included.
      max_predictions_per_seq: most pieces to guess in a row.
      next_sentence: whether records have `next_sentence_labels`.
    """

    def __init__(
        self, tokenizer: Any, max_seq_length: int, max_predictions_per_seq: int, next_sentence: bool = True
    ) -> None:
        self._given_tokenizer = tokenizer
        self._max_seq_length = max_seq_length
        self._limit = max_predictions_per_seq
        self.spec = pretraining_spec(max_seq_length, max_predictions_per_seq, next_sentence)

    def settings(self) -> dict[str, Any]:
        """Tokenizer and schema."""
        return {"tokenizer": self._tokenizer.fingerprint(), "spec": self.spec.to_json()}

    @property
    def _tokenizer(self) -> Any:
        if self._given_tokenizer is None:
            raise FlagError(
                "--vocab_file is missing: text is read with it, and neither --output_dir nor the folder of "
                "--init_checkpoint holds one; give its path"
            )
        return self._given_tokenizer

    def _special(self, token: str) -> int:
        vocab = self._tokenizer.vocab
        if token not in vocab:
            raise FlagError(f"--vocab_file: it has no {token}, which a masked-language model needs; give its own")
        return int(vocab[token])


class FillMaskFeaturizer(_MaskedFeaturizer):
    """A row for each line, to be guessed where the line says `[MASK]`."""

    def featurize(self, examples: Sequence[TextLine]) -> Iterator[list[Features]]:
        """Yields one window for each line.

        Raises:
          DataError: a line without `[MASK]`, with too many, or with one that does not fit in.
        """
        cls, sep, mask = (self._special(token) for token in ("[CLS]", "[SEP]", MASK))
        parts = [line.text.split(MASK) for line in examples]
        encoded = iter(self._tokenizer.encode([text for texts in parts for text in texts]))
        for line, texts in zip(examples, parts, strict=True):
            ids, positions = [cls], []
            for index, pieces in enumerate([next(encoded) for _ in texts]):
                if index:
                    positions.append(len(ids))
                    ids.append(mask)
                ids.extend(pieces)
            self._check(line, positions)
            yield [_row([*ids[: self._max_seq_length - 1], sep], positions, [0] * len(positions))]

    def _check(self, line: TextLine, positions: Sequence[int]) -> None:
        if not positions:
            raise DataError(
                f"{line.where}: no {MASK} in {one_line(repr(line.text), 80)}; expected one in each place to guess"
            )
        if len(positions) > self._limit:
            raise DataError(
                f"{line.where}: {len(positions)} times {MASK}, but --max_predictions_per_seq={self._limit}; "
                "shorten the line or raise the flag"
            )
        if positions[-1] > self._max_seq_length - 2:
            raise DataError(
                f"{line.where}: {MASK} number {len(positions)} is piece {positions[-1] + 1} of the line, but "
                f"--max_seq_length={self._max_seq_length}; shorten the line or raise the flag"
            )


class ScoringFeaturizer(_MaskedFeaturizer):
    """As many rows as a line has pieces, a different one masked in each; none for an empty line.

    Source: arXiv:1910.14659, section 2.2 (pseudo-log-likelihood).
    """

    def featurize(self, examples: Sequence[TextLine]) -> Iterator[list[Features]]:
        """Yields the windows of each line; pieces beyond `max_seq_length` are left out."""
        cls, sep, mask = (self._special(token) for token in ("[CLS]", "[SEP]", MASK))
        encoded = self._tokenizer.encode([line.text for line in examples])
        for pieces in encoded:
            ids = [cls, *pieces[: self._max_seq_length - 2], sep]
            yield [
                _row([*ids[:position], mask, *ids[position + 1 :]], [position], [ids[position]])
                for position in range(1, len(ids) - 1)
            ]


def _row(ids: list[int], positions: list[int], labels: list[int]) -> Features:
    return {
        "input_ids": ids,
        "input_mask": [1] * len(ids),
        "segment_ids": [0] * len(ids),
        "masked_lm_positions": positions,
        "masked_lm_ids": labels,
        "masked_lm_weights": [1.0] * len(positions),
    }
