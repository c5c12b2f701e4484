"""`bert.run_squad` is `run_squad`, which `python -m` runs."""

import sys

import run_squad

if __name__ == "__main__":
    run_squad.main()
else:
    sys.modules[__name__] = run_squad
