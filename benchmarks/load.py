"""Synthetic remote_write traffic of a large cluster, and the same samples as Prometheus' JSON."""

from __future__ import annotations

import struct
from typing import Any

import cramjam
import numpy as np

from analysis.windows.block import Bool, Float32

PER_REQUEST = 2000
"""Samples per request: Prometheus' default."""
METRICS = ("container_memory_working_set_bytes", "container_spec_memory_limit_bytes")
OTHER = "container_cpu_usage_seconds_total"


def labels(index: int) -> list[tuple[str, str]]:
    """Labels as cAdvisor has them, sorted. Of each four series one is a working set and one its limit."""
    pod, kind = divmod(index, 4)
    return [
        ("__name__", METRICS[kind] if kind < 2 else OTHER),
        ("container", "app"),
        ("cpu", str(kind)) if kind > 1 else ("cluster", "prod"),
        ("namespace", f"team-{pod % 97}"),
        ("node", f"node-{pod % 5000}"),
        ("pod", f"service-{pod % 1000}-7c9d8f6b5d-{pod:06x}"),
    ]


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


def windows(series: int, samples: int, seed: int) -> tuple[Float32, Float32, Bool]:
    """Working sets ``[time, series]``, limits ``[series]``, and which are faulty (one in a hundred leaks or jumps)."""
    random = np.random.default_rng(seed)
    limits = random.choice([128.0, 256.0, 512.0, 1024.0], series).astype(np.float32)
    base = random.uniform(0.2, 0.6, series)
    noise = random.uniform(0.001, 0.01, series)
    share = base + noise * random.standard_normal((samples, series))
    faulty = random.random(series) < 0.01
    leaks = faulty & (random.random(series) < 0.5)
    at = np.arange(samples)[:, None] / samples
    share += np.where(leaks, random.uniform(0.08, 0.3, series) * at, 0.0)
    since = random.uniform(0.6, 0.9, series)
    share += np.where(faulty & ~leaks & (at >= since), random.uniform(0.2, 0.35, series), 0.0)
    return (share * limits).astype(np.float32), limits, faulty
