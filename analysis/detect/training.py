"""Where baselines are trained: beside the event loop, or in parts that are put together again (``farm``).

Workloads are learned one by one but for the calibration, which is a sorted list of all of their scores: so parts of
the fleet, trained anywhere, put together in order, are the same bytes as the fleet trained at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np

from analysis.detect import learned
from analysis.detect.baseline import Baseline
from analysis.detect.learned import Key, Model, SeriesModel
from analysis.windows.block import Bool, Float64


@dataclass(frozen=True, slots=True)
class History:
    """What is learned from; shapes as of ``learned.train``."""

    times: Float64
    values: Mapping[str, Float64]
    keys: tuple[Key, ...]
    exclude: Bool

    def train(self) -> Model:
        """In this thread."""
        return learned.train(self.times, self.values, self.keys, self.exclude)

    def parts(self, workloads: int) -> list[History]:
        """The same by so many workloads each, in order; one part when there are none."""
        starts = range(0, max(1, len(self.keys)), workloads)
        return [self._rows(slice(start, start + workloads)) for start in starts]

    def _rows(self, rows: slice) -> History:
        values = {name: one[rows] for name, one in self.values.items()}
        return History(self.times, values, self.keys[rows], self.exclude[rows])


class Trainer(Protocol):
    """Makes a model of a history."""

    @property
    def problem(self) -> str:
        """Why the last training was not done as configured; empty when it was."""

    async def train(self, history: History) -> Model:
        """Never fails for want of machines."""


class Here:
    """On this machine, beside the event loop."""

    problem = ""

    async def train(self, history: History) -> Model:
        """In a thread."""
        return await asyncio.to_thread(history.train)


def merged(parts: Sequence[Model]) -> Model:
    """One model of the parts of a fleet, in order, all of the same series and times."""
    return Model(
        keys=tuple(key for part in parts for key in part.keys),
        names=parts[0].names,
        series={name: _merged([part.series[name] for part in parts]) for name in parts[0].names},
        joints={key: one for part in parts for key, one in part.joints.items()},
        trained_until=parts[0].trained_until,
    )


def _merged(parts: Sequence[SeriesModel]) -> SeriesModel:
    states = [part.state for part in parts]
    return SeriesModel(
        np.concatenate([part.profile for part in parts]),
        np.concatenate([part.width for part in parts]),
        Baseline(*(np.concatenate([getattr(one, field.name) for one in states]) for field in fields(Baseline))),
        np.sort(np.concatenate([part.calibration for part in parts])),
    )
