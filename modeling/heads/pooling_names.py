"""Names of the pooling modes; readable without TensorFlow."""

POOLINGS = ("none", "cls", "pooled", "mean", "max", "mean_max", "first_last_mean")
"""No pooling first; `modeling.heads.pooling.VectorReader` says what each is."""

MEAN, MAX, FIRST = "mean", "max", "first"
WINDOW_POOLINGS = (MEAN, MAX, FIRST)
"""How the scores of windows become those of a document: their mean, the largest of each, or those of the first."""
