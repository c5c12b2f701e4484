"""`bert.create_pretraining_data` is `create_pretraining_data`, which `python -m` runs."""

import sys

import create_pretraining_data

if __name__ == "__main__":
    create_pretraining_data.main()
else:
    sys.modules[__name__] = create_pretraining_data
