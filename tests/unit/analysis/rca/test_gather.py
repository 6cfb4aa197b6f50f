"""Before and since the onset, of what was read."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.rca.gather import RANGE_STEP, full, split
from analysis.windows.block import Samples

START, ONSET, END = 0.0, 600.0, 780.0
TIMES = np.arange(START, END, RANGE_STEP)


def traffic(begins: float) -> Samples:
    """Eight requests a second since `begins`, as `rate(…[60s])` shows them."""
    times = TIMES[begins < TIMES] if begins > START else TIMES
    values = 8.0 * np.minimum((times - begins) / 60.0, 1.0)
    return Samples(({},), np.zeros(times.size, dtype=np.int64), times, values)


@pytest.mark.parametrize(
    ("begins", "before"),
    [(-900.0, 8.0), (500.0, 8.0), (450.0, 8.0), (590.0, math.nan)],
    ids=["an old workload", "a minute and a half old", "two and a half minutes old", "only just there"],
)
def test_a_workload_that_is_new_gets_no_more_requests_than_before(begins: float, before: float) -> None:
    """Else traffic that grew is told as the cause of whatever befalls a workload in its first minutes."""
    read = split(full(traffic(begins), START), 0, ONSET, "rate")
    assert (read.before, read.after) == pytest.approx((before, 8.0), nan_ok=True)


def test_traffic_that_does_grow_is_seen() -> None:
    read = traffic(-900.0)
    values = np.where(read.times >= ONSET, 12.0, read.values)
    grown = split(full(Samples(read.labels, read.series, read.times, values), START), 0, ONSET, "rate")
    assert grown.change == pytest.approx(0.5)
