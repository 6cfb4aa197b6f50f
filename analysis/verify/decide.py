"""The verdict on memory: pure, from two windows of the workload and of its untouched siblings.

No data is not good data (S11): without enough samples after the action the verdict is ``Inconclusive``, never
``Effective``, and never ``Ineffective`` either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.contract import MeasuredChange, VerifyResponse
from analysis.telemetry.query import duration
from analysis.windows.block import BIRTH_GAP_SECONDS, Block, Bool, Float64, pack
from analysis.windows.robust import Features, features
from analysis.words import MIB, mib, mib_per_minute
from crds.v1alpha1.verification import Verdict

MIN_SAMPLES = 3
MIN_SPAN_SECONDS = 15.0
START_UP_SECONDS = 15.0
"""New pods fill their memory while they start; these seconds are not judged."""
GONE_SHARE = 0.2
"""Slope left below this share of what it was: the growth is gone."""
STILL_SHARE = 0.5
"""Slope left above this share: the growth is still on."""
FLAT_BYTES_PER_SECOND = MIB / 60
"""1 MiB/min: below this nobody would call it growth."""
NEAR_LIMIT_SHARE = 0.9
EARLIEST_SHARE = 0.5
"""Of the window: before that nothing is said, good or bad; processes that start are restless."""
COVERED_SHARE = 0.8
"""Of the window: samples that end before that cannot speak for its end."""
FELL_SHARE = 0.8
"""A level below this share of what it was has fallen."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Both windows of all containers of a namespace, same rows. ``mine: bool[series]`` marks the workload's."""

    before: Block
    after: Block
    mine: Bool
    limit: Float64
    query: str
    executed_at: float
    """Unix seconds."""
    restarted: bool
    """A container of the workload has restarted since the action."""
    elapsed_share: float
    """How much of the verification window has passed."""
    window_seconds: float
    """How long the verification window is."""
    final: bool
    """This is the last time of asking."""

    @property
    def complete(self) -> bool:
        """The window is over: what is good now has been good long enough."""
        return self.final or self.elapsed_share >= 1.0

    @property
    def covered(self) -> bool:
        """Samples of the workload reach far enough into the window: what went dark is not known to be good (S11)."""
        last = features(self.after).last_at[self.mine]
        seen = float(np.nanmax(last)) - self.executed_at if np.isfinite(last).any() else 0.0
        return seen >= (COVERED_SHARE if self.complete else EARLIEST_SHARE) * self.window_seconds


@dataclass(frozen=True, slots=True)
class Summary:
    """One side, one group: median slope and level over containers; NaN without data."""

    slope: float
    at_least: float
    """Lower end of the slope's interval: what even a few restless samples show."""
    level: float
    last_slope: float
    """Over the last minute of the window: did the growth stop before the window ended?"""


def settled(block: Block) -> Block:
    """Samples without the first seconds of series that began within the window."""
    x, _, _ = pack(block)
    if x.shape[1] == 0:
        return block
    born = np.where(x[:, :1] > BIRTH_GAP_SECONDS, x[:, :1] + START_UP_SECONDS, -np.inf)
    with np.errstate(invalid="ignore"):
        keep = block.offsets >= born
    nothing = np.float32(np.nan)
    return Block(
        block.labels,
        block.start,
        block.step,
        np.where(keep, block.offsets, nothing),
        np.where(keep, block.values, nothing),
    )


def enough(found: Features) -> Bool:
    """Series with samples enough to speak about."""
    with np.errstate(invalid="ignore"):
        spans = found.last_at - found.first_at >= MIN_SPAN_SECONDS
    return np.asarray((found.count >= MIN_SAMPLES) & spans, dtype=np.bool_)


def summarise(block: Block, rows: Bool, end: float, *, worst: bool) -> Summary:
    """Slope and level of a group: the worst container of the workload, the median of the siblings.

    Args:
        end: Unix seconds of the end of the window within the block.
    """
    found = features(block)
    usable = rows & enough(found)
    if not usable.any():
        return Summary(float("nan"), float("nan"), float("nan"), float("nan"))
    reduce = np.max if worst else np.median
    recent = features(block.between(end - 60.0, end))
    late = recent.slope.value[usable & (recent.count >= MIN_SAMPLES)]
    return Summary(
        slope=float(reduce(found.slope.value[usable])),
        at_least=float(reduce(found.slope.low[usable])),
        level=float(reduce(found.last[usable])),
        last_slope=float(reduce(late)) if late.size else float("nan"),
    )


def judge(reading: Reading) -> VerifyResponse:
    """The verdict, or none yet while the window still runs."""
    sides = _Sides(
        before=summarise(reading.before, reading.mine, reading.executed_at, worst=True),
        after=summarise(reading.after, reading.mine, reading.after.end, worst=True),
        control_before=summarise(reading.before, ~reading.mine, reading.executed_at, worst=False),
        control_after=summarise(reading.after, ~reading.mine, reading.after.end, worst=False),
    )
    verdict, reason, message = _verdict(reading, sides)
    if verdict is None and reading.final:
        verdict = Verdict.INCONCLUSIVE
    return VerifyResponse(
        verdict=verdict, reason=reason, message=message[:1024], measurements=_measurements(reading, sides)
    )


Ruling = tuple[Verdict | None, str, str]
"""Verdict, reason, message."""


@dataclass(frozen=True, slots=True)
class _Sides:
    before: Summary
    after: Summary
    control_before: Summary
    control_after: Summary

    @property
    def was_growing(self) -> bool:
        return self.before.slope > FLAT_BYTES_PER_SECOND

    @property
    def gone_below(self) -> float:
        return max(GONE_SHARE * self.before.slope, FLAT_BYTES_PER_SECOND)

    @property
    def still_above(self) -> float:
        return max(STILL_SHARE * self.before.slope, 2 * FLAT_BYTES_PER_SECOND)

    def words(self) -> str:
        control = self.control_after.slope
        return (
            f"slope {mib_per_minute(self.after.slope)} after {mib_per_minute(self.before.slope)} before, "
            f"siblings {mib_per_minute(control) if np.isfinite(control) else 'unknown'}; "
            f"working set {mib(self.after.level)} after {mib(self.before.level)}"
        )


def _verdict(reading: Reading, sides: _Sides) -> Ruling:
    if reading.restarted:
        return Verdict.INEFFECTIVE, "RestartedAgain", "a container restarted or was killed again after the action"
    if not np.isfinite(sides.after.slope):
        return None, "NoDataAfter", "not enough samples of the workload since the action"
    if not np.isfinite(sides.before.slope):
        return None, "NoDataBefore", "not enough samples of the workload before the action to compare with"
    words = sides.words()
    if not reading.complete and reading.elapsed_share < EARLIEST_SHARE:
        return None, "Observing", words
    if not reading.covered:
        return None, "DataEndedEarly", f"samples of the workload end before the window does; until then {words}"
    shown = sides.after.slope if reading.complete else sides.after.at_least
    if shown > sides.still_above:
        return Verdict.INEFFECTIVE, "StillGrowing", words
    if _near_limit(reading) and sides.after.level >= sides.before.level:
        return Verdict.INEFFECTIVE, "StillNearLimit", words
    if sides.after.slope > sides.gone_below:
        return None, "NotClear", words
    return _recovery(sides, words) if reading.complete else (None, "Observing", words)


def _recovery(sides: _Sides, words: str) -> Ruling:
    """The fault is gone and the window is over: was it the action?"""
    before = sides.before
    if sides.was_growing:
        siblings_grew = sides.control_before.slope > STILL_SHARE * before.slope
        if siblings_grew and sides.control_after.slope <= sides.gone_below:
            return Verdict.RECOVERED_ANYWAY, "SiblingsRecoveredToo", words
        if before.last_slope < GONE_SHARE * before.slope:  # False without data: nothing is claimed then
            return Verdict.RECOVERED_ANYWAY, "StoppedBeforeAction", words
        return Verdict.EFFECTIVE, "GrowthStopped", words
    if sides.after.level < FELL_SHARE * before.level:
        return Verdict.EFFECTIVE, "LevelFell", words
    return None, "NoDifference", words


def _near_limit(reading: Reading) -> bool:
    last = features(reading.after).last
    with np.errstate(invalid="ignore"):
        near = reading.mine & (reading.limit > 0) & (last >= NEAR_LIMIT_SHARE * reading.limit)
    return bool(near.any())


def _measurements(reading: Reading, sides: _Sides) -> tuple[MeasuredChange, ...]:
    before, after = sides.before, sides.after

    def control(value: float) -> float | None:
        return value if np.isfinite(value) else None

    if not (np.isfinite(before.slope) and np.isfinite(after.slope)):
        return ()
    length = duration(max(60.0, reading.after.end - reading.executed_at))
    return (
        MeasuredChange(
            name="memory growth",
            query=f"deriv({reading.query}[{length}])",
            unit="bytes/s",
            before=before.slope,
            after=after.slope,
            control_before=control(sides.control_before.slope),
            control_after=control(sides.control_after.slope),
        ),
        MeasuredChange(
            name="working set",
            query=reading.query,
            unit="bytes",
            before=before.level,
            after=after.level,
            control_before=control(sides.control_before.level),
            control_after=control(sides.control_after.level),
        ),
    )
