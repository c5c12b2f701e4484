"""`bert.create_pretraining_data` is `create_pretraining_data`."""

import sys

import create_pretraining_data

sys.modules[__name__] = create_pretraining_data
