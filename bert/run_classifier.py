"""`bert.run_classifier` is `run_classifier`, which `python -m` runs."""

import sys

import run_classifier

if __name__ == "__main__":
    run_classifier.main()
else:
    sys.modules[__name__] = run_classifier
