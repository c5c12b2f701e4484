"""`bert.extract_features` is `extract_features`, which `python -m` runs."""

import sys

import extract_features

if __name__ == "__main__":
    extract_features.main()
else:
    sys.modules[__name__] = extract_features
