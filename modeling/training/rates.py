"""Learning rates by depth: lower layers change less."""

from modeling.parameter_groups import HEAD, ParameterGroup


def rates_by_depth(decay: float, learning_rate: float, num_layers: int) -> tuple[ParameterGroup, ...]:
    """A rate for each layer: that of the layer above times `decay`.

    The head has the rate of the run, the pooler one factor less, the top layer two, the embeddings the most.

    Args:
      decay: factor between neighbours.
      learning_rate: peak rate of the run.
      num_layers: of the encoder.

    Source: arXiv:2003.10555; `_get_layer_lrs` of google-research/electra, where heads are two above the top layer.
    """
    parts = [("^bert/embeddings/", 0), *((f"^bert/encoder/layer_{layer}/", layer + 1) for layer in range(num_layers))]
    parts += [("^bert/pooler/", num_layers + 1), (HEAD, num_layers + 2)]
    return tuple(
        ParameterGroup("depth", pattern, learning_rate=learning_rate * decay ** (num_layers + 2 - depth))
        for pattern, depth in parts
    )
