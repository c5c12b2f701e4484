"""`bert.run_classifier_with_tfhub` is `run_classifier_with_tfhub`, which `python -m` runs."""

import sys

import run_classifier_with_tfhub

if __name__ == "__main__":
    run_classifier_with_tfhub.main()
else:
    sys.modules[__name__] = run_classifier_with_tfhub
