"""Which tokens of a sequence a masked-language model has to predict, and what it sees in their place.

Everything here works on tokens as text, upstream's form, and as ids, the fast form: an `Alphabet` says how to tell the
special tokens apart. Random numbers are drawn in upstream's order, so that equal seeds give equal masks.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from processors.records.pair_layout import PairLayout
from tokenization.base import Tokenizer
from tokenization.vocabulary import WORDPIECE_TOKENS
from tokenization.wordpiece.longest_match import SUFFIX_INDICATOR

Piece = TypeVar("Piece")

MASK_SHARE = 0.8
"""Share of the chosen tokens that become `[MASK]`; of the others one half stays, one half becomes a random token."""


@dataclass(frozen=True)
class Alphabet(Generic[Piece]):
    """What masking and packing know of tokens.

    Args:
      layout: the tokens around texts, and where they are.
      mask: the token that hides another.
      words: the tokens that a random one is drawn from, by index.
      continues: whether a token belongs to the same word as the one before it.
      plain: the tokens of the vocabulary, as a new list.
    """

    layout: PairLayout[Piece]
    mask: Piece
    words: Sequence[Piece]
    continues: Callable[[Piece], bool]
    plain: Callable[[Sequence[Piece]], list[Piece]]

    @staticmethod
    def of_tokens(vocab_words: Sequence[str]) -> "Alphabet[str]":
        """Tokens of BERT's vocabularies as text; `##` marks those that continue a word."""
        special = WORDPIECE_TOKENS
        layout = PairLayout(special.cls, special.sep)
        return Alphabet(layout, special.mask, vocab_words, lambda piece: piece.startswith(SUFFIX_INDICATOR), list)

    @staticmethod
    def of_ids(tokenizer: Tokenizer) -> "Alphabet[int]":
        """Tokens as ids; an id plus the size of the vocabulary is the same token inside a word of a segmented corpus.

        Args:
          tokenizer: whose vocabulary has a token that masks.
        """
        special, size = tokenizer.special_ids, len(tokenizer.tokens)
        if special.mask is None:
            raise ValueError(f"the vocabulary has no {tokenizer.special_tokens.mask}")
        suffixes = frozenset(index for index, token in enumerate(tokenizer.tokens) if tokenizer.continues_word(token))
        return Alphabet(
            PairLayout.of(tokenizer),
            special.mask,
            range(size),
            lambda piece: piece >= size or piece in suffixes,
            lambda pieces: [piece - size if piece >= size else piece for piece in pieces],
        )


@dataclass(frozen=True)
class MaskingSettings:
    """How much is masked, and in what units.

    Args:
      masked_lm_prob: fraction of the tokens that are masked, special tokens counted.
      max_predictions_per_seq: most masked tokens in a sequence.
      do_whole_word_mask: mask all tokens of a word or none.
    """

    masked_lm_prob: float = 0.15
    max_predictions_per_seq: int = 20
    do_whole_word_mask: bool = False


def mask_pieces(
    pieces: Sequence[Piece], alphabet: Alphabet[Piece], settings: MaskingSettings, rng: random.Random
) -> tuple[list[Piece], list[int], list[Piece]]:
    """Masks a sequence.

    Args:
      tokens: a sequence with its special tokens.
      alphabet: of these tokens.
      settings: how much to mask.
      rng: drawn from in upstream's order.

    Returns:
      The sequence as the model sees it, and in rising order the masked positions with what stood there.

    Source: arXiv:1810.04805, section 3.1; `create_masked_lm_predictions` of google-research/bert.
    """
    words = _candidate_words(pieces, alphabet, settings.do_whole_word_mask)
    rng.shuffle(words)
    share = max(1, int(round(len(pieces) * settings.masked_lm_prob)))  # noqa: RUF046 - upstream rounds half to even
    limit = min(settings.max_predictions_per_seq, share)
    chosen: list[int] = []
    labels = alphabet.plain(pieces)
    seen = labels.copy()
    for word in words:
        if len(chosen) >= limit:
            break
        # A word that would overshoot is left out; a shorter one further on may still fit.
        if len(chosen) + len(word) > limit:
            continue
        for position in word:
            seen[position] = _replacement(labels[position], alphabet, rng)
        chosen.extend(word)
    chosen.sort()
    return seen, chosen, [labels[position] for position in chosen]


def create_masked_lm_predictions(
    tokens: Sequence[str],
    masked_lm_prob: float,
    max_predictions_per_seq: int,
    vocab_words: Sequence[str],
    rng: random.Random,
    do_whole_word_mask: bool = False,
) -> tuple[list[str], list[int], list[str]]:
    """Masks a sequence of tokens as text; see `mask_pieces`.

    Args:
      tokens: a sequence with `[CLS]` and `[SEP]`.
      masked_lm_prob: fraction of the tokens that are masked.
      max_predictions_per_seq: most masked tokens.
      vocab_words: the tokens that a random one is drawn from.
      rng: drawn from in upstream's order.
      do_whole_word_mask: mask all tokens of a word or none; default False.

    Returns:
      The sequence as the model sees it, masked positions, and what stood there.
    """
    settings = MaskingSettings(masked_lm_prob, max_predictions_per_seq, do_whole_word_mask)
    return mask_pieces(tokens, Alphabet.of_tokens(vocab_words), settings, rng)


def _candidate_words(pieces: Sequence[Piece], alphabet: Alphabet[Piece], whole_words: bool) -> list[Sequence[int]]:
    """Positions that may be masked, grouped into words.

    A continuing token joins the candidate before it even across a `[SEP]`: where truncation has cut the first token of
    a word off, upstream does so, too.
    """
    special = (alphabet.layout.cls, alphabet.layout.sep)
    candidates = [position for position, piece in enumerate(pieces) if piece not in special]
    if not whole_words:
        return [(position,) for position in candidates]
    words: list[list[int]] = []
    for position in candidates:
        if words and alphabet.continues(pieces[position]):
            words[-1].append(position)
        else:
            words.append([position])
    return list(words)


def _replacement(piece: Piece, alphabet: Alphabet[Piece], rng: random.Random) -> Piece:
    """What the model sees in place of a chosen token."""
    if rng.random() < MASK_SHARE:
        return alphabet.mask
    if rng.random() < 0.5:
        return piece
    return alphabet.words[rng.randint(0, len(alphabet.words) - 1)]
