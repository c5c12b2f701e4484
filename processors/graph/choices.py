"""`ChoiceFeaturizer` in the graph: texts of questions and choices -> the sequences of all choices end to end.

Shapes: N questions, C places for choices, M choices that are there.
"""

import tensorflow as tf

from processors.choices.featurizer import FILL, GAP, SEPARATE, JoiningSettings
from processors.choices.trimming import CONTEXT, Lengths, kept_lengths
from processors.graph.tokenizer import in_graph
from processors.records.featurizer import HEAD, HEAD_SHARE, HEAD_TAIL, TAIL
from processors.records.pair_layout import PairLayout
from tokenization.base import Tokenizer

_BLANK = r"[\s\v\x1c-\x1f\x{85}\pZ]*"
"""What Python's `str.strip` leaves nothing of."""


def is_blank(texts: tf.Tensor) -> tf.Tensor:
    """Whether texts hold nothing to read: bool, of the same shape."""
    return tf.strings.regex_full_match(texts, _BLANK)


def choice_features(
    tokenizer: Tokenizer,
    joining: JoiningSettings,
    max_seq_length: int,
    texts: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
) -> dict[str, tf.Tensor]:
    """As `ChoiceFeaturizer`, for the same arguments.

    Args:
      tokenizer: of the model.
      joining: how texts become sequences.
      max_seq_length: most tokens of one.
      texts: string contexts `[N]`, questions `[N]` and choices `[N, C]`; blank where there is none.

    Returns:
      `input_ids`, `input_mask`, `segment_ids` int32 `[N, T]`, `choice_lengths` int32 `[N, C]`.
    """
    context, question, choices = texts
    has_context, has_question = ~is_blank(context), ~is_blank(question)
    has_both = has_context & has_question
    places = tf.where(~is_blank(choices))
    row = places[:, 0]
    is_separate = has_both if joining.join == SEPARATE else tf.zeros_like(has_both)
    choice = tf.gather_nd(choices, places)
    if joining.join != SEPARATE:
        joined = _joined(tf.gather(question, row), choice, joining.join)
        choice = tf.where(tf.gather(has_both, row), joined, choice)
    first = tf.where(has_context, context, tf.where(has_question, question, ""))
    own_question = tf.where(is_separate, question, "")
    rows = tf.size(first)
    pieces = in_graph(tokenizer)(tf.concat([first, own_question, choice], axis=0))
    parts = (tf.gather(pieces[:rows], row), tf.gather(pieces[rows : 2 * rows], row), pieces[2 * rows :])
    layout = PairLayout.of(tokenizer)
    ids, segments = _sequences(layout, parts, tf.gather(is_separate, row), joining, max_seq_length)
    lengths = tf.scatter_nd(places, ids.row_lengths(), tf.shape(choices, tf.int64))
    of_questions = tf.reduce_sum(lengths, axis=1)
    together = lambda values, fill: tf.RaggedTensor.from_row_lengths(  # noqa: E731
        values, of_questions, validate=False
    ).to_tensor(fill)
    return {
        "input_ids": together(ids.flat_values, layout.pad),
        "input_mask": together(tf.ones_like(ids.flat_values), 0),
        "segment_ids": together(segments, 0),
        "choice_lengths": tf.cast(lengths, tf.int32),
    }


def _joined(question: tf.Tensor, choice: tf.Tensor, join: str) -> tf.Tensor:
    """Question and choice as one text `[M]`."""
    plain = tf.strings.join([question, choice], " ")
    if join != FILL:
        return plain
    parts = tf.strings.split(question, GAP)
    behind_gap = tf.ragged.range(parts.row_lengths()).flat_values > 0
    gaps = tf.where(behind_gap, tf.gather(choice, parts.value_rowids()), "")
    filled = tf.strings.reduce_join(parts.with_flat_values(tf.strings.join([gaps, parts.flat_values])), axis=-1)
    return tf.where(tf.strings.regex_full_match(question, f"(?s).*{GAP}.*"), filled, plain)


def _sequences(
    layout: PairLayout[int],
    parts: tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor],
    is_separate: tf.Tensor,
    joining: JoiningSettings,
    max_seq_length: int,
) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Tokens of each choice's sequence int32 `[M, (tokens)]`, and the segments of the flat ones."""
    lengths = Lengths(*(tf.cast(part.row_lengths(), tf.int32) for part in parts))
    between = tf.where(is_separate, layout.separators, 0)
    budget = max_seq_length - layout.specials_of_pair - between
    kept = kept_lengths(lengths, budget, joining.cut, joining.max_choice_length, is_separate, tf)
    context, question, choice = (tf.cast(part, tf.int32) for part in parts)
    context = _kept(context, kept.context, joining.truncation)
    question = _kept(question, kept.question, HEAD)
    if joining.cut == CONTEXT and joining.join != SEPARATE:  # a joined text ends in the choice
        choice = _kept(choice, kept.choice, TAIL)
    elif joining.cut == CONTEXT:
        keeps_head = tf.where(is_separate, kept.choice, 0)
        head, tail = _kept(choice, keeps_head, HEAD), _kept(choice, kept.choice - keeps_head, TAIL)
        choice = tf.concat([head, tail], axis=1)
    else:
        choice = _kept(choice, kept.choice, HEAD)
    ones = tf.ones_like(between)
    ids = tf.concat(
        [
            _repeated(layout.cls, ones), context, _repeated(layout.sep, ones * layout.separators), question,
            _repeated(layout.sep, between), choice, _repeated(layout.sep, ones),
        ],
        axis=1,
    )  # fmt: skip
    position = tf.ragged.range(tf.cast(ids.row_lengths(), tf.int32)).flat_values
    is_second = position >= tf.gather(kept.context + 2, ids.value_rowids())
    return ids, tf.where(is_second, layout.second_segment, 0)


def _kept(pieces: tf.RaggedTensor, keep: tf.Tensor, truncation: str) -> tf.RaggedTensor:
    """The tokens of each text that stay, as `processors.records.featurizer.kept_pieces`; `keep` int32 `[M]`."""
    length = tf.cast(pieces.row_lengths(), tf.int32)
    head = keep if truncation == HEAD else tf.zeros_like(keep)
    if truncation == HEAD_TAIL:
        head = tf.minimum(tf.maximum(keep // HEAD_SHARE, 1), keep)
    row = pieces.value_rowids()
    position = tf.ragged.range(length).flat_values
    stays = (position < tf.gather(head, row)) | (position >= tf.gather(length - (keep - head), row))
    return tf.ragged.boolean_mask(pieces, pieces.with_flat_values(stays))


def _repeated(token: int, counts: tf.Tensor) -> tf.RaggedTensor:
    """So many times a token in each row."""
    values = tf.fill([tf.reduce_sum(counts)], token)
    return tf.RaggedTensor.from_row_lengths(values, tf.cast(counts, tf.int64), validate=False)
