"""Raw text in, the chosen answer out, in the graph: the text signature of exports that choose."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from processors.choices.featurizer import JoiningSettings
from processors.choices.question import ChoiceQuestion, is_blank
from processors.graph import choices as graph
from processors.graph.parity_texts import PARITY_TEXTS, long_texts
from tasks.base import TextSignature
from tasks.choices.task import NAME, ChoiceSettings
from tokenization.base import Tokenizer

CONTEXT, QUESTION, CHOICES = "context", "question", "choices"


class ChoiceTextSignature(TextSignature):
    """`context` `[N]`, `question` `[N]`, `choices` `[N, C]` filled up with "" -> the chosen one, probabilities of all.

    Where questions have no context, or contexts no question, that input is left out.

    Args:
      tokenizer: of the model.
      settings: how it reads questions.
    """

    def __init__(self, tokenizer: Tokenizer, settings: ChoiceSettings) -> None:
        super().__init__(tokenizer)
        self._settings = settings
        self._choices: tf.Tensor | None = None

    @classmethod
    def of_export(cls, tokenizer: Tokenizer, settings: Mapping[str, Any], assets: Path) -> "ChoiceTextSignature":
        """As `TextSignature.of_export`."""
        del assets
        read = {field.name: settings[field.name] for field in dataclasses.fields(ChoiceSettings)}
        return cls(tokenizer, ChoiceSettings(**{**read, "joining": JoiningSettings(**read["joining"])}))

    def inputs(self) -> dict[str, tf.Tensor]:
        """Placeholders."""
        texts = {name: tf.compat.v1.placeholder(tf.string, [None], name) for name in self._names()[:-1]}
        return {**texts, CHOICES: tf.compat.v1.placeholder(tf.string, [None, None], CHOICES)}

    def features(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Joins and tokenizes."""
        with tf.device("/cpu:0"):
            texts = {name: tf.strings.unicode_transcode(inputs[name], "UTF-8", "UTF-8") for name in self._names()}
            self._choices = choices = texts[CHOICES]
            nothing = tf.fill(tf.shape(choices)[:1], "")
            return graph.choice_features(
                self.tokenizer,
                self._settings.joining,
                self._settings.max_seq_length,
                (texts.get(CONTEXT, nothing), texts.get(QUESTION, nothing), choices),
            )

    def outputs(self, predictions: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """`answer` `[N]` and its place `index` `[N]`, `num_choices` `[N]` places up to the last choice, `choices` and
        `probabilities` `[N, C]`.
        """
        assert self._choices is not None
        there = ~graph.is_blank(self._choices)
        choices = tf.where(there, self._choices, "")
        index = tf.argmax(predictions["probabilities"], axis=1, output_type=tf.int32)
        places = tf.range(1, tf.shape(choices)[1] + 1)
        return {
            "answer": tf.gather(choices, index, axis=1, batch_dims=1),
            "index": index,
            "num_choices": tf.reduce_max(tf.where(there, places, 0), axis=1),
            "choices": choices,
            "probabilities": predictions["probabilities"],
        }

    def parity_examples(self) -> tuple[dict[str, Any], list[ChoiceQuestion]]:
        """Difficult texts in every part, parts that are missing, and contexts and questions that are too long."""
        long, other = long_texts(self._settings.max_seq_length)
        texts = [*PARITY_TEXTS, long, "a _ in _ it", other, "\u00a0 ", "\u200b"]
        turned = lambda by: [*texts[by:], *texts[:by]]  # noqa: E731
        context, question, first, second = (turned(by) for by in (0, 1, 2, 3))
        choices = [
            [one, "" if row % 3 else long, two, " "] for row, (one, two) in enumerate(zip(first, second, strict=True))
        ]
        given = {CONTEXT: context, QUESTION: question, CHOICES: choices}
        plain = lambda text: "" if is_blank(text) else text  # noqa: E731
        examples = [
            ChoiceQuestion(
                f"parity-{row}",
                plain(context[row]) if self._settings.has_context else "",
                plain(question[row]) if self._settings.has_question else "",
                tuple(map(plain, choices[row])),
            )
            for row in range(len(texts))
        ]
        return {name: given[name] for name in self._names()}, examples

    def settings(self) -> dict[str, Any]:
        """How questions are read, which texts there are, and which of them are lists."""
        return {
            **dataclasses.asdict(self._settings),
            "problem_type": NAME,
            "inputs": self._names(),
            "lists": [CHOICES],
        }

    def _names(self) -> list[str]:
        settings = self._settings
        return [*[CONTEXT] * settings.has_context, *[QUESTION] * settings.has_question, CHOICES]
