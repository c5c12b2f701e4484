"""Text to text: a source goes in, a text comes out."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import FlagError
from modeling.config import BertConfig
from modeling.decoder.settings import DECODERS, PREFIX, TRANSFORMER, DecodingSettings, TokenIds
from processors.base import InputExample
from processors.example_source import ExampleSource
from processors.records.featurizer import HEAD
from processors.records.schema import Features
from processors.sequences.featurizer import SequenceFeaturizer
from processors.sequences.table import SequenceExample
from tasks.base import DEV, AnswerSink, Collected, Task, TextSignature
from tasks.sequences.answers import text_answer
from tasks.sequences.files import text_files
from tasks.sequences.scores import exact_match, perplexity, text_scores
from tokenization.base import Tokenizer
from tokenization.natural_text import natural_text

NAME = "seq2seq"
WORDPIECE = "wordpiece"


@dataclasses.dataclass(frozen=True)
class SequenceSettings:
    """How sources are read, and how targets are taught.

    Args:
      max_seq_length: most tokens of a source, special ones included.
      truncation: which tokens of longer sources are kept.
      cut_targets: whether targets that are too long are cut; else they are refused.
      decoder: one of `modeling.decoder.settings.DECODERS`.
      decoder_layers: of a decoder that has its own; None for as many as the encoder has.
      decoder_from_encoder: whether these start from the encoder's.
      label_smoothing: fraction of a training target that is spread over the vocabulary.
    """

    max_seq_length: int = 128
    truncation: str = HEAD
    cut_targets: bool = False
    decoder: str = PREFIX
    decoder_layers: int | None = None
    decoder_from_encoder: bool = True
    label_smoothing: float = 0.1

    def __post_init__(self) -> None:
        if self.decoder not in DECODERS:
            raise ValueError(f"unknown decoder {self.decoder!r}")
        if self.decoder == PREFIX and self.decoder_layers is not None:
            raise FlagError(
                f"--decoder_layers={self.decoder_layers}: --decoder={PREFIX} has no layers of its own; leave it out, "
                f"or give --decoder={TRANSFORMER}"
            )
        if not 0.0 <= self.label_smoothing < 1.0:
            raise FlagError(
                f"--label_smoothing={self.label_smoothing}: expected a share of at least 0 and below 1, 0.1 say"
            )


class SequenceTask(Task):
    """Paraphrases, questions, summaries, translations: whatever is written of a text.

    Args:
      tokenizer: of the model; of the kind WordPiece.
      source: gives sources and targets.
      settings: of sources and training.
      decoding: how texts are written.
      config: of the encoder.
      limits: most examples to take from the start of a split, by split.

    Raises:
      FlagError: another kind of tokenizer, or lengths that the model has no positions for.
    """

    stores_rows = True
    main_metric = "loss"

    def __init__(
        self,
        tokenizer: Tokenizer,
        source: ExampleSource,
        settings: SequenceSettings,
        decoding: DecodingSettings,
        config: BertConfig,
        limits: Mapping[str, int | None] | None = None,
    ) -> None:
        _check(tokenizer, settings, decoding, config)
        self.name = NAME
        self.tokenizer: Tokenizer = tokenizer
        self.example_source, self.settings, self.decoding, self.config = source, settings, decoding, config
        self.featurizer: SequenceFeaturizer = SequenceFeaturizer(
            tokenizer, settings.max_seq_length, decoding.max_length, settings.truncation, settings.cut_targets
        )
        self.token_ids = token_ids(tokenizer)
        self.padding = {"ids": self.token_ids.pad, "target_ids": self.token_ids.pad}
        self._limits = dict(limits or {})

    def head(self, is_training: bool) -> Any:
        """A `SequenceHead`; label smoothing is for training alone."""
        from modeling.heads.sequence import SequenceHead

        smoothing = self.settings.label_smoothing if is_training else 0.0
        return SequenceHead(
            self.config,
            self.token_ids,
            self.decoding,
            self.settings.decoder,
            self.decoder_layers,
            self.settings.decoder_from_encoder,
            smoothing,
        )

    @property
    def decoder_layers(self) -> int:
        """Layers that only write."""
        if self.settings.decoder == PREFIX:
            return 0
        return self.settings.decoder_layers or self.config.num_hidden_layers

    def examples(self, split: str) -> Iterator[InputExample]:
        """Yields the examples of a split.

        Raises:
          DataError: one that cannot be used, or no data for the split.
        """
        return itertools.islice(self.example_source.examples(split), self._limits.get(split))

    def data_files(self, split: str) -> list[Path]:
        """The table of the split."""
        return self.example_source.data_files(split)

    def held_out_file(self) -> Path | None:
        """The training table, where dev rows are held out from it."""
        return self.example_source.held_out_file()

    def source(self, split: str) -> dict[str, Any]:
        """How tables are read, and limits."""
        return self.example_source.description(split) | {"limits": self._limits}

    def stored(self, example: SequenceExample) -> dict[str, Any]:
        """Id, source and, where it is known, target."""
        return {"id": example.guid, "source": example.text_a, "target": example.reference}

    def restored(self, stored: Mapping[str, Any]) -> SequenceExample:
        """The example without what the model reads."""
        return SequenceExample(stored["id"], stored["source"], reference=stored["target"])

    def identity(self) -> dict[str, Any]:
        """Task name, which decoder writes, and which tokens of long sources are read."""
        return {
            "task": self.name,
            "decoder": self.settings.decoder,
            "decoder_layers": self.decoder_layers,
            "truncation": self.settings.truncation,
        }

    def score(self, collected: Collected) -> dict[str, float]:
        """BLEU, chrF, ROUGE and exact match, by its tokens, of the best text; perplexity of the references."""
        references = [str(example.label) for example, _ in self.again(DEV)]
        best = [ids[0] for ids in collected["ids"]]
        tokens = [self.tokens_of(ids) for ids in best]
        scores = text_scores([self.text_of(ids) for ids in best], references, self.tokenizer.do_lower_case)
        return {
            "eval_exact_match": exact_match(tokens, self.tokenizer.encode(references)),
            "eval_perplexity": perplexity(collected["target_losses"], collected["target_tokens"]),
            **{f"eval_{name}": value for name, value in scores.items()},
        }

    @contextlib.contextmanager
    def answers(self, folder: Path) -> Iterator[AnswerSink]:
        """Opens `predictions.jsonl` and `predictions.txt`."""
        with text_files(folder) as write:

            def sink(example: SequenceExample, _: Sequence[Features], outputs: Sequence[Mapping[str, Any]]) -> None:
                write(example, self.answer(outputs[0]))

            yield sink

    def answer(self, output: Mapping[str, Any]) -> dict[str, Any]:
        """One answer for people: see `tasks.sequences.answers.text_answer`."""
        texts = [self.text_of(ids) for ids in output["ids"]]
        return text_answer(texts, output["log_probabilities"].tolist())

    def text_of(self, ids: np.ndarray) -> str:
        """The text of tokens int32 `[U]`, up to the one that ends it."""
        return natural_text(self.tokenizer.convert_ids_to_tokens(self.tokens_of(ids)))

    def tokens_of(self, ids: np.ndarray) -> list[int]:
        """The tokens before the one that ends a text, or fills it up."""
        last = (self.token_ids.end, self.token_ids.pad)
        return list(itertools.takewhile(lambda token: token not in last, ids.tolist()))

    def text_signature(self) -> TextSignature:
        """Raw `source` -> texts."""
        from tasks.sequences.signature import SequenceTextSignature

        return SequenceTextSignature(self.tokenizer, self.settings.max_seq_length, self.settings.truncation)


def token_ids(tokenizer: Tokenizer) -> TokenIds:
    """What the special tokens of a vocabulary mean to a decoder."""
    ids = tokenizer.special_ids
    never = {ids.pad, ids.cls, ids.unk, ids.mask} - {None, ids.sep}
    return TokenIds(
        begin=ids.cls,
        end=ids.sep,
        pad=ids.pad,
        never=tuple(sorted(one for one in never if one is not None)),
        second_segment=tokenizer.special_tokens.second_segment,
    )


def _check(tokenizer: Tokenizer, settings: SequenceSettings, decoding: DecodingSettings, config: BertConfig) -> None:
    if tokenizer.kind != WORDPIECE:
        raise FlagError(
            f"run_seq2seq.py writes with WordPiece vocabularies, but that of the model is of the kind "
            f"{tokenizer.kind}; give a model that has a vocab.txt"
        )
    if settings.decoder == TRANSFORMER and decoding.max_length > config.longest_sequence:
        raise FlagError(
            f"--max_target_length={decoding.max_length}: the decoder has {config.longest_sequence} positions, as the "
            "model has; give at most that"
        )
    total, most = settings.max_seq_length + decoding.max_length, config.longest_sequence
    if settings.decoder == PREFIX and total > most:
        raise FlagError(
            f"--max_seq_length={settings.max_seq_length} and --max_target_length={decoding.max_length} make {total} "
            f"positions, but the model has {most}, and --decoder={PREFIX} writes behind the source; lower one of them"
        )
