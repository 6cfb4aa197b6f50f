"""Reads learned series of workloads from the metrics store, in queries of a bounded size."""

from __future__ import annotations

import numpy as np

from analysis.detect.learned import Key
from analysis.detect.series import Learning
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import among
from analysis.windows.block import Float64
from analysis.words import moment

PER_QUERY = 100
"""Workloads of one query of the whole history: some ten megabytes of JSON."""


async def read(
    prometheus: Prometheus, learning: Learning, keys: tuple[Key, ...], start: float, end: float
) -> tuple[Float64, dict[str, Float64]]:
    """Times in Unix seconds ``[time]``, and by series ``float64[workload, time]``, NaN for gaps.

    Raises:
        SourceError: the store does not answer.
    """
    step = learning.step
    times = np.arange(round((end - start) / step) + 1, dtype=np.float64) * step + start
    values: dict[str, Float64] = {one.name: np.full((len(keys), len(times)), np.nan) for one in learning.series}
    row = {key: index for index, key in enumerate(keys)}
    for spaces in _shards(keys):
        scope = among("namespace", spaces)
        for one in learning.series:
            found = await prometheus.range(one.promql(scope), moment(start), moment(end), step)
            rows = np.array([row.get((labels.get("namespace", ""), labels.get("workload", "")), -1)
                             for labels in found.labels], dtype=np.int64)  # fmt: skip
            if not rows.size:
                continue
            column = np.rint((found.times - start) / step).astype(np.int64)
            kept = (rows[found.series] >= 0) & (column >= 0) & (column < len(times)) & np.isfinite(found.values)
            values[one.name][rows[found.series[kept]], column[kept]] = found.values[kept]
    return times, values


def _shards(keys: tuple[Key, ...]) -> list[list[str]]:
    """Namespaces, in groups of about :data:`PER_QUERY` workloads."""
    found: list[list[str]] = []
    room = 0
    for space in sorted({space for space, _ in keys}):
        size = sum(1 for one, _ in keys if one == space)
        if not found or size > room:
            found.append([])
            room = PER_QUERY
        found[-1].append(space)
        room -= size
    return found
