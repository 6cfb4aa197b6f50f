"""A burst of a new kind of error lines is seen; busy, known, freshly deployed and quiet workloads stay silent."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from analysis.contract import PodFact, Topology
from analysis.detect.logwatch import LOOK_EVERY, LogWatch
from analysis.telemetry.errors import SourceError
from analysis.telemetry.loki import Loki
from crds.v1alpha1.base import TargetRef

NOW = 1_767_225_600.0
POD = "payments-7c9d8f6b5d-abcde"
NEW = "ERROR cannot reach ledger at 10.0.0.{}: connection refused"
OLD = "ERROR card {} declined by issuer"

Line = tuple[float, str]


class Logs:
    """A log store with one pod's lines, counted and read as Loki would."""

    def __init__(self, *lines: Line) -> None:
        self.lines, self.down, self.asked = sorted(lines), False, list[str]()

    def loki(self) -> Loki:
        return Loki("http://loki:3100", 2.0, httpx.AsyncClient(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        given = request.content.decode() or request.url.query.decode()
        form = {name: values[0] for name, values in parse_qs(given).items()}
        self.asked.append(form["query"])
        if self.down:
            return httpx.Response(503, text="down")
        data = self._read(form) if "start" in form else self._counted(form)
        return httpx.Response(200, json={"status": "success", "data": data})

    def _counted(self, form: dict[str, str]) -> dict[str, Any]:
        found = re.search(r"\[(\d+)s\](?: offset (\d+)s)?", form["query"])
        assert found
        end = float(form["time"]) / 1e9 - float(found[2] or 0)
        count = sum(end - float(found[1]) < at <= end and "error" in text.lower() for at, text in self.lines)
        labels = {"k8s_namespace_name": "shop", "k8s_pod_name": POD}
        return {"resultType": "vector", "result": [{"metric": labels, "value": [0, str(count)]}] if count else []}

    def _read(self, form: dict[str, str]) -> dict[str, Any]:
        start, end = float(form["start"]) / 1e9, float(form["end"]) / 1e9
        chosen = [[str(int(at * 1e9)), text] for at, text in self.lines if start <= at < end]
        result = [{"stream": {"k8s_pod_name": POD}, "values": chosen[::-1]}]
        return {"resultType": "streams", "result": result}


def topology(*pods: str) -> Topology:
    workload = TargetRef(kind="Deployment", namespace="shop", name="payments", uid="u")
    facts = tuple(PodFact(namespace="shop", name=name, uid=name, workload=workload) for name in pods)
    return Topology(digest="sha256:" + hashlib.sha256(repr(pods).encode()).hexdigest(), pods=facts)


def every(seconds: float, text: str, since: float, until: float = 0.0) -> list[Line]:
    """A line each so many seconds, from ``since`` until ``until`` seconds before now."""
    steps = int((since - until) / seconds)
    return [(NOW - since + seconds * step, text.format(step % 250)) for step in range(steps)]


CASES: dict[str, tuple[list[Line], bool]] = {
    "a new kind": (every(1, NEW, 40), True),
    "a new kind among old ones": (every(10, OLD, 960) + every(1, NEW, 40), True),
    "more of a known kind": (every(30, OLD, 960) + every(0.5, OLD, 50), False),
    "as many as ever": (every(1, OLD, 960), False),
    "a few": (every(10, NEW, 60), False),
    "information": (every(1, "INFO request {} took 12 ms", 60), False),
    "nothing": ([], False),
}


@pytest.mark.parametrize("name", CASES)
def test_what_bursts(name: str) -> None:
    lines, expected = CASES[name]
    watch = LogWatch(Logs(*lines).loki(), lambda: NOW)
    watch.note("c", topology(POD), NOW - 3600)
    asyncio.run(watch.look(watch._clusters["c"]))
    found = watch.alarms("c")
    assert [one.type for one in found] == (["LogBurst"] if expected else [])
    if expected:
        assert found[0].target.name == "payments"
        assert "cannot reach ledger" in found[0].summary
        assert found[0].pods == (POD,)
        assert 0 <= NOW - found[0].onset.timestamp() <= 60


def test_a_new_version_may_say_new_things() -> None:
    watch = LogWatch(Logs(*every(1, NEW, 40)).loki(), lambda: NOW)
    watch.note("c", topology("payments-6b5d7c9d8f-zzzzz"), NOW - 3600)
    watch.note("c", topology(POD), NOW - 300)
    asyncio.run(watch.look(watch._clusters["c"]))
    assert watch.alarms("c") == ()


def test_it_ends_with_the_burst_and_not_with_the_log_store() -> None:
    logs, clock = Logs(*every(1, NEW, 40)), [NOW]
    watch = LogWatch(logs.loki(), lambda: clock[0])
    watch.note("c", topology(POD), NOW - 3600)
    seen = watch._clusters["c"]
    asyncio.run(watch.look(seen))
    logs.down = True
    with pytest.raises(SourceError):
        asyncio.run(watch.look(seen))
    assert len(watch.alarms("c")) == 1
    logs.down = False
    clock[0] += 600
    for left in (1, 0):
        clock[0] += LOOK_EVERY
        asyncio.run(watch.look(seen))
        assert len(watch.alarms("c")) == left
