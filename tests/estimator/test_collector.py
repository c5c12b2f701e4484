"""What an evaluation keeps on the host: rows of any rank, filled up where batches differ in length."""

import numpy as np
import pytest

from estimator.hooks.collector import concatenated


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(2,), (3,)], (5,)),
        ([(2, 4), (3, 2)], (5, 4)),
        ([(1, 3, 2), (2, 1, 5)], (3, 3, 5)),
        ([(1, 1, 2, 2), (1, 4, 1, 2)], (2, 4, 2, 2)),
    ],
)
def test_rows_of_any_rank_are_filled_up_with_a_value_of_their_own(shapes, expected):
    batches = [np.full(shape, 7, np.int32) for shape in shapes]
    joined = concatenated(batches, padding=-1)
    assert (joined.shape, joined.dtype) == (expected, np.int32)
    assert (joined == 7).sum() == sum(map(np.prod, shapes))
    assert (joined == -1).sum() == joined.size - (joined == 7).sum()
    start = 0
    for batch in batches:  # a row keeps its place, what is added stands behind
        own = joined[(slice(start, start + len(batch)), *map(slice, batch.shape[1:]))]
        np.testing.assert_array_equal(own, batch)
        start += len(batch)
