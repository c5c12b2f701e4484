"""Questions and contexts in, answers out, in the graph: the text signature of the reading-comprehension export."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from processors.graph.parity_texts import PARITY_TEXTS
from processors.graph.windows import GraphContexts, GraphWindows, make_windows, tokenize
from processors.records.pair_layout import PairLayout
from processors.squad.examples import SquadExample
from processors.squad.passages import Passage
from tasks.base import TextSignature
from tasks.span.ranking import DecodingSettings
from tokenization.base import Tokenizer

NO_SPAN = -1e9
"""Score of what cannot be an answer."""


class Spans(NamedTuple):
    """Best spans: their scores, and flat indexes of first and last token; [..., n]."""

    scores: tf.Tensor
    first: tf.Tensor
    last: tf.Tensor


class SpanTextSignature(TextSignature):
    """`question` [N] and `context` ([N], or [1] for all questions) -> answer, characters, scores.

    Contexts of any length are read in windows. Answers are taken by character offsets; in a word whose characters do
    not correspond one by one to those of its tokens, the whole word is taken.

    Args:
      tokenizer: of the model.
      settings: a `tasks.span.task.SpanSettings`.
      null_threshold: "no answer" is given where its odds are above this (version 2).
    """

    def __init__(self, tokenizer: Tokenizer, settings: Any, null_threshold: float) -> None:
        super().__init__(tokenizer)
        self._settings = settings
        self._decoding = settings.decoding
        self._null_threshold = null_threshold
        self._read: tuple[tf.Tensor, GraphContexts, GraphWindows] | None = None

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "SpanTextSignature":
        """As `TextSignature.of_export`."""
        from tasks.span.task import SpanSettings

        del assets
        decoding = DecodingSettings(**{field.name: settings[field.name] for field in fields(DecodingSettings)})
        lengths = {name: settings[name] for name in ("max_seq_length", "doc_stride", "max_query_length")}
        return cls(tokenizer, SpanSettings(**lengths, decoding=decoding), settings["null_score_diff_threshold"])

    def inputs(self) -> dict[str, tf.Tensor]:
        """Placeholders of both texts."""
        return {name: tf.compat.v1.placeholder(tf.string, [None], name) for name in ("question", "context")}

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Windows of all questions, one after the other: as many rows or more than questions."""
        questions = inputs["question"]
        contexts = tf.strings.unicode_transcode(inputs["context"], "UTF-8", "UTF-8")
        contexts = tf.broadcast_to(contexts, tf.shape(questions))
        with tf.device("/cpu:0"):
            pieces, read = tokenize(self.tokenizer, questions, contexts)
            windows = make_windows(pieces, read, self._settings, PairLayout.of(self.tokenizer))
        self._read = contexts, read, windows
        return windows.features

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Answers to the questions that `features` has read.

        Returns:
          `answer` string [N] ("" for none); `start` and `end` int32 [N], characters of the context (-1 for none);
          `score` float32 [N], the probability of the answer among the best spans and "no answer"; `no_answer_score`
          [N], that of "no answer" (0 where every question has one); `null_odds` [N], by how much the logits favour it.
        """
        if self._read is None:
            raise ValueError("features() comes before outputs()")
        contexts, read, windows = self._read
        start_logits, end_logits = predictions["start_logits"], predictions["end_logits"]
        spans = self._by_question(self._by_window(start_logits, end_logits, windows), windows)
        nulls = tf.RaggedTensor.from_row_lengths(start_logits[:, 0] + end_logits[:, 0], windows.counts, validate=False)
        return self._answers(contexts, read, spans, tf.reduce_min(nulls.to_tensor(default_value=-NO_SPAN), axis=1))

    def parity_examples(self) -> tuple[dict[str, list[str]], list[Any]]:
        """Every difficult text as a context and as a question, and all of them as one context of many windows."""
        contexts = [*PARITY_TEXTS, " ".join(PARITY_TEXTS * 4)]
        questions = [*reversed(PARITY_TEXTS), PARITY_TEXTS[0]]
        pairs = zip(questions, contexts, strict=True)
        examples = [SquadExample(f"parity-{i}", question, Passage(text)) for i, (question, text) in enumerate(pairs)]
        return {"question": questions, "context": contexts}, examples

    def settings(self) -> dict[str, Any]:
        """Lengths, how "no answer" is decided, problem type, and the names of the texts."""
        return {
            "max_seq_length": self._settings.max_seq_length,
            "doc_stride": self._settings.doc_stride,
            "max_query_length": self._settings.max_query_length,
            **asdict(self._decoding),
            "null_score_diff_threshold": self._null_threshold,
            "problem_type": "span",
            "inputs": ["question", "context"],
        }

    def _by_window(self, start_logits: tf.Tensor, end_logits: tf.Tensor, windows: GraphWindows) -> Spans:
        """The best spans of each window [W, n], worst where there are fewer; see `tasks.span.decoding`."""
        count = tf.minimum(self._decoding.n_best_size, tf.shape(start_logits)[1])
        start_scores, starts = tf.math.top_k(start_logits, count)  # [W, k]
        end_scores, ends = tf.math.top_k(end_logits, count)
        starts, ends = starts - windows.offsets[:, tf.newaxis], ends - windows.offsets[:, tf.newaxis]
        length = tf.cast(windows.pieces.row_lengths(), tf.int32)[:, tf.newaxis]
        begin = tf.cast(windows.pieces.row_starts(), tf.int32)[:, tf.newaxis]
        inside = lambda place: (place >= 0) & (place < length)  # noqa: E731
        # One spare element keeps the look-ups valid when no window has a token.
        is_max = tf.concat([windows.is_max_context, [False]], axis=0)
        flat = tf.concat([windows.pieces.values, [0]], axis=0)
        at = lambda values, place: tf.gather(values, tf.where(inside(place), begin + place, tf.size(values) - 1))  # noqa: E731
        good_start = inside(starts) & at(is_max, starts)
        pieces = ends[:, tf.newaxis, :] - starts[:, :, tf.newaxis] + 1  # [W, k, k]
        good = good_start[:, :, tf.newaxis] & inside(ends)[:, tf.newaxis, :]
        good &= (pieces > 0) & (pieces <= self._decoding.max_answer_length)
        scores = start_scores[:, :, tf.newaxis] + end_scores[:, tf.newaxis, :]
        scores = tf.reshape(tf.where(good, scores, NO_SPAN), [tf.shape(starts)[0], count * count])
        best, place = tf.math.top_k(scores, tf.minimum(self._decoding.n_best_size, count * count))
        first = tf.gather(at(flat, starts), place // count, batch_dims=1)
        last = tf.gather(at(flat, ends), place % count, batch_dims=1)
        return Spans(best, first, last)

    def _by_question(self, spans: Spans, windows: GraphWindows) -> Spans:
        """The best spans of each question over its windows [N, n]."""
        width = tf.shape(spans.scores)[1]

        def beside(values: tf.Tensor, default: Any) -> tf.Tensor:
            rows = tf.RaggedTensor.from_row_lengths(values, windows.counts, validate=False)
            padded = rows.to_tensor(default_value=default)  # [N, most windows, n]
            return tf.reshape(padded, [tf.shape(padded)[0], tf.shape(padded)[1] * width])

        best, place = tf.math.top_k(beside(spans.scores, NO_SPAN), width)
        return Spans(
            best,
            tf.gather(beside(spans.first, 0), place, batch_dims=1),
            tf.gather(beside(spans.last, 0), place, batch_dims=1),
        )

    def _answers(
        self, contexts: tf.Tensor, read: GraphContexts, spans: Spans, null_score: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        best = spans.scores[:, 0]
        found = best > NO_SPAN / 2
        odds = tf.where(found, null_score - best, -NO_SPAN)
        is_given = found
        candidates = spans.scores
        if self._decoding.version_2_with_negative:
            is_given &= odds <= self._null_threshold
            candidates = tf.concat([candidates, null_score[:, tf.newaxis]], axis=1)
        probabilities = tf.nn.softmax(candidates)
        with_null = self._decoding.version_2_with_negative
        no_answer = probabilities[:, -1] if with_null else tf.zeros_like(best)
        starts, ends = (tf.concat([values, [0]], axis=0) for values in (read.starts, read.ends))
        start, end = tf.gather(starts, spans.first[:, 0]), tf.gather(ends, spans.last[:, 0])
        nothing = tf.zeros_like(start)
        begin, length = tf.where(is_given, start, nothing), tf.where(is_given, end - start, nothing)
        return {
            "answer": tf.strings.substr(contexts, begin, length, unit="UTF8_CHAR"),
            "start": tf.where(is_given, start, -1),
            "end": tf.where(is_given, end, -1),
            "score": tf.where(is_given, probabilities[:, 0], no_answer),
            "no_answer_score": no_answer,
            "null_odds": odds if with_null else tf.zeros_like(best),
        }
