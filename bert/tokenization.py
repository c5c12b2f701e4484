"""`bert.tokenization` is `tokenization`."""

import sys

import tokenization

sys.modules[__name__] = tokenization
