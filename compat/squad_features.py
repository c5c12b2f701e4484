"""Questions on contexts as upstream's `run_squad.py` handles them: examples of words, windows of tokens, records."""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import DataError
from compat.features import TokenizerAdapter, padded, program_flag
from processors.records.featurizer import chunked
from processors.records.record_sets import record_writers
from processors.records.schema import Features, FeatureSpec, Field
from processors.squad import examples as squad
from processors.squad.passages import Passage
from processors.squad.windows import FIRST_UNIQUE_ID, SpanFeaturizer, context_score, narrowed_span

log = logging.getLogger(__name__)

EXAMPLES_AT_ONCE = 256
POSITIONS = ("start_positions", "end_positions")


@dataclasses.dataclass(eq=False)
class SquadExample:
    """One question on a context.

    Args:
      qas_id: the id under which the answer is filed.
      question_text: not tokenized.
      doc_tokens: the words of the context.
      orig_answer_text: the answer to learn.
      start_position: the first of its words; -1 where the question is unanswerable.
      end_position: its last word.
      is_impossible: whether the context does not answer the question.
      passage: the context as it was read, which knows where blanks stand between the words.
    """

    qas_id: str
    question_text: str
    doc_tokens: list[str]
    orig_answer_text: str | None = None
    start_position: int | None = None
    end_position: int | None = None
    is_impossible: bool = False
    passage: Passage | None = dataclasses.field(default=None, repr=False, kw_only=True)


@dataclasses.dataclass(eq=False)
class InputFeatures:
    """One window of a context, padded.

    Args:
      unique_id: number of the window; the model's outputs come back with it.
      example_index: index of the example.
      doc_span_index: index of the window among those of the example.
      tokens: question and part of the context with special tokens, unpadded.
      token_to_orig_map: index in `doc_tokens` of each position of the context.
      token_is_max_context: whether no other window shows a position of the context with more context.
      input_ids: token ids, zeros after them.
      input_mask: 1 for a token, 0 for padding.
      segment_ids: 0 for the question, 1 for the context.
      start_position: position of the answer's first token, 0 where this window does not hold it; None in prediction.
      end_position: position of its last token.
      is_impossible: whether the context does not answer the question.
    """

    unique_id: int
    example_index: int
    doc_span_index: int
    tokens: list[str]
    token_to_orig_map: dict[int, int]
    token_is_max_context: dict[int, bool]
    input_ids: list[int]
    input_mask: list[int]
    segment_ids: list[int]
    start_position: int | None = None
    end_position: int | None = None
    is_impossible: bool | None = None


class _Words(Passage):
    """A context that comes as words, which stay as they are."""

    __slots__ = ()

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.text = self.joined = " ".join(self.words)
        self.starts, length = [], 0
        for word in self.words:
            self.starts.append(length)
            length += len(word) + 1
        self.joined_starts = self.starts

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return _Words, (self.words,)


def passage_of(example: Any) -> Passage:
    """The context of an example: the passage it was read from, unless its words are others by now."""
    known, words = getattr(example, "passage", None), list(example.doc_tokens)
    return known if isinstance(known, Passage) and known.words == words else _Words(words)


def read_squad_examples(
    input_file: str, is_training: bool, version_2_with_negative: bool | None = None
) -> list[SquadExample]:
    """The questions of a SQuAD file; a line of the log names those that training cannot use.

    Args:
      input_file: the JSON file.
      is_training: give each example its answer.
      version_2_with_negative: questions without an answer are allowed; by default what the program's flag of this name
        says, and without such a flag they are.
    """
    version_2 = bool(program_flag("version_2_with_negative", version_2_with_negative, True))
    reader = squad.SquadReader(Path(input_file), is_training, is_training, version_2)
    found: list[SquadExample] = []
    passage, words = None, []
    for one in reader:
        if one.passage is not passage:
            passage, words = one.passage, list(one.passage.words)
        answer = (one.orig_answer_text, one.start_position, one.end_position, one.is_impossible)
        found.append(SquadExample(one.qas_id, one.question_text, words, *answer, passage=passage))
    if reader.left_out:
        log.warning("%s", reader.report())
    return found


def convert_examples_to_features(
    examples: Iterable[Any],
    tokenizer: Any,
    max_seq_length: int,
    doc_stride: int,
    max_query_length: int,
    is_training: bool,
    output_fn: Callable[[InputFeatures], Any],
) -> None:
    """Cuts contexts into windows and gives each to `output_fn`.

    Args:
      examples: `SquadExample`s, or objects with the same attributes.
      tokenizer: a `tokenization.FullTokenizer`, or an object with its `tokenize` and `convert_tokens_to_ids`.
      max_seq_length: tokens of a window, special tokens included.
      doc_stride: tokens between the starts of two windows.
      max_query_length: most tokens of a question.
      is_training: give each window the position of the answer.
      output_fn: called with the `InputFeatures` of each window, in order.

    Raises:
      DataError: an example to train on has no answer, or the tokenizer cannot be used.
      FlagError: lengths that do not go together.
    """
    adapter = TokenizerAdapter(tokenizer)
    featurizer = SpanFeaturizer(adapter, max_seq_length, doc_stride, max_query_length)
    unique_id = FIRST_UNIQUE_ID
    for chunk in chunked(enumerate(examples), EXAMPLES_AT_ONCE):
        rows = list(_rows([example for _, example in chunk], is_training))
        for (index, example), windows in zip(chunk, featurizer.featurize(rows), strict=True):
            for number, window in enumerate(windows):
                fields = _padded_window(window, adapter, max_seq_length)
                output_fn(InputFeatures(unique_id, index, number, **fields, is_impossible=example.is_impossible))
                unique_id += 1


def _rows(examples: Sequence[Any], is_training: bool) -> Iterator[squad.SquadExample]:
    """Examples as the featurizer takes them; neighbours with the same words share a passage."""
    passage = None
    for example in examples:
        if passage is None or passage.words != example.doc_tokens:
            passage = passage_of(example)
        row = squad.SquadExample(example.qas_id, example.question_text, passage)
        if is_training:
            if example.start_position is None or example.end_position is None:
                raise DataError(
                    f"question {example.qas_id!r}: has no start_position and end_position; expected those of its "
                    "answer, as read_squad_examples(..., is_training=True) gives them"
                )
            row.orig_answer_text, row.is_impossible = example.orig_answer_text, bool(example.is_impossible)
            row.start_position, row.end_position = example.start_position, example.end_position
        yield row


def _padded_window(window: Features, adapter: TokenizerAdapter, length: int) -> dict[str, Any]:
    """What `InputFeatures` says of the tokens of a window."""
    place = window["_window"]
    positions = range(place.offset, place.offset + place.length)
    words = place.document.piece_words[place.start : place.start + place.length]
    return {
        "tokens": adapter.tokens(window["input_ids"]),
        "token_to_orig_map": dict(zip(positions, words, strict=True)),
        "token_is_max_context": dict(zip(positions, place.is_max_context.tolist(), strict=True)),
        "input_ids": padded(adapter.ids(window["input_ids"]), length),
        "input_mask": padded(window["input_mask"], length),
        "segment_ids": padded(window["segment_ids"], length),
        "start_position": window.get("start_positions"),
        "end_position": window.get("end_positions"),
    }


def window_spec(seq_length: int, further: Sequence[str] = ()) -> FeatureSpec:
    """The schema of upstream's SQuAD records: ids of `seq_length`, and further numbers."""
    ids = (Field(name, shape=(None,), static=seq_length) for name in ("input_ids", "input_mask", "segment_ids"))
    return FeatureSpec((Field("unique_ids"), *ids, *(Field(name) for name in further)))


class FeatureWriter:
    """Writes windows as records; the file is there once `close` was called.

    Args:
      filename: the record file.
      is_training: write positions of answers, too.

    Attributes:
      num_features: windows written so far.
    """

    def __init__(self, filename: str, is_training: bool) -> None:
        self.filename = filename
        self.is_training = is_training
        self.num_features = 0
        self._spec: FeatureSpec | None = None
        self._stack = contextlib.ExitStack()
        (self._writer,) = self._stack.enter_context(record_writers([Path(filename)], "choose another filename"))

    def process_feature(self, feature: InputFeatures) -> None:
        """Writes one window.

        Raises:
          DataError: a window to train on has no position of an answer.
        """
        row: dict[str, Any] = {
            "unique_ids": feature.unique_id,
            "input_ids": feature.input_ids,
            "input_mask": feature.input_mask,
            "segment_ids": feature.segment_ids,
        }
        if self.is_training:
            row |= {"start_positions": feature.start_position, "end_positions": feature.end_position}
            row["is_impossible"] = int(bool(feature.is_impossible))
            if feature.start_position is None or feature.end_position is None:
                raise DataError(
                    f"window {feature.unique_id}: has no start_position and end_position; make it with is_training=True"
                )
        if self._spec is None:
            further = (*POSITIONS, "is_impossible") if self.is_training else ()
            self._spec = window_spec(len(feature.input_ids), further)
        self._writer.write(self._spec.serialize(row))
        self.num_features += 1

    def close(self) -> None:
        """Ends the file and puts it in its place."""
        self._stack.close()


def _improve_answer_span(
    doc_tokens: Sequence[str], input_start: int, input_end: int, tokenizer: Any, orig_answer_text: str
) -> tuple[int, int]:
    """The first place in a span of tokens that is exactly the tokenized answer; the span where there is none."""
    return narrowed_span(list(doc_tokens), input_start, input_end, list(tokenizer.tokenize(orig_answer_text)))


def _check_is_max_context(doc_spans: Sequence[Any], cur_span_index: int, position: int) -> bool:
    """Whether no other window (`start`, `length`) shows a token with more context than this one."""
    scores = [
        float(context_score(position - span.start, span.length)) if 0 <= position - span.start < span.length else -1.0
        for span in doc_spans
    ]
    best = max(scores, default=-1.0)
    return best >= 0 and scores.index(best) == cur_span_index
