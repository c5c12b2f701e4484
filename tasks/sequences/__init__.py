"""Text to text: a source is read, and a text is written of it."""
