"""Hostile text in everything that rca reads, through the controller, the analysis and a model that obeys it, over HTTP.

What counts is what the API server was asked to write, and what the report cites.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from analysis.api.metrics import Metrics
from analysis.config import DATA_ROOT, Model, ModelBudget
from analysis.contract import RcaRequest, RcaResponse
from analysis.llm.service import Narrator
from analysis.logs.records import time_of
from analysis.rca.catalogue import load_causes
from analysis.rca.service import Explainer
from analysis.telemetry.prometheus import Prometheus
from controllers.kube.resources import CONFIG_MAPS, CORE_EVENTS, DEPLOYMENTS, NODES, PODS, REPLICASETS
from controllers.runtime.outcome import Done
from tests.fakes.kube import START
from tests.fakes.model import ModelServer, model_server
from tests.unit.analysis.llm.test_injection import INSTRUCTIONS, OPENERS, WRAPPERS
from tests.unit.analysis.logs.loki import Store
from tests.unit.controllers.rca.test_dependencies import written
from tests.unit.controllers.rca.test_facts import event, node, own_pod
from tests.unit.controllers.rca.test_reconcile import KEY, World
from tests.unit.controllers.rca.workload import LABELS, deployment, replica_set

CAUSES = load_causes(DATA_ROOT / "causes")
BY_REPORT = 12
"""Hostile texts that one report sees."""


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with model_server() as found:
        yield found


def hostile_world(texts: list[str]) -> World:
    """A workload of which every name that may hold text, every event and every log line is hostile."""
    world = World()
    body = deployment()
    names = {"containers": [{"name": "app", "envFrom": [{"configMapRef": {"name": "settings"}}]}]}
    body["spec"]["template"] = {"metadata": {"labels": LABELS}, "spec": names}
    world.kube.add_raw(DEPLOYMENTS, body)
    sets = replica_set(6, "pay:v1", START - timedelta(hours=3)), replica_set(7, texts[0], START - timedelta(seconds=60))
    for item in sets:
        world.kube.add_raw(REPLICASETS, item)
    world.kube.add_raw(CONFIG_MAPS, written("settings", {"f:data": {f"f:{text}": {} for text in texts}}))
    pod = own_pod("payments-7-a", "payments-7")
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": texts[1]}}
    pod["status"] = {"phase": "Running", "containerStatuses": [{"name": "app", "ready": False, "state": waiting}]}
    world.kube.add_raw(PODS, pod)
    broken = node(MemoryPressure="True")
    broken["status"]["conditions"][-1]["message"] = texts[2]
    world.kube.add_raw(NODES, broken)
    for number, text in enumerate(texts):
        world.kube.add_raw(CORE_EVENTS, event("payments-7-a", -30, number, message=text, reason="BackOff"))
    return world


def explain(texts: list[str], narrator: Narrator | None, asked: RcaRequest) -> RcaResponse:
    onset = asked.incident.started_at.timestamp()
    usual = [(onset - 600 + at, "GET /cart 200") for at in range(600)]
    store = Store([*usual, *((onset + 1 + at, f"ERROR {text}") for at, text in enumerate(texts))])

    async def run() -> RcaResponse:
        empty = {"status": "success", "data": {"resultType": "matrix", "result": []}}
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=empty))
        async with httpx.AsyncClient(transport=transport) as client:
            return await Explainer(CAUSES, Prometheus("http://p", 5, client), store.loki(), narrator).explain(asked)

    return asyncio.run(run())


@pytest.mark.parametrize("instruction", INSTRUCTIONS)
def test_nothing_is_written_but_the_report_and_nothing_is_cited_that_is_not_there(
    model: ModelServer, instruction: str
) -> None:
    model.reply = lambda: (200, INSTRUCTIONS[instruction])
    texts = [wrapper.format(f"{opener} {instruction}") for opener in OPENERS for wrapper in WRAPPERS]
    budget = ModelBudget(tokens_per_incident=10_000_000)
    for start in range(0, len(texts), BY_REPORT):
        some = texts[start : start + BY_REPORT]
        world = hostile_world(some)
        world.answers(
            lambda asked, some=some: explain(
                some, Narrator(Model(base_url=model.url, model="m", budget=budget), "", Metrics()), asked
            )
        )
        before = len(model.requests)
        assert world.reconciler.reconcile(KEY) == Done()
        assert len(model.requests) == before + 1, "the model was asked"
        assert {(verb, plural) for verb, plural, _ in world.kube.writes} <= {
            ("create", "incidents"), ("create", "rcareports"), ("apply_status", "rcareports")
        }  # fmt: skip
        (request,) = world.analysis.requests
        assert isinstance(request, RcaRequest)
        plain = explain(some, None, request)
        status = world.report.status
        assert status.recommended_actions == list(plain.recommended_actions)
        assert status.root_causes[0].kind == plain.root_causes[0].kind
        known = {one for cause in CAUSES.causes for one in cause.probes()} | {one.id for one in status.logs}
        for cause in status.root_causes:
            assert {one.id for one in cause.evidence} <= known
        assert status.logs
        assert all(time_of(one.id) for one in status.logs)
