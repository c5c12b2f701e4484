"""`bert.modeling` is `modeling`."""

import sys

import modeling

sys.modules[__name__] = modeling
