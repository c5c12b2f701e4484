"""`bert.optimization` is `optimization`."""

import sys

import optimization

sys.modules[__name__] = optimization
