"""Documents to training instances: pairs of text for next-sentence prediction, or packed full sentences, masked.

A document is a list of sentences, a sentence a sequence of tokens (text or ids, see `masking.Alphabet`). Random numbers
are drawn in upstream's order, so that equal seeds give equal instances.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple

from processors.pretraining.corpus import CorpusReader
from processors.pretraining.masking import Alphabet, MaskingSettings, Piece, mask_pieces

Sentence = Sequence[Piece]
Document = Sequence[Sentence[Piece]]

TRIES_FOR_ANOTHER_DOCUMENT = 10


class TrainingInstance(NamedTuple):
    """One masked sequence; the fields are in upstream's order, since other people's code builds instances by position.

    Args:
      tokens: as the model sees them, special ones included, text or ids.
      segment_ids: 0 or 1 for each token.
      masked_lm_positions: masked positions, rising.
      masked_lm_labels: what stood there.
      is_random_next: whether the second segment comes from elsewhere (of sentence order: whether the segments have
        changed places); None where there is no second segment.
    """

    tokens: list[Any]
    segment_ids: list[int]
    masked_lm_positions: list[int]
    masked_lm_labels: list[Any]
    is_random_next: bool | None


@dataclass(frozen=True)
class InstanceSettings:
    """How documents become instances; upstream's defaults.

    Args:
      max_seq_length: most tokens of a sequence, special ones included.
      dupe_factor: passes over the documents, each with other pairs and masks.
      short_seq_prob: fraction of the sequences (of the documents, for pairs) that get a random shorter length.
      masking: how much is masked.
      next_sentence: make pairs for next-sentence prediction; otherwise pack full sentences into one segment.
      sentence_order: of every pair the second segment follows the first, or both have changed places.
    """

    max_seq_length: int = 128
    dupe_factor: int = 10
    short_seq_prob: float = 0.1
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    next_sentence: bool = True
    sentence_order: bool = False


def make_instances(
    documents: Sequence[Document[Piece]],
    alphabet: Alphabet[Piece],
    settings: InstanceSettings,
    rng: random.Random,
) -> Iterator[TrainingInstance]:
    """Makes the instances of documents that are in memory: `dupe_factor` passes, not shuffled.

    Args:
      documents: none of them empty; with fewer than two no pair is ever called random.
      alphabet: of their tokens.
      settings: lengths, passes, masking.
      rng: drawn from in upstream's order.

    Yields:
      Instances.
    """
    maker = _PairMaker(documents, alphabet, settings, rng) if settings.next_sentence else None
    for _ in range(settings.dupe_factor):
        if maker is None:
            yield from _packed_instances(documents, alphabet, settings, rng)
            continue
        for index in range(len(documents)):
            yield from maker.instances(index)


def shuffled_instances(
    documents: list[Any],
    alphabet: Alphabet[Piece],
    settings: InstanceSettings,
    rng: random.Random,
    finish: Any = None,
) -> list[Any]:
    """Upstream's whole transform of documents in memory: shuffles them, makes instances, shuffles those.

    Args:
      documents: shuffled in place.
      alphabet: of their tokens.
      settings: lengths, passes, masking.
      rng: a freshly seeded generator.
      finish: applied to each instance before the shuffle (to keep it in a smaller form, say); default nothing.

    Returns:
      The instances in their final order.

    Source: `create_training_instances` of google-research/bert.
    """
    rng.shuffle(documents)
    made = make_instances(documents, alphabet, settings, rng)
    instances = list(made if finish is None else map(finish, made))
    rng.shuffle(instances)
    return instances


def create_training_instances(  # noqa: PLR0913 - upstream's signature
    input_files: Iterable[str | Path],
    tokenizer: Any,
    max_seq_length: int,
    dupe_factor: int,
    short_seq_prob: float,
    masked_lm_prob: float,
    max_predictions_per_seq: int,
    rng: random.Random,
    do_whole_word_mask: bool = False,
) -> list[TrainingInstance]:
    """Makes instances of tokens as text from files, all in memory.

    Args:
      input_files: a sentence a line, a blank line between documents.
      tokenizer: has `vocab` and `tokenize(text)`.
      max_seq_length: most tokens of a sequence.
      dupe_factor: passes over the documents.
      short_seq_prob: fraction of the documents cut into shorter sequences.
      masked_lm_prob: fraction of the tokens that are masked.
      max_predictions_per_seq: most masked tokens in a sequence.
      rng: drawn from in upstream's order.
      do_whole_word_mask: mask all tokens of a word or none; default False.

    Returns:
      Shuffled instances.

    Raises:
      DataError: a file cannot be read.
    """
    pieces = (
        [tokenizer.tokenize(line) for line in lines]
        for lines in CorpusReader([Path(f) for f in input_files]).documents()
    )
    documents = [kept for kept in ([p for p in document if p] for document in pieces) if kept]
    masking = MaskingSettings(masked_lm_prob, max_predictions_per_seq, do_whole_word_mask)
    settings = InstanceSettings(max_seq_length, dupe_factor, short_seq_prob, masking)
    return shuffled_instances(documents, Alphabet.of_tokens(list(tokenizer.vocab)), settings, rng)


def create_instances_from_document(  # noqa: PLR0913 - upstream's signature
    all_documents: Sequence[Document[str]],
    document_index: int,
    max_seq_length: int,
    short_seq_prob: float,
    masked_lm_prob: float,
    max_predictions_per_seq: int,
    vocab_words: Sequence[str],
    rng: random.Random,
    do_whole_word_mask: bool = False,
) -> list[TrainingInstance]:
    """Makes the instances of one document in one pass.

    Args:
      all_documents: where random next sentences are drawn from.
      document_index: the document.
      max_seq_length: most tokens of a sequence.
      short_seq_prob: chance of a shorter length for this document.
      masked_lm_prob: fraction of the tokens that are masked.
      max_predictions_per_seq: most masked tokens in a sequence.
      vocab_words: the tokens that a random one is drawn from.
      rng: drawn from in upstream's order.
      do_whole_word_mask: mask all tokens of a word or none; default False.

    Returns:
      Instances in the order of the text.
    """
    masking = MaskingSettings(masked_lm_prob, max_predictions_per_seq, do_whole_word_mask)
    settings = InstanceSettings(max_seq_length, 1, short_seq_prob, masking)
    maker = _PairMaker(all_documents, Alphabet.of_tokens(vocab_words), settings, rng)
    return list(maker.instances(document_index))


def truncate_seq_pair(tokens_a: list[Any], tokens_b: list[Any], max_num_tokens: int, rng: random.Random) -> None:
    """Cuts a pair in place, a token at a time from the longer text (the second where both are equal), front or back.

    Args:
      tokens_a: first text.
      tokens_b: second text.
      max_num_tokens: most tokens of both together.
      rng: decides between front (below 0.5) and back.

    Example:
      at 3 tokens `[1, 2, 3]` and `[4, 5]` become `[1, 2]` and `[4]`, `[2, 3]` and `[5]`, or the like.
    """
    length_a, length_b = len(tokens_a), len(tokens_b)
    front_a = front_b = 0
    for _ in range(length_a + length_b - max_num_tokens):
        from_front = rng.random() < 0.5
        if length_a > length_b:
            length_a -= 1
            front_a += from_front
        else:
            length_b -= 1
            front_b += from_front
    tokens_a[:] = tokens_a[front_a : front_a + length_a]
    tokens_b[:] = tokens_b[front_b : front_b + length_b]


class _PairMaker(Generic[Piece]):
    """Cuts documents into chunks of about the target length, and each chunk into two segments.

    With one document there is no random next sentence: its chunks of several sentences keep their own continuation, and
    a chunk of one sentence makes no pair. Upstream calls other sentences of the same document random there.
    """

    def __init__(
        self,
        documents: Sequence[Document[Piece]],
        alphabet: Alphabet[Piece],
        settings: InstanceSettings,
        rng: random.Random,
    ) -> None:
        self._documents = documents
        self._alphabet = alphabet
        self._settings = settings
        self._rng = rng
        self._budget = settings.max_seq_length - alphabet.layout.specials_of_pair

    def instances(self, index: int) -> Iterator[TrainingInstance]:
        """Yields the instances of one document in the order of its text."""
        document = self._documents[index]
        target = _target_length(self._budget, self._settings.short_seq_prob, self._rng)
        start = length = 0
        end = 0
        while end < len(document):
            length += len(document[end])
            end += 1
            if end < len(document) and length < target:
                continue
            pair, used = self._pair(index, document[start:end], target)
            if pair is not None:
                yield pair
            # Sentences that gave way to a random continuation are not lost: the next chunk begins with them.
            start = end = start + used
            length = 0

    def _pair(self, index: int, chunk: Document[Piece], target: int) -> tuple[TrainingInstance | None, int]:
        """An instance of a chunk, and how many of its sentences it used."""
        split = self._rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
        first = _joined(chunk[:split])
        if self._settings.sentence_order:
            return self._ordered(first, _joined(chunk[split:])), len(chunk)
        if len(self._documents) < 2:
            if len(chunk) == 1:
                return None, 1
            return self._instance(first, _joined(chunk[split:]), False), len(chunk)
        if len(chunk) == 1 or self._rng.random() < 0.5:
            return self._instance(first, self._random_text(index, target - len(first)), True), split
        return self._instance(first, _joined(chunk[split:]), False), len(chunk)

    def _ordered(self, first: list[Piece], second: list[Piece]) -> TrainingInstance | None:
        """A pair in its order or the other way round; none of a chunk of one sentence.

        Source: arXiv:1909.11942, section 3.1. google-research/albert also makes pairs with random texts, of chunks of
        one sentence.
        """
        if not second:
            return None
        if self._rng.random() < 0.5:
            return self._instance(second, first, True)
        return self._instance(first, second, False)

    def _random_text(self, index: int, length: int) -> list[Piece]:
        """Consecutive sentences of at least `length` tokens (if there are as many) from another document."""
        rng = self._rng
        for _ in range(TRIES_FOR_ANOTHER_DOCUMENT):
            other = rng.randint(0, len(self._documents) - 1)
            if other != index:
                break
        document = self._documents[other]
        text: list[Piece] = []
        for position in range(rng.randint(0, len(document) - 1), len(document)):
            text.extend(document[position])
            if len(text) >= length:
                break
        return text

    def _instance(self, first: list[Piece], second: list[Piece], is_random_next: bool) -> TrainingInstance:
        truncate_seq_pair(first, second, self._budget, self._rng)
        pieces, segment_ids = self._alphabet.layout.join(first, second)
        seen, positions, labels = mask_pieces(pieces, self._alphabet, self._settings.masking, self._rng)
        return TrainingInstance(seen, segment_ids, positions, labels, is_random_next)


def _packed_instances(
    documents: Sequence[Document[Piece]], alphabet: Alphabet[Piece], settings: InstanceSettings, rng: random.Random
) -> Iterator[TrainingInstance]:
    """Packs consecutive full sentences into sequences; a `[SEP]` stands where a document ends within one.

    Source: the FULL-SENTENCES setting of arXiv:1907.11692, section 4.2.
    """
    budget = settings.max_seq_length - alphabet.layout.specials_alone
    target = _target_length(budget, settings.short_seq_prob, rng)
    pack: list[Piece] = []
    for unit in _units(documents, alphabet, budget):
        if pack and len(pack) + len(unit) > target:
            yield _packed(pack, alphabet, settings, rng)
            target = _target_length(budget, settings.short_seq_prob, rng)
            pack = []
        if pack or list(unit) != [alphabet.layout.sep]:
            pack.extend(unit)
    if pack:
        yield _packed(pack, alphabet, settings, rng)


def _units(documents: Sequence[Document[Piece]], alphabet: Alphabet[Piece], budget: int) -> Iterator[Sequence[Piece]]:
    """Sentences, cut where one alone is over the budget, and a `[SEP]` after each document."""
    for document in documents:
        for sentence in document:
            for start in range(0, len(sentence), budget):
                yield sentence[start : start + budget]
        yield [alphabet.layout.sep]


def _packed(
    pack: list[Piece], alphabet: Alphabet[Piece], settings: InstanceSettings, rng: random.Random
) -> TrainingInstance:
    body = pack[:-1] if pack[-1] == alphabet.layout.sep else pack
    pieces, segment_ids = alphabet.layout.join(body)
    seen, positions, labels = mask_pieces(pieces, alphabet, settings.masking, rng)
    return TrainingInstance(seen, segment_ids, positions, labels, is_random_next=None)


def _target_length(budget: int, short_seq_prob: float, rng: random.Random) -> int:
    """The whole budget, or now and then a random shorter length, so that fine-tuning meets no unknown lengths."""
    return rng.randint(2, budget) if rng.random() < short_seq_prob else budget


def _joined(sentences: Document[Piece]) -> list[Piece]:
    return list(itertools.chain.from_iterable(sentences))
