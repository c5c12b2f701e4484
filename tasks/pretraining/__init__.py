"""Masked-language model and next-sentence prediction."""
