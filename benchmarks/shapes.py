"""Series of known shape and known truth. Everything comes from one seed, which the report prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.windows.block import Float64

MIB = 1024.0 * 1024.0
DAY = 86_400.0
BORN = 600.0
"""Seconds into the simulation at which new containers start."""


@dataclass(frozen=True, slots=True)
class Container:
    """Working set of one container. Times are seconds since the simulation's start."""

    kind: str
    limit: float
    """Bytes."""
    times: Float64
    values: Float64
    started: float | None = None
    onset: float | None = None
    end: float | None = None
    """When the limit is reached, for leaks; the samples stop there."""


def container(kind: str, random: np.random.Generator, seconds: float) -> Container:
    """A container of one kind: leak, jump, warm-up, plateau, sawtooth, flat or gaps."""
    limit = float(random.choice([128.0, 256.0, 512.0, 1024.0])) * MIB
    every = float(random.choice([5.0, 10.0, 15.0]))
    first = BORN if kind == "warm-up" else 0.0
    times = np.arange(first + random.uniform(0.5, every), seconds, every)
    times = np.sort(times + random.uniform(-0.1, 0.1, times.size) * every)
    base = random.uniform(0.15, 0.45)
    onset = random.uniform(900.0, 1500.0) if kind in {"leak", "jump", "plateau"} else None
    shape, end = _SHAPES[kind](random, base, onset or 0.0)
    values = shape(times) + random.normal(0.0, random.uniform(0.0005, 0.003), times.size)
    keep = np.ones(times.size, dtype=np.bool_)
    if kind == "gaps":
        for start in random.uniform(300.0, seconds - 600.0, 3):
            keep &= ~((times >= start) & (times < start + random.uniform(60.0, 400.0)))
    if end is not None:
        keep &= times < end
    started = BORN if kind == "warm-up" else None
    return Container(kind, limit, times[keep], np.clip(values[keep], 0.01, 1.0) * limit, started, onset, end)


Shape = Callable[[Float64], Float64]


def _leak(random: np.random.Generator, base: float, onset: float) -> tuple[Shape, float | None]:
    seconds = float(random.uniform(300.0, 2700.0))
    rate = (1.0 - base) / seconds
    return (lambda t: base + np.maximum(t - onset, 0.0) * rate), onset + seconds


def _jump(random: np.random.Generator, base: float, onset: float) -> tuple[Shape, float | None]:
    high = float(random.uniform(0.75, 0.92))
    return (lambda t: np.where(t >= onset, high, base)), None


def _warm_up(random: np.random.Generator, base: float, onset: float) -> tuple[Shape, float | None]:  # noqa: ARG001
    tau, top = random.uniform(10.0, 90.0), random.uniform(0.3, 0.8)
    return (lambda t: top * (1 - np.exp(-np.maximum(t - BORN, 0.0) / tau))), None


def _plateau(random: np.random.Generator, base: float, onset: float) -> tuple[Shape, float | None]:
    """A cache that fills: growth proportional to what is still missing."""
    tau, rise = random.uniform(60.0, 300.0), random.uniform(0.1, 0.3)
    return (lambda t: base + rise * (1 - np.exp(-np.maximum(t - onset, 0.0) / tau))), None


def _sawtooth(random: np.random.Generator, base: float, onset: float) -> tuple[Shape, float | None]:  # noqa: ARG001
    period, rise, phase = random.uniform(40.0, 240.0), random.uniform(0.1, 0.4), random.uniform(0.0, 1.0)
    return (lambda t: base + rise * ((t / period + phase) % 1.0)), None


def _flat(random: np.random.Generator, base: float, onset: float) -> tuple[Shape, float | None]:  # noqa: ARG001
    wave = random.uniform(0.0, 0.03)
    return (lambda t: base + wave * np.sin(t / 200.0)), None


_SHAPES = {
    "leak": _leak,
    "jump": _jump,
    "warm-up": _warm_up,
    "plateau": _plateau,
    "sawtooth": _sawtooth,
    "flat": _flat,
    "gaps": _flat,
}
CONTAINER_KINDS = tuple(_SHAPES)


@dataclass(frozen=True, slots=True)
class Metric:
    """Five-minute values of weeks. ``onset`` and ``end`` are indices of what is wrong, None when nothing is."""

    kind: str
    values: Float64
    onset: int | None = None
    end: int | None = None


METRIC_KINDS = ("spike", "drift", "seasonal", "missing", "reset")


def metric(kind: str, random: np.random.Generator, times: Float64, judged: int) -> Metric:
    """A daily and weekly season with noise, and what the kind says after index ``judged``."""
    level, peak = random.uniform(20.0, 500.0), random.uniform(0.2, 0.7)
    weekend, noise = random.uniform(0.6, 1.0), random.uniform(0.01, 0.04)
    day = (times % DAY) / DAY
    week = (times / DAY + 3) % 7
    at_weekend = np.clip((week - 5) * 4 + 0.5, 0.0, 1.0) - np.clip((week - 7) * 4 + 0.5, 0.0, 1.0)
    at_weekend += np.clip(0.5 - week * 4, 0.0, 1.0)  # it comes and goes within six hours around midnight
    shape = 1.0 + peak * np.sin(2 * np.pi * (day - random.uniform(0.0, 1.0)))
    values = level * shape * (1.0 - (1.0 - weekend) * at_weekend)
    values = values + level * noise * random.normal(0.0, 1.0, times.size)
    room = len(times) - judged - 3 * 288
    onset = judged + int(random.integers(0, room))
    if kind == "spike":
        length = int(random.integers(1, 6))
        values[onset : onset + length] += level * random.uniform(1.5, 3.0)
        return Metric(kind, values, onset, onset + length)
    if kind == "drift":
        ramp = np.clip((np.arange(len(times)) - onset) / random.uniform(36.0, 432.0), 0.0, 1.0)
        values += level * random.uniform(0.4, 0.8) * random.choice([-1.0, 1.0]) * ramp
        return Metric(kind, values, onset, len(times))
    if kind == "missing":
        values[random.random(len(times)) < 0.05] = np.nan
        values[onset : onset + int(random.integers(12, 288))] = np.nan
    if kind == "reset":
        values[onset : onset + 2] = np.nan  # a restart: two scrapes are lost and nothing else
    return Metric(kind, values)
