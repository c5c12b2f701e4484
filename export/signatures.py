"""Names of what is exported; readable without TensorFlow."""

EXPORT, EXPORT_IDS = "export", "export_ids"
"""Folders of an output directory: all signatures, and those on ids alone."""
BOTH, TEXT, IDS = "both", "text", "ids"
FOLDERS = {BOTH: (EXPORT, EXPORT_IDS), TEXT: (EXPORT,), IDS: (EXPORT_IDS,)}
"""Which folders are written, by the value of `--export_signatures`."""
