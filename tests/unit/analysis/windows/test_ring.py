"""What a ring keeps, drops and counts."""

from __future__ import annotations

import math

import numpy as np

from analysis.windows.ring import STALE_BITS, Ring

T0 = 1_700_000_010.0
STEP = 15.0


def write(ring: Ring, *samples: tuple[int, float, float], now: float = T0) -> None:
    rows, seconds, values = zip(*samples, strict=True)
    ring.write(np.array(rows), np.array([round(at * 1000) for at in seconds]), np.array(values, dtype=np.float64), now)


def row(ring: Ring, index: int = 0) -> list[float | None]:
    _, values = ring.samples(np.array([index]), ring.columns * ring.step)
    return [None if math.isnan(value) else float(value) for value in values[0]]


def test_samples_lie_in_order_whatever_order_they_came_in() -> None:
    ring = Ring(2, 4, STEP)
    write(ring, (0, T0 - 15, 2.0), (0, T0, 3.0), (0, T0 - 45, 0.0), (0, T0 - 30, 1.0))
    assert row(ring) == [0.0, 1.0, 2.0, 3.0]
    assert row(ring, 1) == [None] * 4


def test_a_gap_stays_a_gap_and_old_columns_are_cleared() -> None:
    ring = Ring(1, 4, STEP)
    write(ring, (0, T0, 1.0))
    write(ring, (0, T0 + 30, 3.0), now=T0 + 30)
    assert row(ring) == [None, 1.0, None, 3.0]
    ring.advance(T0 + 75)
    assert row(ring) == [3.0, None, None, None]
    ring.advance(T0 + 10_000)
    assert row(ring) == [None] * 4


def test_what_is_not_kept_is_counted() -> None:
    ring = Ring(1, 4, STEP)
    stale = float(np.array([STALE_BITS]).view(np.float64)[0])
    write(ring, (0, T0 + 5, 1.0), (0, T0 + 2, 9.0), (0, T0 - 100, 5.0), (0, T0 + 500, 5.0))
    write(ring, (0, T0 - 15, math.nan), (0, T0, stale))
    counts = ring.counts
    assert (counts.written, counts.superseded, counts.late, counts.ahead) == (1, 1, 1, 1)
    assert (counts.not_finite, counts.ended) == (1, 1)
    assert row(ring)[-1] == 1.0
    assert ring.ended[0]


def test_a_series_that_ended_lives_again_with_its_next_sample() -> None:
    ring = Ring(1, 4, STEP)
    write(ring, (0, T0, float(np.array([STALE_BITS]).view(np.float64)[0])))
    write(ring, (0, T0 + 15, 1.0), now=T0 + 15)
    assert not ring.ended[0]


def test_silent_rows_can_be_given_to_others() -> None:
    ring = Ring(3, 4, STEP)
    write(ring, (0, T0 - 45, 1.0), (1, T0, 1.0))
    assert ring.silent(30.0).tolist() == [0]
    ring.clear(np.array([0]))
    assert row(ring) == [None] * 4
    assert ring.silent(30.0).tolist() == []


def test_samples_have_their_times() -> None:
    ring = Ring(2, 4, STEP)
    write(ring, (1, T0, 7.0), (1, T0 - 20, 6.0))
    times, values = ring.samples(np.array([1]), 4 * STEP)
    at = times[0] / 1000
    assert np.nanmax(np.abs(at[~np.isnan(at)] - [T0 - 20, T0])) <= STEP / 256
    assert values[0, -1] == 7.0
