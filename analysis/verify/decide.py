"""The verdict on memory: pure, from two windows of the workload and of its untouched siblings.

No data is not good data (S11): without enough samples after the action the verdict is ``Inconclusive``, never
``Effective``, and never ``Ineffective`` either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.contract import MeasuredChange, VerifyResponse
from analysis.telemetry.query import duration
from analysis.windows.block import BIRTH_GAP_SECONDS, Block, Bool, Float64
from analysis.windows.robust import Features, features, pack
from analysis.words import MIB, mib, mib_per_minute
from crds.v1alpha1.incident import Verdict

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


@dataclass(frozen=True, slots=True)
class Reading:
    """Both windows of all containers of a namespace, same rows. ``mine: bool[series]`` marks the workload's."""

    before: Block
    after: Block
    mine: Bool
    limit: Float64
    query: str
    control_query: str
    restarted: bool
    """A container of the workload has restarted since the action."""
    complete: bool
    """The window is over: this is the last time of asking."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One side, one group: median slope and level over containers; NaN without data."""

    slope: float
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
        block.labels, block.start, block.step, np.where(keep, block.offsets, nothing), np.where(keep, block.values, nothing)
    )


def enough(found: Features) -> Bool:
    """Series with samples enough to speak about."""
    with np.errstate(invalid="ignore"):
        spans = found.last_at - found.first_at >= MIN_SPAN_SECONDS
    return np.asarray((found.count >= MIN_SAMPLES) & spans, dtype=np.bool_)


def summarise(block: Block, rows: Bool, *, worst: bool) -> Summary:
    """Slope and level of a group: the worst container of the workload, the median of the siblings."""
    found = features(block)
    usable = rows & enough(found)
    if not usable.any():
        return Summary(float("nan"), float("nan"), float("nan"))
    reduce = np.max if worst else np.median
    recent = features(block, 60.0)
    late = recent.slope.value[usable & (recent.count >= MIN_SAMPLES)]
    return Summary(
        slope=float(reduce(found.slope.value[usable])),
        level=float(reduce(found.last[usable])),
        last_slope=float(reduce(late)) if late.size else float("nan"),
    )


def judge(reading: Reading) -> VerifyResponse:
    """The verdict, or none yet while the window still runs."""
    before_block, after_block = reading.before, reading.after
    before = summarise(before_block, reading.mine, worst=True)
    after = summarise(after_block, reading.mine, worst=True)
    control_before = summarise(before_block, ~reading.mine, worst=False)
    control_after = summarise(after_block, ~reading.mine, worst=False)
    measured = _measurements(reading, before, after, control_before, control_after)
    verdict, reason, message = _verdict(reading, before, after, control_before, control_after)
    if verdict is None and reading.complete:
        verdict = Verdict.INCONCLUSIVE
    return VerifyResponse(verdict=verdict, reason=reason, message=message[:1024], measurements=measured)


def _verdict(
    reading: Reading, before: Summary, after: Summary, control_before: Summary, control_after: Summary
) -> tuple[Verdict | None, str, str]:
    if reading.restarted:
        return Verdict.INEFFECTIVE, "RestartedAgain", "a container restarted or was killed again after the action"
    if not np.isfinite(after.slope):
        return None, "NoDataAfter", "not enough samples of the workload since the action"
    if not np.isfinite(before.slope):
        return None, "NoDataBefore", "not enough samples of the workload before the action to compare with"
    words = (
        f"slope {mib_per_minute(after.slope)} after {mib_per_minute(before.slope)} before, "
        f"siblings {mib_per_minute(control_after.slope) if np.isfinite(control_after.slope) else 'unknown'}; "
        f"working set {mib(after.level)} after {mib(before.level)}"
    )
    was_growing = before.slope > FLAT_BYTES_PER_SECOND
    threshold = max(GONE_SHARE * before.slope, FLAT_BYTES_PER_SECOND)
    if after.slope > max(STILL_SHARE * before.slope, 2 * FLAT_BYTES_PER_SECOND):
        return Verdict.INEFFECTIVE, "StillGrowing", words
    if _near_limit(reading) and after.level >= before.level:
        return Verdict.INEFFECTIVE, "StillNearLimit", words
    if after.slope > threshold:
        return None, "NotClear", words
    if not reading.complete:
        return None, "Observing", words
    if was_growing and control_before.slope > STILL_SHARE * before.slope and control_after.slope <= threshold:
        return Verdict.RECOVERED_ANYWAY, "SiblingsRecoveredToo", words
    if was_growing and np.isfinite(before.last_slope) and before.last_slope < GONE_SHARE * before.slope:
        return Verdict.RECOVERED_ANYWAY, "StoppedBeforeAction", words
    if was_growing or after.level < 0.8 * before.level:
        return Verdict.EFFECTIVE, "GrowthStopped" if was_growing else "LevelFell", words
    return None, "NoDifference", words


def _near_limit(reading: Reading) -> bool:
    last = features(reading.after).last
    with np.errstate(invalid="ignore"):
        near = reading.mine & (reading.limit > 0) & (last >= NEAR_LIMIT_SHARE * reading.limit)
    return bool(near.any())


def _measurements(
    reading: Reading, before: Summary, after: Summary, control_before: Summary, control_after: Summary
) -> tuple[MeasuredChange, ...]:
    def control(value: float) -> float | None:
        return value if np.isfinite(value) else None

    if not (np.isfinite(before.slope) and np.isfinite(after.slope)):
        return ()
    length = duration(max(60.0, reading.after.end - reading.after.start))
    return (
        MeasuredChange(
            name="memory growth",
            query=f"deriv({reading.query}[{length}])",
            unit="bytes/s",
            before=before.slope,
            after=after.slope,
            control_before=control(control_before.slope),
            control_after=control(control_after.slope),
        ),
        MeasuredChange(
            name="working set",
            query=reading.query,
            unit="bytes",
            before=before.level,
            after=after.level,
            control_before=control(control_before.level),
            control_after=control(control_after.level),
        ),
    )
