"""What opens no Incident for now, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.detection.inventory import Cluster
from controllers.detection.silence import Silences, read_windows, silences
from controllers.kube.objects import node_record, record, workload_record
from crds.v1alpha1.base import TargetRef
from tests.unit.controllers.incident.builders import TARGET, at

NODE = TargetRef(api_version="v1", kind="Node", name="n1")
CART = TARGET.model_copy(update={"name": "cart"})


def body(name: str, until: str | None, namespace: str = "shop") -> dict[str, Any]:
    annotations = {} if until is None else {"iirp.io/silence-until": until, "iirp.io/silence-reason": "load test"}
    return {"metadata": {"name": name, "namespace": namespace, "uid": name, "annotations": annotations}}


def look(*, workload: str | None = None, namespace: str | None = None, node: str | None = None) -> Silences:
    cluster = Cluster(
        workloads=(workload_record(body("payments", workload), kind="Deployment"),),
        nodes=(node_record(body("n1", node, "")),),
    )
    return silences(cluster, [record(body("shop", namespace, ""))], (), at(0))


@pytest.mark.parametrize(
    ("until", "silent"),
    [("2026-01-02T03:04:06Z", True), ("2026-01-02T04:04:06+01:00", True), ("2026-01-02T03:04:05Z", False)],
)
def test_a_silence_holds_until_its_time(until: str, silent: bool) -> None:
    for found, target in (
        (look(workload=until), TARGET),
        (look(namespace=until), TARGET),
        (look(namespace=until), CART),
        (look(node=until), NODE),
    ):
        assert bool(found.of(target)) is silent
    if silent:
        assert "load test" in look(workload=until).of(TARGET)
        assert not look(workload=until).of(CART)


@pytest.mark.parametrize("until", ["", "tomorrow", "2026-11-22T19:00:00", "9" * 500])
def test_what_cannot_be_read_silences_nothing_and_is_said(until: str) -> None:
    found = look(workload=until)
    assert not found.of(TARGET)
    (said,) = found.refused
    assert said.startswith("shop/payments: ")
    assert len(said) < 200


def test_a_window_silences_its_namespaces_while_it_is_open() -> None:
    (window,) = read_windows(
        '[{"name": "night", "namespaces": ["sh*", ""], "days": ["Fri"], "from": "03:00", "to": "03:30"}]'
    )
    open_now = silences(Cluster(), [], [window], at(0))  # a Friday, 03:04:05 UTC
    assert "night" in open_now.of(TARGET)
    assert "night" in open_now.of(NODE)
    assert not open_now.of(TARGET.model_copy(update={"namespace": "bank"}))
    assert not silences(Cluster(), [], [window], at(1800)).of(TARGET)


@pytest.mark.parametrize(
    "text", ["{", "{}", "[{}]", '[{"name": "x", "namespaces": ["a"], "timeZone": "Mars/Olympus"}]']
)
def test_a_wrong_window_is_an_error_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_windows(text)
