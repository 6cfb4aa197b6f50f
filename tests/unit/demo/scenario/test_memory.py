"""Memory of the platform's parts, by name and over a time."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from demo.scenario.memory import Figures, figures, pod_sizes, resident

T0 = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        ("iirp-detection-6d4b9c7f5d-x2k4p", "iirp-detection"),
        ("iirp-otel-collector-x2k4p", "iirp-otel-collector"),
        ("iirp-node-exporter-8xkzl", "iirp-node-exporter"),
        ("web-0", "web-0"),
    ],
)
def test_a_pod_is_named_by_what_made_it(pod: str, name: str) -> None:
    entry = {"podRef": {"namespace": "iirp-system", "name": pod}, "memory": {"workingSetBytes": 3 << 20}}
    other = {"podRef": {"namespace": "shop", "name": "x"}, "memory": {"workingSetBytes": 1}}
    silent = {"podRef": {"namespace": "iirp-system", "name": "new"}}
    assert pod_sizes({"pods": [entry, other, silent]}, "iirp-system") == {name: 3.0}


def test_only_the_samples_of_the_time_count() -> None:
    samples = [(T0 + timedelta(seconds=at), {"loki": size}) for at, size in ((0, 1.0), (10, 5.0), (20, 9.0), (30, 7.0))]
    found = figures(samples, T0 + timedelta(seconds=10), T0 + timedelta(seconds=30))
    assert found == {"loki": Figures(5.0, 9.0, 7.0)}


def test_a_process_has_a_size_and_one_that_is_gone_has_none() -> None:
    assert (resident(os.getpid()) or 0) > 5
    assert resident(2**22 + 1) is None
