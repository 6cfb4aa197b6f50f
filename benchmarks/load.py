"""Synthetic remote_write traffic of a large cluster, and the same samples as Prometheus' JSON."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cramjam
import numpy as np

from analysis.contract import PodFact
from analysis.windows.block import Bool, Float64, Int64
from benchmarks.shapes import MIB
from crds.v1alpha1.base import TargetRef

MILLIS = 1_767_225_600_000
"""Where the traffic begins, Unix."""
PER_REQUEST = 2000
"""Samples per request: Prometheus' default."""
METRICS = (
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
    "container_start_time_seconds",
    "container_cpu_usage_seconds_total",
)
"""Of each container: three that the memory rules read, and one that they do not."""
PER_CONTAINER = len(METRICS)
_VALUE, _TIME = 15, 6
"""Bytes from the end of a series at which its value (8 bytes) and its time (a varint of this century) begin."""


def labels(index: int) -> list[tuple[str, str]]:
    """Labels as cAdvisor has them, sorted; series of one container come one after the other."""
    number, kind = divmod(index, PER_CONTAINER)
    return [
        ("__name__", METRICS[kind]),
        ("cluster", "prod"),
        ("container", "app"),
        ("namespace", f"team-{number % 97}"),
        ("node", f"node-{number % 5000}"),
        ("pod", f"service-{number % 1000}-7c9d8f6b5d-{number:06x}"),
    ]


def pod(number: int) -> PodFact:
    """The pod of a container."""
    own = dict(labels(number * PER_CONTAINER))
    name = f"service-{number % 1000}"
    workload = TargetRef(kind="Deployment", namespace=own["namespace"], name=name, uid=name)
    return PodFact(namespace=own["namespace"], name=own["pod"], uid=own["pod"], workload=workload, containers=("app",))


def level(index: int, value: float) -> float:
    """A series' value: limits are twice what is used."""
    return value * (2.0 if index % 4 == 1 else 1.0) + index % 100


def request(first: int, count: int, value: float, millis: int) -> bytes:
    """A compressed WriteRequest, one sample per series."""
    message = b"".join(_series(labels(index), level(index, value), millis) for index in range(first, first + count))
    return bytes(cramjam.snappy.compress_raw(message))


def vector(first: int, count: int, value: float, millis: int) -> dict[str, Any]:
    """The same samples as the answer of an instant query."""
    result = [
        {"metric": dict(labels(index)), "value": [millis / 1000, str(level(index, value))]}
        for index in range(first, first + count)
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def _series(pairs: list[tuple[str, str]], value: float, millis: int) -> bytes:
    named = b"".join(_field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in pairs)
    return _field(1, named + _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(millis)))


def _field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    """Protobuf's base-128 number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Traffic:
    """Scrapes of the same series: labels are written once, values and times anew for each.

    Kept compressed, so that what is measured is the receiver's memory and not the sender's.
    """

    def __init__(self, series: int) -> None:
        self._parts: list[tuple[bytes, Int64]] = []
        for first in range(0, series, PER_REQUEST):
            made = [_series(labels(index), 0.0, MILLIS) for index in range(first, min(first + PER_REQUEST, series))]
            ends = np.cumsum([len(one) for one in made])
            self._parts.append((bytes(cramjam.snappy.compress_raw(b"".join(made))), ends))

    def requests(self, values: Float64, millis: int) -> Iterator[bytes]:
        """One scrape, ``values: float64[series]``."""
        given, at = values.view(np.uint8).reshape(-1, 8), np.frombuffer(varint(millis), dtype=np.uint8)
        first = 0
        for packed, ends in self._parts:
            message = np.array(cramjam.snappy.decompress_raw(packed), dtype=np.uint8)
            message[(ends - _VALUE)[:, None] + np.arange(8)] = given[first : first + len(ends)]
            message[(ends - _TIME)[:, None] + np.arange(_TIME)] = at
            first += len(ends)
            yield bytes(cramjam.snappy.compress_raw(message.data))


@dataclass(frozen=True, slots=True)
class Fleet:
    """Working sets of containers over time: most are flat with noise, one in a hundred leaks or jumps."""

    limits: Float64
    """Bytes."""
    faulty: Bool
    _base: Float64
    _noise: Float64
    _onset: Float64
    """Seconds."""
    _rate: Float64
    """Share of the limit per second, of leaks."""
    _jump: Float64
    """Share of the limit."""
    _random: np.random.Generator

    @classmethod
    def of(cls, containers: int, seconds: float, seed: int) -> Fleet:
        """Faults are as ``benchmarks.shapes`` has them. Leaks began in the middle third of the time, jumps just now."""
        random = np.random.default_rng(seed)
        limits = random.choice([128.0, 256.0, 512.0, 1024.0], containers) * MIB
        base, noise = random.uniform(0.15, 0.45, containers), random.uniform(0.0005, 0.003, containers)
        faulty = random.random(containers) < 0.01
        leaks = faulty & (random.random(containers) < 0.5)
        began, just_now = (
            random.uniform(seconds / 3, seconds * 2 / 3, containers),
            random.uniform(30.0, 120.0, containers),
        )
        onset = np.where(leaks, began, seconds - just_now)
        rate = np.where(leaks, (1.0 - base) / random.uniform(300.0, 2700.0, containers), 0.0)
        jump = np.where(faulty & ~leaks, random.uniform(0.75, 0.92, containers) - base, 0.0)
        return cls(limits, faulty, base, noise, onset, rate, jump, random)

    def at(self, seconds: float) -> Float64:
        """Working sets then, ``float64[container]`` in bytes."""
        since = np.maximum(seconds - self._onset, 0.0)
        share = self._base + self._noise * self._random.standard_normal(len(self.limits))
        share += self._rate * since + np.where(since > 0, self._jump, 0.0)
        return np.asarray(np.minimum(share, 1.0) * self.limits, dtype=np.float64)
