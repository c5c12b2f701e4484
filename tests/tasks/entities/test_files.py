"""The files of predicted tags."""

import pytest

from processors.entities.tags import BILOU, BIOES, BMES, IOB1, IOB2
from tasks.entities.files import in_scheme

TAGS = ["B-x", "I-x", "O", "B-x", "B-y", "I-y", "I-y"]


@pytest.mark.parametrize(
    ("scheme", "written"),
    [
        (IOB1, "I-x I-x O I-x I-y I-y I-y"),
        (IOB2, "B-x I-x O B-x B-y I-y I-y"),
        (BIOES, "B-x E-x O S-x B-y I-y E-y"),
        (BILOU, "B-x L-x O U-x B-y I-y L-y"),
        (BMES, "B-x E-x O S-x B-y M-y E-y"),
    ],
)
def test_predicted_tags_are_written_in_the_letters_of_the_data(scheme, written):
    assert in_scheme(TAGS, scheme) == written.split()
