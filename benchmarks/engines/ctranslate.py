"""CTranslate2's encoder, with the classifier in NumPy; rows are not padded for it."""

from typing import Any

import ctranslate2
import numpy as np

from benchmarks.engines.prepared import Arrays, Logits, Peer, rounds
from benchmarks.protocol import ENGINE_THREADS, FLOAT32, INT8, Rounds, Settings

TOLERANCES = {FLOAT32: 1e-3, INT8: 0.5}


def load(settings: Settings) -> Rounds:
    """Converts once; the arithmetic is chosen where it is loaded."""
    peer = Peer.load(settings)
    folder = str(settings.folder / "ctranslate2")
    ctranslate2.converters.TransformersConverter(settings.weights).convert(folder, force=True)
    engines = {name: (_logits(peer, folder, name), tolerance) for name, tolerance in TOLERANCES.items()}
    return rounds(peer, engines, settings)


def _logits(peer: Peer, folder: str, kind: str) -> Logits:
    encoder = ctranslate2.Encoder(folder, device="cpu", compute_type=kind, intra_threads=ENGINE_THREADS)
    weights, bias = (one.detach().numpy() for one in (peer.model.classifier.weight, peer.model.classifier.bias))

    def logits(arrays: Arrays) -> Any:
        lengths = arrays["attention_mask"].sum(axis=1).tolist()
        ids, segments = (
            [row[:length] for row, length in zip(arrays[name].tolist(), lengths, strict=True)]
            for name in ("input_ids", "token_type_ids")
        )
        pooled = encoder.forward_batch(ids, token_type_ids=segments).pooler_output
        return np.array(pooled) @ weights.T + bias

    return logits
