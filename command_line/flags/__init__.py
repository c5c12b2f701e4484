"""The flags of the scripts, in groups."""
