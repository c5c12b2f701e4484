"""Sources and targets -> the encoder's inputs, and the tokens to write."""

from collections.abc import Iterator, Sequence
from typing import Any

from common.errors import DataError, FlagError
from processors.base import InputExample
from processors.records.featurizer import HEAD, Featurizer, kept_pieces, sequence_fields
from processors.records.pair_layout import PairLayout
from processors.records.schema import Features, FeatureSpec, Field
from tokenization.base import TextEncoder


class SequenceFeaturizer(Featurizer):
    """`[CLS] source [SEP]`, and in `target_ids` the tokens of the target with the `[SEP]` that ends it.

    Args:
      tokenizer: of the model.
      max_seq_length: most tokens of a source, special ones included; longer sources lose tokens.
      max_target_length: most tokens of a target, the one that ends it included.
      truncation: which tokens of a source that is too long are kept, one of
        `processors.records.featurizer.TRUNCATIONS`.
      cuts_targets: whether targets that are too long are cut, without a token that ends them; else they are refused.

    Raises:
      FlagError: no room for a token of the source.
    """

    def __init__(
        self,
        tokenizer: TextEncoder,
        max_seq_length: int,
        max_target_length: int,
        truncation: str = HEAD,
        cuts_targets: bool = False,
    ) -> None:
        self._tokenizer, self._layout = tokenizer, PairLayout.of(tokenizer)
        self.capacity = max_seq_length - self._layout.specials_alone
        if self.capacity < 1:
            raise FlagError(
                f"--max_seq_length={max_seq_length} leaves no room for text beside the special tokens; expected at "
                f"least {self._layout.specials_alone + 1}"
            )
        self._max_seq_length, self._max_target_length = max_seq_length, max_target_length
        self._truncation, self._cuts_targets = truncation, cuts_targets
        # A target must not look like a field with a value for each token of the source.
        static = max_target_length + (max_target_length == max_seq_length)
        pad = self._layout.pad
        targets = Field("target_ids", shape=(None,), default=pad, static=static)
        self.spec = FeatureSpec((*sequence_fields(max_seq_length, pad), targets, Field("is_real_example")))

    def settings(self) -> dict[str, Any]:
        """Everything that shapes a record: tokenizer, lengths, what is cut, spec."""
        return {
            "tokenizer": self._tokenizer.fingerprint(),
            "max_seq_length": self._max_seq_length,
            "max_target_length": self._max_target_length,
            "truncation": self._truncation,
            "cuts_targets": self._cuts_targets,
            "spec": self.spec.to_json(),
        }

    def featurize(self, examples: Sequence[InputExample]) -> Iterator[list[Features]]:
        """Yields one window for each example; without `target_ids` where the target is not known.

        Raises:
          DataError: a target that is too long, or of which the tokenizer leaves nothing.
        """
        known = [example for example in examples if example.label is not None]
        pieces = self._tokenizer.encode([e.text_a for e in examples] + [str(e.label) for e in known])
        targets = iter(pieces[len(examples) :])
        for example, source in zip(examples, pieces, strict=False):
            features: Features = self._layout.features(kept_pieces(source, self.capacity, self._truncation))
            if example.label is not None:
                features["target_ids"] = self._target(example, next(targets))
            yield [features | {"is_real_example": 1}]

    def _target(self, example: InputExample, pieces: list[int]) -> list[int]:
        if not pieces:
            raise DataError(
                f"example {example.guid}: the tokenizer leaves nothing of the target {ascii(str(example.label))[:60]}; "
                "correct the row or remove it"
            )
        if len(pieces) < self._max_target_length:
            return [*pieces, self._layout.sep]
        if self._cuts_targets:
            return pieces[: self._max_target_length]
        raise DataError(
            f"example {example.guid}: the target has {len(pieces) + 1} tokens with the one that ends it, expected at "
            f"most --max_target_length={self._max_target_length}; give a larger one, shorten the target, or cut such "
            "targets with --cut_targets"
        )
