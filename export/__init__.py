"""Trained weights for others: SavedModels, frozen graphs, converted checkpoints."""
