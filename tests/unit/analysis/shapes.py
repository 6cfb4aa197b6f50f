"""Series of known shape, sampled as cAdvisor does it: every ten seconds or so, each container on its own clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from analysis.windows.block import Block, Samples, grid, regroup

MIB = 1024 * 1024
END = 1_700_000_900.0
START = END - 900.0

Shape = Callable[[np.ndarray], np.ndarray]
"""MiB as a function of seconds since START."""


def sampled(shape: Shape, *, first: float = 0.0, last: float = 900.0, every: float = 10.0, noise: float = 0.1) -> tuple:
    """(times, bytes) with jittered times and a little noise; the seed is fixed."""
    random = np.random.default_rng(7)
    times = np.arange(first + 1.0, last - 0.5, every)
    times = np.clip(times + random.uniform(-1.0, 1.0, times.size), first, last - 0.1)
    values = shape(times) * MIB + random.normal(0.0, noise * MIB, times.size)
    return times + START, values


def block(series: Mapping[tuple[str, str], tuple], end: float = END, seconds: float = 900.0) -> Block:
    """A block of containers; keys are (pod, container), namespace shop."""
    labels = tuple({"namespace": "shop", "pod": pod, "container": container} for pod, container in series)
    index = np.concatenate([np.full(len(times), row) for row, (times, _) in enumerate(series.values())])
    times = np.concatenate([times for times, _ in series.values()])
    values = np.concatenate([values for _, values in series.values()])
    samples = Samples(labels, index.astype(np.int64), times, values)
    return grid(regroup(samples, ("namespace", "pod", "container")), end, seconds, 5.0)


def leak(since: float, per_minute: float = 48.0, base: float = 42.0) -> Shape:
    return lambda t: base + np.maximum(0.0, t - since) * per_minute / 60


def flat(level: float = 42.0) -> Shape:
    return lambda t: np.full_like(t, level)


def warm_up(start: float, to: float, tau: float) -> Shape:
    return lambda t: to * (1 - np.exp(-(t - start) / tau))


def sawtooth(period: float, low: float, high: float) -> Shape:
    return lambda t: low + (high - low) * (t % period) / period


def step(at: float, low: float, high: float) -> Shape:
    return lambda t: np.where(t >= at, high, low)


def pulse(at: float, until: float, low: float, high: float) -> Shape:
    return lambda t: np.where((t >= at) & (t < until), high, low)


def stopped(since: float, until: float, per_minute: float = 48.0, base: float = 42.0) -> Shape:
    return lambda t: base + np.clip(t - since, 0.0, until - since) * per_minute / 60
