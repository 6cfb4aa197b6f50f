"""The first look reads what is in the ring, compiled or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.windows import extremes
from analysis.windows.ring import Ring

STEP, COLUMNS, ROWS = 15.0, 8, 5
NOW = 1_767_225_600.0
seconds = st.floats(-STEP * COLUMNS, 30.0).map(lambda at: round(at, 3))
written = st.lists(st.tuples(st.integers(0, ROWS - 1), seconds, st.floats(-1e9, 1e9, width=32)), max_size=60)


@pytest.mark.parametrize("compiled", [True, False], ids=["loop", "numpy"])
@pytest.mark.parametrize(("values", "parts"), [(np.float32, np.uint16), (np.float64, np.uint8)])
@given(samples=written, span=st.tuples(seconds, seconds))
@settings(max_examples=60, deadline=None)
def test_it_sees_what_the_samples_say(compiled, values, parts, samples, span) -> None:
    ring = Ring(ROWS, COLUMNS, STEP, values=values, parts=parts)
    if samples:
        rows, at, given_values = zip(*samples, strict=True)
        millis = np.array([round((NOW + one) * 1000) for one in at])
        ring.write(np.array(rows), millis, np.array(given_values, dtype=np.float64), NOW)
    ring.advance(NOW)
    rows, within = np.array([4, 0, 2]), tuple(round((NOW + one) * 1000) for one in sorted(span))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extremes, "COMPILED", compiled)
        found = ring.extremes(rows, STEP * 6, within)
    times, kept = ring.samples(rows, STEP * 6)
    for row in range(len(rows)):
        inside = (times[row] >= within[0]) & (times[row] <= within[1])
        seen = [float(one[row]) for one in (found.low, found.high, found.last, found.last_at)]
        if not inside.any():
            assert np.isnan(seen).all()
            continue
        newest = np.flatnonzero(inside)[-1]
        own = kept[row][inside]
        assert seen == [own.min(), own.max(), kept[row][newest], times[row][newest]]
