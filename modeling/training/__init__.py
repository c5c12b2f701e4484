"""Optimizers, learning rates, gradients in parts, loss scale, freezing."""
