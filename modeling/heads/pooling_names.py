"""Names of the pooling modes; readable without TensorFlow."""

POOLINGS = ("none", "cls", "pooled", "mean", "max", "mean_max", "first_last_mean")
"""No pooling first; `modeling.heads.pooling.VectorReader` says what each is."""
