"""Rows without their gaps, and the median of the slopes between their samples, said plainly for one row at a time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from analysis.windows.block import Block, pack
from analysis.windows.robust import theil_sen

STEP = 5.0
measured = st.one_of(st.just(float("nan")), st.integers(-1000, 1000).map(float))
cells = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), elements=measured)


def grid(values: np.ndarray) -> Block:
    offsets = np.where(np.isnan(values), np.nan, np.arange(values.shape[1]) * STEP + 0.25).astype(np.float32)
    return Block(tuple({"row": str(row)} for row in range(len(values))), 0.0, STEP, offsets, values)


@given(values=cells)
@settings(max_examples=100, deadline=None)
def test_packed_rows_are_the_samples_in_order_and_then_nothing(values: np.ndarray) -> None:
    block = grid(values)
    x, y, count = pack(block)
    assert x.shape == y.shape == (len(values), count.max(initial=0))
    for row in range(len(values)):
        there = np.isfinite(values[row])
        n = int(there.sum())
        assert count[row] == n
        assert x[row, :n].tolist() == block.offsets[row, there].tolist()
        assert y[row, :n].tolist() == values[row, there].tolist()
        assert np.isnan(x[row, n:]).all()
        assert np.isnan(y[row, n:]).all()


@given(values=cells)
@settings(max_examples=100, deadline=None)
def test_a_slope_is_the_median_of_those_of_all_pairs(values: np.ndarray) -> None:
    x, y, count = pack(grid(values))
    found = theil_sen(x, y).value
    for row, n in enumerate(count.tolist()):
        slopes = [
            (y[row, late] - y[row, early]) / (x[row, late] - x[row, early]) for early, late in combinations(range(n), 2)
        ]
        assert np.array_equal(found[row], np.median(slopes) if slopes else np.nan, equal_nan=True)
