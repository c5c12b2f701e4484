"""The way of google-research/bert, written anew: a character, a candidate, a protocol-buffer object at a time."""
