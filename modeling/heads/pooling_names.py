"""Names of the ways from the vectors of a row's pieces to one; readable without TensorFlow."""

POOLINGS = ("none", "cls", "pooled", "mean", "max", "mean_max", "first_last_mean")
"""No pooling first; `modeling.heads.pooling.VectorReader` says what each is."""
