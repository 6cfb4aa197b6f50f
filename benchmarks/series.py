"""Any ``timestamp,value`` file through the learned baseline: what would have been said, when and why."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from analysis.detect.baseline import FEATURES, Baseline, observe, raise_alarms
from benchmarks.nab import read_series
from benchmarks.report import table


def run(argv: list[str]) -> int:
    """``python -m benchmarks series FILE.csv``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks series")
    parser.add_argument("file", type=Path, help="CSV with the columns timestamp and value")
    times, values = read_series(parser.parse_args(argv).file)
    state = Baseline.new(1)
    found = observe(state, times, values[None, :])
    rows = np.flatnonzero(raise_alarms(state, times, found.score)[0])
    lines = [
        (
            datetime.fromtimestamp(times[row], tz=UTC).isoformat(timespec="seconds"),
            f"{values[row]:.6g}",
            f"{found.score[0, row]:.2f}",
            FEATURES[found.feature[0, row]],
        )
        for row in rows
    ]
    print(table(("time", "value", "score", "why"), lines))
    judged = int(np.isfinite(found.score).sum())
    print(f"{len(values)} samples, {judged} judged, {len(values) - judged} learning or missing, {len(rows)} alarms")
    return 0
