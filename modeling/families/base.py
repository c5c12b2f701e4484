"""What a family of encoders says of itself."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from modeling.families.names import GoogleNames, HuggingFaceNames, ObjectNames
from tokenization.base import SpecialTokens


@dataclasses.dataclass(frozen=True)
class Pooler:
    """The layer from the vector of the first token to what heads over a whole row read.

    Args:
      activation: of that layer, as `modeling.encoder.layers.get_activation` knows it.
      drops_input: whether training drops values of its input, too, with the probability of the classifier.
    """

    activation: str = "tanh"
    drops_input: bool = False


@dataclasses.dataclass(frozen=True)
class Family:
    """One family: how its files are read and written, and how its graph differs from BERT's.

    Args:
      model_type: its name in configuration files.
      title: what the classes of Hugging Face begin with.
      hugging_face: names of variables in files of Hugging Face.
      google: names in the owner's TensorFlow 1 checkpoints; None where they are ours.
      objects: names in TensorFlow 2 checkpoints of the Model Garden; None where it has no such encoder.
      google_config: name of the owner's configuration files, if it is not `bert_config.json`.
      google_keys: keys that the owner's configuration files have and those of other families have not.
      google_activations: names of activations in those files that mean another there than in BERT's.
      renamed: keys of its configuration files whose names differ from those of `BertConfig`.
      defaults: what a key of `BertConfig` is that a file of Hugging Face leaves out, where BERT's default differs.
      fixed: keys whose other values would change the numbers: the value that is computed.
      has_segments: whether vectors of segments are added.
      position_offset: row of the first position in the table of positions.
      projects_embeddings: whether embeddings may be narrower than the layers, with a linear layer between.
      shares_layers: whether layers share weights in `num_hidden_groups` groups.
      pooler: between the encoder and heads over a whole row.
      lacks: output heads that the family has not: the variable as in `HeadNames`, and why.
      tokenizer: kind of its tokenizer.
      further_tokenizers: kinds that some of its models have in its place, with the special tokens of the kind.
      tokenizer_class: class of Hugging Face for it.
      special_tokens: of its vocabularies.
    """

    model_type: str
    title: str
    hugging_face: HuggingFaceNames
    google: GoogleNames | None = None
    objects: ObjectNames | None = None
    google_config: str | None = None
    google_keys: frozenset[str] = frozenset()
    google_activations: Mapping[str, str] = dataclasses.field(default_factory=dict)
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    has_segments: bool = True
    position_offset: int = 0
    projects_embeddings: bool = False
    shares_layers: bool = False
    pooler: Pooler = Pooler()
    lacks: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tokenizer: str = "wordpiece"
    further_tokenizers: tuple[str, ...] = ()
    tokenizer_class: str = "BertTokenizer"
    special_tokens: SpecialTokens = SpecialTokens()  # noqa: RUF009 - frozen

    @property
    def tokenizers(self) -> tuple[str, ...]:
        """Kinds of tokenizers that its models may have, the usual one first."""
        return self.tokenizer, *self.further_tokenizers
