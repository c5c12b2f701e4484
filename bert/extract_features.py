"""`bert.extract_features` is `extract_features`."""

import sys

import extract_features

sys.modules[__name__] = extract_features
