"""Vectors of texts as files."""
