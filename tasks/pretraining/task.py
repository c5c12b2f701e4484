"""Pretraining: masked tokens and next sentences from finished records; then predictions and scores of plain text."""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.files import atomic_writer
from processors.pretraining.instance_records import pretraining_spec
from processors.pretraining.masked_text import FillMaskFeaturizer, ScoringFeaturizer
from processors.pretraining.packing import packed_spec
from processors.records.schema import Features, FeatureSpec
from processors.text_lines import TextLine
from tasks.base import AnswerSink, Collected, Task, TextSignature
from tasks.pretraining.answers import mask_answers
from tokenization.base import Tokenizer

PREDICTIONS_FILE, SCORES_FILE = "predictions.jsonl", "scores.jsonl"
LARGEST_EXPONENT = math.log(np.finfo(np.float64).max)


@dataclasses.dataclass(frozen=True)
class PretrainingSettings:
    """Shape of the records and of the head.

    Args:
      max_seq_length: most tokens of a sequence.
      max_predictions_per_seq: most masked tokens in one.
      next_sentence: predict next sentences, too.
      top_k: likeliest tokens to give for each `[MASK]`.
      packed: several instances share a row of the records.
    """

    max_seq_length: int
    max_predictions_per_seq: int
    next_sentence: bool = True
    top_k: int = 5
    packed: bool = False


class PretrainingTask(Task):
    """Records that `create_pretraining_data.py` (or another's) has written, to the heads of pretraining.

    Args:
      config: a `modeling.BertConfig`.
      settings: shape of records and head.
      files: record files of a split.
      tokenizer: of the model; None where no text is read.
    """

    name = "pretraining"
    collects_rows = False

    def __init__(
        self,
        config: Any,
        settings: PretrainingSettings,
        files: Mapping[str, Sequence[Path]],
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.config = config
        self.settings = settings
        self.tokenizer = tokenizer
        self._files = {split: list(paths) for split, paths in files.items()}
        shape = (settings.max_seq_length, settings.max_predictions_per_seq, settings.next_sentence)
        self.featurizer: FillMaskFeaturizer = FillMaskFeaturizer(tokenizer, *shape)
        self.scoring: ScoringFeaturizer = ScoringFeaturizer(tokenizer, *shape)

    def head(self, is_training: bool) -> Any:
        """Masked-language model, with or without next-sentence prediction."""
        from modeling.heads.masked_lm import PretrainingHead

        del is_training
        return PretrainingHead(self.config, self.settings.next_sentence, self.settings.top_k)

    @property
    def record_spec(self) -> FeatureSpec:
        """Schema of the files given; text to predict in never shares a row."""
        settings = self.settings
        spec = packed_spec if settings.packed else pretraining_spec
        return spec(settings.max_seq_length, settings.max_predictions_per_seq, settings.next_sentence)

    def record_files(self, split: str) -> list[Path]:
        """The files given for a split."""
        return self._files.get(split, [])

    def examples(self, split: str) -> Iterator[TextLine]:
        """None: what is trained and evaluated on is in records already."""
        del split
        return iter(())

    def data_files(self, split: str) -> list[Path]:
        """The record files."""
        return self.record_files(split)

    def source(self, split: str) -> dict[str, Any]:
        """Nothing besides the files."""
        del split
        return {}

    def identity(self) -> dict[str, Any]:
        """Task, and whether next sentences are predicted."""
        return {"task": self.name, "next_sentence": self.settings.next_sentence}

    def score(self, collected: Collected) -> dict[str, float]:
        """Nothing beyond the head's own metrics, which need no row kept."""
        del collected
        return {}

    def derived(self, scores: Mapping[str, float]) -> dict[str, float]:
        """`perplexity` of the masked tokens."""
        return {"perplexity": perplexity(scores["masked_lm_loss"])}

    @contextlib.contextmanager
    def answers(self, folder: Path) -> Iterator[AnswerSink]:
        """Opens `predictions.jsonl`."""
        with atomic_writer(folder / PREDICTIONS_FILE) as stream:

            def write(line: TextLine, windows: Sequence[Features], outputs: Sequence[Mapping[str, Any]]) -> None:
                stream.write(json.dumps(self.guesses(line, windows, outputs), ensure_ascii=False) + "\n")

            yield write

    def guesses(
        self, line: TextLine, windows: Sequence[Features], outputs: Sequence[Mapping[str, np.ndarray]]
    ) -> dict[str, Any]:
        """`text`, and under `masks` for each `[MASK]` in order the likeliest tokens with their probabilities."""
        (window,), (output,) = windows, outputs
        count = len(window["masked_lm_positions"])
        names = self.tokenizer.tokens if self.tokenizer else ()
        tokens = [
            [names[index] if index < len(names) else f"[id {index}]" for index in ids]
            for ids in output["top_ids"][:count]
        ]
        return {"text": line.text, **mask_answers(tokens, output["top_probabilities"][:count])}

    def text_score(
        self, line: TextLine, windows: Sequence[Features], outputs: Sequence[Mapping[str, np.ndarray]]
    ) -> dict[str, Any]:
        """`text`, its number of `pieces`, their summed log probabilities, and the pseudo-perplexity (None if empty).

        Source: arXiv:1910.14659, equations 1 and 3.
        """
        del windows
        logs = [float(output["masked_lm_log_probabilities"][0]) for output in outputs]
        ratio = perplexity(-sum(logs) / len(logs)) if logs else None
        return {
            "text": line.text,
            "pieces": len(logs),
            "pseudo_log_likelihood": sum(logs),
            "pseudo_perplexity": ratio if ratio is None or math.isfinite(ratio) else None,
        }

    def text_signature(self) -> TextSignature:
        """Raw `text` with `[MASK]` in it -> the likeliest tokens of each."""
        from tasks.pretraining.signature import MaskedTextSignature

        return MaskedTextSignature(self.featurizer.tokenizer, self.settings.max_seq_length)


def perplexity(mean_loss: float) -> float:
    """Exponential of a mean cross-entropy; infinite where no number is large enough."""
    return math.exp(mean_loss) if mean_loss < LARGEST_EXPONENT else math.inf
