"""Reading comprehension: answers as spans of a context."""
