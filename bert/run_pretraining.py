"""`bert.run_pretraining` is `run_pretraining`."""

import sys

import run_pretraining

sys.modules[__name__] = run_pretraining
