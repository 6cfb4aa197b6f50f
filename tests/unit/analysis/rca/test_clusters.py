"""Of several clusters in one Prometheus and Loki, no query of a diagnosis reads another one's."""

from __future__ import annotations

import asyncio
import json
import re
from urllib.parse import parse_qsl

import httpx
import pytest

from analysis.config import DATA_ROOT
from analysis.contract import RcaResponse, ServiceState, WorkloadState
from analysis.rca.catalogue import load_causes
from analysis.rca.probes import fill
from analysis.rca.results import Language, language
from analysis.rca.service import Explainer
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.scope import bare
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.rca.world import ONSET, POD, START, TARGET, request

CAUSES = load_causes(DATA_ROOT / "causes")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
BANK = TARGET.model_copy(update={"name": "bank", "uid": "uid-bank"})
TARGETS = [
    TARGET,
    TargetRef(api_version="v1", kind="Service", namespace="shop", name="pay"),
    TargetRef(api_version="v1", kind="PersistentVolumeClaim", namespace="shop", name="data"),
    TargetRef(api_version="v1", kind="Pod", namespace="shop", name=POD),
    TargetRef(api_version="v1", kind="Node", name="n1"),
]


class Stores:
    """Both stores, with an answer to everything and more lines than anyone reads; ``sent`` are the queries."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def answer(self, asked: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(asked.content.decode()))
        self.sent.append(form["query"])
        kind, result = self._logs(form) if "/loki/" in asked.url.path else ("matrix", [self._series(form)])
        return httpx.Response(200, json={"status": "success", "data": {"resultType": kind, "result": result}})

    def _series(self, form: dict[str, str]) -> dict:
        start = float(form.get("start", form.get("time", 0))) - 60
        return {
            "metric": {"namespace": "shop", "pod": POD, "container": "app", "upstream": "bank"},
            "values": [[start + 15 * step, str(0.1 + step)] for step in range(60)],
        }

    def _logs(self, form: dict[str, str]) -> tuple[str, list[dict]]:
        if "time" in form:
            return "vector", [{"metric": {}, "value": [0, "9000"]}]
        start, limit = int(form["start"]), int(form["limit"])
        later = start / 1e9 >= START + ONSET
        text = "panic: bank is gone" if later else "GET /orders 200"
        values = [[str(start + at), text] for at in range(limit)]
        stream = {"k8s_namespace_name": "shop", "k8s_pod_name": POD, "k8s_container_name": "app"}
        return "streams", [{"stream": stream, "values": values}]


def explained(target: TargetRef, label: str) -> tuple[list[str], RcaResponse]:
    stores = Stores()
    services = (ServiceState(name="pay", matches=(TARGET,)),)
    workloads = (WorkloadState(target=TARGET, replicas=1, claims=("data",)), WorkloadState(target=BANK, replicas=1))
    asked = request("AnythingAtAll", target=target, services=services, workloads=workloads, cluster="east")

    async def run() -> RcaResponse:
        async with httpx.AsyncClient(transport=httpx.MockTransport(stores.answer)) as client:
            prometheus, loki = Prometheus("http://p", 5, client, label), Loki("http://l", 5, client, label)
            return await Explainer(CAUSES, prometheus, loki, None).explain(asked)

    return stores.sent, asyncio.run(run())


def selectors(query: str) -> list[str]:
    """Each selector from its brace to its first matcher, without what stands in quotes."""
    return re.findall(r"\{\s*\w*\W", STRING.sub('""', query))


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.kind)
def test_every_selector_of_every_query_names_the_cluster(target: TargetRef) -> None:
    sent, report = explained(target, "where")
    shown = [one.query for cause in report.root_causes for one in (*cause.evidence, *cause.refuters)]
    shown += [one.query for one in report.logs]
    for query in [*sent, *(one for one in shown if one and language(one) is not Language.API)]:
        assert selectors(query), query
        assert set(selectors(query)) == {"{where="}, query
        assert query.count('{where="east"') == len(selectors(query)), query
        assert language(query) is Language.LOGQL or "count_over_time" in query or not bare(query), query


def test_the_questions_are_all_of_them() -> None:
    """The catalogue's, who calls whom, the workload's logs, its callee's, and the checks of a log that was cut."""
    sent, report = explained(TARGET, "")
    asked = request("AnythingAtAll", services=(ServiceState(name="pay", matches=(TARGET,)),))
    for spec in CAUSES.specs(CAUSES.causes):
        if spec.metric is not None and "${claim}" not in spec.metric.promql:
            assert fill(spec.metric.promql, asked) in sent
        if spec.log is not None:
            assert any(fill(spec.log.logql, asked) in query for query in sent)
    told = json.dumps(sent)
    for part in ("upstream_requests_total", "bank-[a-z0-9]", "!~", "container_spec_memory_limit_bytes", "node_memory_"):
        assert part in told, part
    assert report.logs
