"""`bert.run_pretraining` is `run_pretraining`, which `python -m` runs."""

import sys

import run_pretraining

if __name__ == "__main__":
    run_pretraining.main()
else:
    sys.modules[__name__] = run_pretraining
