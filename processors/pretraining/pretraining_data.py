"""Everything that decides pretraining records: corpus, tokenizer, settings, and where they go."""

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processors.pretraining import packing
from processors.pretraining.corpus import BEGINNING, CorpusReader, CorpusStatistics, Place
from processors.pretraining.instance_records import REPORT_SUFFIX, InstanceSerializer, shard_paths
from processors.pretraining.instances import InstanceSettings, shuffled_instances
from processors.pretraining.masking import Alphabet
from processors.records import record_sets
from tokenization.base import Tokenizer

BLOCK_SIZE = 1 << 20


@dataclasses.dataclass(frozen=True)
class PretrainingData:
    """Everything that decides the records, and how they are made.

    Args:
      files: the corpus, in order.
      outputs: record files to write.
      tokenizer: of the model.
      instances: how documents become instances.
      seed: of all random choices.
      segmented: blanks in the corpus separate words, whose tokens whole-word masking keeps together.
      pad: write rows of one length.
      num_shards: files to write in place of a single output.
      block_size: characters of text in a block of the streaming mode.
      pack_sequences: put several short instances into a row.
      encoding: of the corpus, as for `processors.reading.line_encoding`.
    """

    files: Sequence[Path]
    outputs: Sequence[Path]
    tokenizer: Tokenizer
    instances: InstanceSettings = dataclasses.field(default_factory=InstanceSettings)
    seed: int = 12345
    segmented: bool = False
    pad: bool = True
    num_shards: int | None = None
    block_size: int = BLOCK_SIZE
    pack_sequences: bool = False
    encoding: str | None = None

    @property
    def shards(self) -> list[Path]:
        """The files to write."""
        return shard_paths(self.outputs, self.num_shards)

    def reader(self, start: Place = BEGINNING) -> CorpusReader:
        """Reads the corpus from a place on."""
        return CorpusReader(self.files, start, self.encoding)

    @property
    def report_path(self) -> Path:
        """Where the corpus report goes: beside the first output."""
        return self.outputs[0].with_name(self.outputs[0].name + REPORT_SUFFIX)

    @property
    def serializer(self) -> InstanceSerializer | packing.RowSerializer:
        """Instances to bytes."""
        settings, kind = self.instances, packing.RowSerializer if self.pack_sequences else InstanceSerializer
        limit = settings.masking.max_predictions_per_seq
        pad_id = self.tokenizer.special_ids.pad
        return kind(settings.max_seq_length, limit, settings.next_sentence, self.pad, pad_id)

    def serialize(self, documents: list[Any], rng: random.Random, counts: CorpusStatistics) -> list[bytes]:
        """Records of documents of ids in their final order; instances that share rows are added to the counts."""
        alphabet, serializer = Alphabet.of_ids(self.tokenizer), self.serializer
        if isinstance(serializer, InstanceSerializer):
            return shuffled_instances(documents, alphabet, self.instances, rng, serializer.serializer())
        instances = shuffled_instances(documents, alphabet, self.instances, rng, packing.compact)
        return serializer.records(instances, counts)

    def fingerprint(self, streaming: bool) -> str:
        """Digest of corpus and settings: equal digests give equal records."""
        inputs = {
            "tokenizer": self.tokenizer.fingerprint(),
            "instances": dataclasses.asdict(self.instances),
            "seed": self.seed,
            "segmented": self.segmented,
            "pad": self.pad,
            "shards": len(self.shards),
            "block_size": self.block_size if streaming else None,
            **({"pack_sequences": True} if self.pack_sequences else {}),
            **({"encoding": self.encoding} if self.encoding else {}),
        }
        return record_sets.fingerprint(inputs, self.files)
