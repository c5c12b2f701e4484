"""Sentences with a tag for each word: column files, JSON lines, tag schemes, entities as spans."""
