"""Engines of others: the same weights, as each engine's own tools prepare them; in an environment of their own."""
