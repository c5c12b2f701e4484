"""`bert.run_classifier` is `run_classifier`."""

import sys

import run_classifier

sys.modules[__name__] = run_classifier
