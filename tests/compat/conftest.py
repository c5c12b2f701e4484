"""What tests of upstream's names share."""

import pytest
from absl import flags


@pytest.fixture
def program_flags():
    """A program's own flags, as copies of upstream's scripts define them."""
    defined = []

    def define(**named):
        for name, value in named.items():
            kind = flags.DEFINE_bool if isinstance(value, bool) else flags.DEFINE_string
            kind = flags.DEFINE_integer if type(value) is int else kind
            kind = flags.DEFINE_float if isinstance(value, float) else kind
            kind(name, value, "a flag of the program")
            defined.append(name)
        flags.FLAGS.mark_as_parsed()
        return flags.FLAGS

    yield define
    flags.FLAGS.unparse_flags()
    for name in defined:
        delattr(flags.FLAGS, name)
