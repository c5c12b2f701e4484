"""Raw text in, words, tags and entities out, in the graph: the text signature of the token-classification export.

Shapes: N texts, P words of all texts (flat), W words of the longest text, E entities of the text with the most, L tags.
"""

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf

from modeling.heads import crf
from processors.entities.featurizer import SentenceFeaturizer
from processors.entities.sentence import Sentence, sentence_of_text, split_words
from processors.entities.tags import NONE, OUTSIDE, split_tag
from processors.graph import sentences
from processors.graph.parity_texts import PARITY_TEXTS
from tasks.base import TextSignature
from tokenization.base import Tokenizer


class _Tagged(NamedTuple):
    """The tags of all words `[P]`: int32 ids, their probabilities, and what the probability of several is made of: the
    logarithms `before` and `after` (less the total) and, float64, `along`, as in `tasks.entities.decoding.Decoded`.
    """

    tags: tf.Tensor
    probabilities: tf.Tensor
    before: tf.Tensor
    after: tf.Tensor
    along: tf.Tensor


class _EntitySignature(TextSignature):
    """The words of texts, a tag for each, and the entities that tags spell out.

    Texts of any length are read in windows.

    Args:
      tokenizer: of the model.
      settings: a `tasks.entities.task.EntitySettings`.
      labels: tags in the order of the classes.
      scheme: of the data; `none` for tags that are no spans.
    """

    def __init__(self, tokenizer: Tokenizer, settings: Any, labels: Sequence[str], scheme: str) -> None:
        super().__init__(tokenizer)
        self._settings = settings
        self._labels = list(labels)
        self._scheme = scheme
        self._overlap = SentenceFeaturizer(tokenizer, settings.max_seq_length, labels, settings.window_overlap).overlap
        self._read: tuple[tf.Tensor, sentences.GraphWords, sentences.GraphWindows] | None = None

    @abc.abstractmethod
    def words_of(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, sentences.GraphWords]:
        """The texts, string `[N]`, and their words."""

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Windows of all texts, one after the other."""
        with tf.device("/cpu:0"):
            texts, words = self.words_of(inputs)
            windows = sentences.make_windows(self.tokenizer, words.words, self._settings.max_seq_length, self._overlap)
        self._read = texts, words, windows
        return windows.features

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Answers to the texts that `features` has read; rows are filled up with "" and 0.

        Returns:
          `num_tokens` int32 `[N]`; `tokens`, `tags` string `[N, W]`, `probabilities` float32 `[N, W]`, `token_starts`,
          `token_ends` int32 `[N, W]`, characters of the text; `num_entities` int32 `[N]`,
          `entity_types`, `entity_texts` string `[N, E]`, `entity_starts`, `entity_ends` int32 `[N, E]`,
          `entity_probabilities` float32 `[N, E]`.
        """
        if self._read is None:
            raise ValueError("features() comes before outputs()")
        texts, words, windows = self._read
        scores = tf.gather_nd(predictions["scores"], tf.stack([windows.owners, windows.places], axis=1))  # [P, L]
        scores = tf.nn.log_softmax(tf.cast(scores, tf.float32))
        tagged = self._in_sentences(words, scores, predictions) if self._settings.use_crf else _each_alone(scores)
        by_text = words.words.with_values
        names = tf.constant(self._labels)
        found = {
            "num_tokens": tf.cast(words.words.row_lengths(), tf.int32),
            "tokens": words.words.to_tensor(),
            "tags": by_text(tf.gather(names, tagged.tags)).to_tensor(),
            "probabilities": by_text(tagged.probabilities).to_tensor(),
            "token_starts": by_text(words.starts).to_tensor(),
            "token_ends": by_text(words.ends).to_tensor(),
        }
        return found | self._entities(texts, words, tagged)

    def settings(self) -> dict[str, Any]:
        """Lengths, how texts are split, the scheme of the data, problem type, and the name of the text."""
        return {
            "max_seq_length": self._settings.max_seq_length,
            "window_overlap": self._overlap,
            "by_character": self._settings.by_character,
            "use_crf": self._settings.use_crf,
            "tag_scheme": self._scheme,
            "problem_type": "entities",
            "inputs": ["text"],
        }

    def further_assets(self) -> dict[str, str | bytes]:
        """`labels.txt`."""
        return {"labels.txt": "".join(f"{label}\n" for label in self._labels)}

    def _in_sentences(
        self, words: sentences.GraphWords, scores: tf.Tensor, predictions: Mapping[str, tf.Tensor]
    ) -> _Tagged:
        """Decodes the sentences as wholes."""
        table = tf.reduce_max(predictions["transitions"], axis=0)  # equal rows
        transitions = crf.Transitions(table[:-2], table[-2], table[-1])
        ragged = tf.RaggedTensor.from_row_splits(scores, words.words.row_splits, validate=False)
        dense = ragged.to_tensor(shape=[None, None, len(self._labels)])
        lengths = tf.cast(ragged.row_lengths(), tf.int32)
        # At least one place for a word: there may be none in all texts.
        dense = tf.pad(dense, [[0, 0], [0, tf.maximum(1 - tf.shape(dense)[1], 0)], [0, 0]])
        is_word = tf.sequence_mask(lengths, tf.shape(dense)[1])
        path, _ = crf.best_paths(dense, lengths, transitions)
        sums = crf.path_sums(dense, lengths, transitions)
        of_path = lambda values: tf.gather(values, path, axis=2, batch_dims=2)  # noqa: E731
        between = tf.gather_nd(transitions.between, tf.stack([path[:, :-1], path[:, 1:]], axis=2))
        steps = of_path(dense) + tf.pad(between, [[0, 0], [1, 0]])
        before, after = of_path(sums.before), of_path(sums.after) - sums.total[:, tf.newaxis]
        probabilities = tf.exp(tf.minimum(before + after, 0.0))
        flat = (path, probabilities, before, after, _summed_up(steps, axis=1))
        return _Tagged(*(tf.boolean_mask(values, is_word) for values in flat))

    def _entities(self, texts: tf.Tensor, words: sentences.GraphWords, tagged: _Tagged) -> dict[str, tf.Tensor]:
        """`processors.entities.tags.spans_of_tags` of all words, with their characters and probability."""
        kinds, begins = self._kinds()
        kind = tf.gather(kinds, tagged.tags)  # [P], -1 outside of entities
        text_of = words.words.value_rowids()
        same = tf.equal(kind[1:], kind[:-1]) & tf.equal(text_of[1:], text_of[:-1])
        goes_on = tf.concat([[False], same & ~tf.gather(begins, tagged.tags[1:])], axis=0)[: tf.size(kind)]
        is_in = kind >= 0
        opens = is_in & ~goes_on
        closes = is_in & ~tf.concat([goes_on[1:], [False]], axis=0)[: tf.size(kind)]
        first, last = (tf.cast(tf.where(edges)[:, 0], tf.int32) for edges in (opens, closes))
        start, end = tf.gather(words.starts, first), tf.gather(words.ends, last)
        along = tf.cast(tf.gather(tagged.along, last) - tf.gather(tagged.along, first), tf.float32)
        joint = tf.gather(tagged.before, first) + along + tf.gather(tagged.after, last)
        row = tf.gather(text_of, first)
        count = words.words.nrows()
        by_text = lambda values: tf.RaggedTensor.from_value_rowids(values, row, nrows=count, validate=False)  # noqa: E731
        surfaces = tf.strings.substr(tf.gather(texts, row), start, end - start, unit="UTF8_CHAR")
        return {
            "num_entities": tf.cast(by_text(first).row_lengths(), tf.int32),
            "entity_types": by_text(tf.gather(self._types(), tf.gather(kind, first))).to_tensor(),
            "entity_texts": by_text(surfaces).to_tensor(),
            "entity_starts": by_text(start).to_tensor(),
            "entity_ends": by_text(end).to_tensor(),
            "entity_probabilities": by_text(tf.exp(tf.minimum(joint, 0.0))).to_tensor(),
        }

    def _type_names(self) -> list[str]:
        return sorted({kind for prefix, kind in self._parts() if prefix != OUTSIDE})

    def _parts(self) -> list[tuple[str, str]]:
        """Prefix and type of each tag; none is of an entity where tags are no spans."""
        return [(OUTSIDE, "") if self._scheme == NONE else split_tag(label) for label in self._labels]

    def _types(self) -> tf.Tensor:
        return tf.constant([*self._type_names(), ""])  # never empty

    def _kinds(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Of each tag the number of its type, -1 for none, and whether it begins an entity; `[L]`."""
        names = self._type_names()
        parts = self._parts()
        numbers = [-1 if prefix == OUTSIDE else names.index(kind) for prefix, kind in parts]
        return tf.constant(numbers, tf.int32), tf.constant([prefix == "B" for prefix, _ in parts])


class EntityTextSignature(_EntitySignature):
    """`text` `[N]` -> words, tags, entities; texts are split into words as the tokenizer splits them."""

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "EntityTextSignature":
        """As `TextSignature.of_export`."""
        from tasks.entities.task import EntitySettings

        labels = (assets / "labels.txt").read_text(encoding="utf-8").split("\n")[:-1]
        read = {name: settings[name] for name in ("max_seq_length", "window_overlap", "use_crf", "by_character")}
        return cls(tokenizer, EntitySettings(**read), labels, settings["tag_scheme"])

    def inputs(self) -> dict[str, tf.Tensor]:
        """A placeholder."""
        return {"text": tf.compat.v1.placeholder(tf.string, [None], "text")}

    def words_of(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, sentences.GraphWords]:
        """The texts, split."""
        texts = tf.strings.unicode_transcode(inputs["text"], "UTF-8", "UTF-8")
        return texts, sentences.split_words(texts, self._settings.by_character)

    def further(self) -> Mapping[str, TextSignature]:
        """`tokens`, for texts that are split already."""
        return {"tokens": EntityTokensSignature(self.tokenizer, self._settings, self._labels, self._scheme)}

    def parity_examples(self) -> tuple[dict[str, Any], list[Sentence]]:
        """Every difficult text that has a word, and all of them as one text of many windows."""
        texts = [text for text in PARITY_TEXTS if next(split_words(text, self._settings.by_character), None)]
        texts.append(" ".join(texts * 4))
        return {"text": texts}, [sentence_of_text(0, text, None, self._settings.by_character) for text in texts]


class EntityTokensSignature(_EntitySignature):
    """`tokens` `[N, W]`, the words of each text, filled up with "" behind the last -> the same outputs.

    Characters count in the text that the words make, joined by blanks (by nothing where texts are split by character).
    """

    def inputs(self) -> dict[str, tf.Tensor]:
        """A placeholder."""
        return {"tokens": tf.compat.v1.placeholder(tf.string, [None, None], "tokens")}

    def words_of(self, inputs: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, sentences.GraphWords]:
        """The texts that the words make."""
        tokens = tf.strings.unicode_transcode(inputs["tokens"], "UTF-8", "UTF-8")
        return sentences.join_words(tokens, "" if self._settings.by_character else " ")

    def parity_examples(self) -> tuple[dict[str, Any], list[Sentence]]:
        """Difficult texts as words: as a data set may split them, and as single words with blanks inside."""
        words = [text.split(" ") for text in PARITY_TEXTS]
        words = [[word for word in row if word] for row in words] + [list(PARITY_TEXTS)]
        width = max(map(len, words))
        return {"tokens": [row + [""] * (width - len(row)) for row in words]}, [Sentence(0, row) for row in words]


def _each_alone(scores: tf.Tensor) -> _Tagged:
    """Decodes words one by one, from log probabilities `[P, L]`."""
    tags = tf.argmax(scores, axis=1, output_type=tf.int32)
    logs = tf.reduce_max(scores, axis=1)
    return _Tagged(tags, tf.exp(logs), logs, tf.zeros_like(logs), _summed_up(logs, axis=0))


def _summed_up(logs: tf.Tensor, axis: int) -> tf.Tensor:
    """Sums in float64: their differences count, and texts may be long."""
    return tf.cumsum(tf.cast(logs, tf.float64), axis=axis)
