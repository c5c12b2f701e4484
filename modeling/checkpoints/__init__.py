"""Finding, reading, comparing and writing checkpoints of every format."""
