"""Pairs of a source text and the text to write of it."""
