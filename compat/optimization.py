"""Names of upstream's `optimization.py`."""

from modeling.training.optimization import AdamWeightDecayOptimizer, create_optimizer

__all__ = ["AdamWeightDecayOptimizer", "create_optimizer"]
