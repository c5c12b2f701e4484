"""Tasks: each joins what to read, how it becomes features, the head on the encoder, and how outputs become answers."""
