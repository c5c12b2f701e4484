"""`bert.run_classifier_with_tfhub` is `run_classifier_with_tfhub`."""

import sys

import run_classifier_with_tfhub

sys.modules[__name__] = run_classifier_with_tfhub
