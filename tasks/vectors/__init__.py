"""Vectors of texts, as files and as exports."""
