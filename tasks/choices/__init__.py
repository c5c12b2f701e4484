"""Multiple choice: one of several texts answers a question."""
