"""Tokenizing inside a TensorFlow graph, exactly as the featurizers do."""
