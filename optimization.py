"""Names of google-research/bert's `optimization.py`: `create_optimizer`, `AdamWeightDecayOptimizer`."""

import compat

__getattr__ = compat.lookup("optimization")
