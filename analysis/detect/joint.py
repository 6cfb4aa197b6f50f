"""Metrics of one workload that are unusual together though each may look normal by itself.

A robust linear model per workload: metrics scaled by their own quantiles, the covariance of the training window
(ridged, clipped against wild samples), and the Mahalanobis distance of each new sample, smoothed. Unlike the distance
from a cluster or a principal subspace it needs no number of clusters or components to be chosen. What a distance
means is learned from the last part of the training window, which the covariance has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.windows.block import Bool, Float64

MIN_SAMPLES = 20
"""Samples per metric below which a covariance would be made of noise: the model says ``learning`` instead."""
HOLD_OUT = 0.25
"""Last part of the training window, from which distances are calibrated."""
SMOOTHING = 5
"""Mean age in samples of the exponential mean of distances."""
_QUANTILES = (0.01, 0.99)
CLIP = 40.0
"""Half-ranges beyond which a value is no stranger."""
RIDGE = 0.01
_FLAT = 0.04
"""Least range of a metric, as a share of its largest magnitude: a metric that never moved may move a little."""


@dataclass(frozen=True, slots=True)
class Joint:
    """What is normal for one workload. ``metric`` axes are in the order of the training columns."""

    middle: Float64
    """``[metric]``: medians."""
    half_range: Float64
    """``[metric]``: half of the distance between the 1 % and 99 % quantiles."""
    precision: Float64
    """``[metric, metric]``: inverse of the covariance of scaled metrics."""
    calibration: Float64
    """Sorted smoothed distances of the held-out part of the training window."""


@dataclass(frozen=True, slots=True)
class Distance:
    """``float64[time]`` each."""

    distance: Float64
    surprise: Float64
    """−log10 of the share of normal samples that are at least as far: 2 is one in a hundred. Bounded by the sample."""


def fit(values: Float64, exclude: Bool | None = None) -> Joint | None:
    """Learn from ``values: [time, metric]``, oldest first; None while there is too little (learning).

    Args:
        values: rows with a gap (NaN) are left out.
        exclude: ``bool[time]``, rows within known incidents: what was broken then must not become normal.
    """
    usable = np.isfinite(values).all(axis=1)
    if exclude is not None:
        usable &= ~exclude
    rows = values[usable]
    if len(rows) < MIN_SAMPLES * max(values.shape[1], 2):
        return None
    low, middle, high = np.quantile(rows, (_QUANTILES[0], 0.5, _QUANTILES[1]), axis=0)
    half_range = (high - low) / 2 + _FLAT / 2 * np.maximum(np.abs(rows).max(axis=0), 1e-12)
    scaled = _scaled(rows, middle, half_range)
    cut = int(len(scaled) * (1.0 - HOLD_OUT))
    early = Joint(middle, half_range, _precision(scaled[:cut]), np.zeros(0))
    calibration = np.sort(distances(early, rows[cut:]))
    return Joint(middle, half_range, _precision(scaled), calibration)


def distances(model: Joint, values: Float64, before: float | None = None) -> Float64:
    """Smoothed Mahalanobis distances of ``values: [time, metric]``; a gap (NaN row) repeats the last one."""
    offset = _scaled(np.where(np.isfinite(values), values, model.middle), model.middle, model.half_range)
    raw = np.sqrt(np.maximum(np.einsum("ti,ij,tj->t", offset, model.precision, offset), 0.0))
    gap = np.asarray(~np.isfinite(values).any(axis=1))
    smoothed = np.empty(len(raw), dtype=np.float64)
    last = float(np.median(model.calibration)) if before is None and model.calibration.size else before
    for index, (one, is_gap) in enumerate(zip(raw, gap, strict=True)):
        if not is_gap:
            last = float(one) if last is None else last + (float(one) - last) / SMOOTHING
        smoothed[index] = 0.0 if last is None else last
    return smoothed


def judge(model: Joint, values: Float64) -> Distance:
    """How far each sample is from normal, and how rare that is among normal samples."""
    found = distances(model, values)
    farther = len(model.calibration) - np.searchsorted(model.calibration, found)
    return Distance(found, -np.log10((farther + 1) / (len(model.calibration) + 1)))


def _scaled(values: Float64, middle: Float64, half_range: Float64) -> Float64:
    return np.asarray(np.clip((values - middle) / half_range, -CLIP, CLIP), dtype=np.float64)


def _precision(scaled: Float64) -> Float64:
    covariance = np.cov(scaled.T).reshape(scaled.shape[1], scaled.shape[1])
    return np.asarray(np.linalg.inv(covariance + RIDGE * np.eye(scaled.shape[1])), dtype=np.float64)
