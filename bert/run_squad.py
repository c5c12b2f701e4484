"""`bert.run_squad` is `run_squad`."""

import sys

import run_squad

sys.modules[__name__] = run_squad
