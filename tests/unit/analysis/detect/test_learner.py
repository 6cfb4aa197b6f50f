"""The learner beside the server: learning, trained, judging, restarted, with its source away."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import numpy as np
import pytest

from analysis.config import DATA_ROOT
from analysis.configfile import ConfigError
from analysis.contract import DetectRequest, OpenIncident, PodFact, Topology
from analysis.detect.learned import Deviation
from analysis.detect.learned_words import finding
from analysis.detect.learner import Learner
from analysis.detect.registry import Registry
from analysis.detect.series import Learning, load_learning
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import equal
from analysis.words import MIB, moment
from crds.v1alpha1.base import Scope, Severity, TargetRef

MONDAY = 1_767_571_200.0
NOW = MONDAY + 12 * 86_400.0 + 40.0
HOUR = 3600.0
WORKLOADS = tuple(f"w{index}" for index in range(6))
DIGEST = "sha256:" + "2" * 64

ONE = '{name: a, what: a, unit: a, query: "a{$scope}", minShare: 1, minChange: 1}'


class World:
    """Answers range queries for all series; ``fault`` scales a workload's requests from some time on, ``shift`` the
    memory of some workloads."""

    def __init__(self, since: float = MONDAY) -> None:
        self.since, self.down = since, False
        self.fault: tuple[str, float, float] | None = None
        self.shift: tuple[tuple[str, ...], float, float] = ((), 0.0, 1.0)
        self.queries: list[str] = []

    def prometheus(self) -> Prometheus:
        return Prometheus("http://p", 5, httpx.AsyncClient(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            return httpx.Response(503)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.queries.append(form["query"])
        start, end, step = float(form["start"]), float(form["end"]), float(form["step"][:-1])
        at = np.arange(start, end + 1, step)
        at = at[at >= self.since]
        result = []
        for index, name in enumerate(WORKLOADS):
            noise = 1.0 + 0.05 * np.sin(at * (index + 1) * 12.9898 + np.cos(at))
            values = (20.0 + index) * noise
            if "request_duration" in form["query"]:
                values = 0.2 * noise
            elif "code=~" in form["query"]:
                values = 0.0 * noise
            elif "working_set" in form["query"]:
                names, since, factor = self.shift
                values = values * 10 * MIB * np.where((at >= since) & (name in names), factor, 1.0)
            elif self.fault and name == self.fault[0]:
                values = np.where(at >= self.fault[1], values * self.fault[2], values)
            points = [[float(when), repr(float(value))] for when, value in zip(at, values, strict=True)]
            result.append({"metric": {"namespace": "shop", "workload": name}, "values": points})
        return httpx.Response(
            200, text=json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
        )


def topology(suffix: str = "aaaaa", digest: str = DIGEST) -> Topology:
    pods = tuple(
        PodFact(
            namespace="shop",
            name=f"{name}-7c9d8f6b5d-{suffix}",
            uid=name,
            workload=TargetRef(kind="Deployment", namespace="shop", name=name, uid=name),
        )
        for name in WORKLOADS
    )
    return Topology(digest=digest, pods=pods)


class Run:
    """A learner with a clock."""

    def __init__(self, world: World, folder: Path | None = None) -> None:
        self.now = NOW
        self.told: list[str] = []
        learning = load_learning(DATA_ROOT / "baselines")
        registry = Registry(folder, learning.version) if folder else None
        self.learner = Learner(learning, world.prometheus(), registry, lambda: self.now, told=self.told.append)
        self.tell()

    def tell(self, suffix: str = "aaaaa", digest: str = DIGEST, incidents: tuple[OpenIncident, ...] = ()) -> None:
        request = DetectRequest(cluster="c", topology_digest=digest, incidents=incidents)
        self.learner.note(request, topology(suffix, digest), self.now)

    def steps(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            asyncio.run(self.learner.step("c", self.learner._clusters["c"]))
            self.now += 60.0

    def on(self) -> list[tuple[str, str]]:
        return [(one.type, one.target.name) for one in self.learner.alarms("c", self.now)]

    def said(self) -> str:
        return self.learner.health("c").message


def test_a_drop_of_traffic_becomes_one_low_candidate_and_ends() -> None:
    world = World()
    run = Run(world)
    assert "nothing is known yet" in run.said()
    run.steps(1800)
    assert run.told.count("trained") == 1
    assert run.on() == []
    assert run.said().startswith("version")
    world.fault = ("w2", run.now, 0.1)
    run.steps(1500)
    assert run.on() == [("TrafficDrop", "w2")]
    (one,) = run.learner.alarms("c", run.now)
    assert one.severity == Severity.LOW
    assert "request rate 2.17 per second where 22" in one.summary
    assert one.confidence_percent <= 80
    assert 'rate(http_requests_total{namespace="shop",pod=~"w2-' in one.metrics[0].query
    assert one.pods == ("w2-7c9d8f6b5d-aaaaa",)
    world.fault = None
    run.steps(900)
    assert run.on() == []


def test_a_workload_that_has_just_been_rolled_out_is_left_alone() -> None:
    world = World()
    run = Run(world)
    run.steps(600)
    world.fault = ("w2", run.now, 0.1)
    run.steps(1300)
    run.tell("bbbbb", "sha256:" + "3" * 64)
    assert run.on() == []
    run.steps(1000)
    assert run.on() == [("TrafficDrop", "w2")]


def test_a_young_cluster_is_learning_and_says_so() -> None:
    world = World(since=NOW - 3 * 3600)
    run = Run(world)
    run.steps(600)
    world.fault = ("w2", run.now, 0.1)
    run.steps(1500)
    assert run.on() == []
    assert "learning 6 of 6 workloads" in run.said()


def test_a_shift_of_level_is_said_for_three_days_and_then_learned_anew(tmp_path: Path) -> None:
    world = World()
    began = NOW - 30 * HOUR
    world.shift = (("w2",), began, 2.0)
    run = Run(world, tmp_path)
    run.steps(300)
    assert run.on() == [("LevelShift", "w2")]
    (one,) = run.learner.alarms("c", run.now)
    assert one.severity == Severity.LOW
    assert abs(one.onset.timestamp() - began) <= 6 * HOUR
    assert "working set 440 MiB where 220 MiB was usual (+100 %) for 30 h" in one.summary
    assert one.metrics[0].query.startswith("quantile_over_time(0.5, (sum by (namespace, workload) (label_replace(cont")
    assert one.metrics[0].query.endswith(")[1d:5m])")
    run.now += 50 * HOUR
    run.steps(120)
    assert run.on() == []
    assert (run.told.count("shifted"), run.told.count("relearned")) == (1, 1)
    assert "1 series learned from their shift of level on" in run.said()
    assert usual(run, "w2") == pytest.approx(440, abs=30)
    again = Run(world, tmp_path)
    again.now = run.now + 25 * HOUR
    again.steps(300)
    assert again.on() == []
    assert usual(again, "w2") == pytest.approx(440, abs=30), "a restart has not forgotten it"
    assert usual(again, "w3") == pytest.approx(230, abs=20)


def test_a_model_that_knows_only_the_old_level_is_trained_within_the_hour() -> None:
    world = World()
    world.shift = (("w2",), NOW - 66 * HOUR, 2.0)
    run = Run(world)
    run.steps(300)
    assert run.on() == [("LevelShift", "w2")]
    for _ in range(8):
        run.now += HOUR
        run.steps(60)
    assert run.told.count("trained") == 2
    assert run.on() == []
    assert usual(run, "w2") == pytest.approx(440, abs=30)


def usual(run: Run, workload: str) -> float:
    """MiB that the model expects of a workload."""
    model = run.learner._clusters["c"].model
    assert model is not None
    return float(np.median(model.series["memory"].profile[model.keys.index(("shop", workload))])) / MIB


@pytest.mark.parametrize(
    ("world", "shifted"),
    [
        (World(), ()),
        (World(since=NOW - 7 * 24 * HOUR), ("w2",)),
        (World(), WORKLOADS),
    ],
    ids=["quiet", "a young cluster", "a holiday"],
)
def test_no_shift_of_level(world: World, shifted: tuple[str, ...]) -> None:
    world.shift = (shifted, NOW - 30 * HOUR, 2.0)
    run = Run(world)
    run.steps(120)
    assert run.on() == []
    assert "shifted" not in run.told
    assert ("common shift of level: memory high on 6 of 6 workloads" in run.said()) == (len(shifted) > 1)


@pytest.mark.parametrize(("about", "origin"), [(2, None), (3, 2)], ids=["its target", "its origin"])
def test_what_a_known_incident_does_to_a_series_is_no_shift_of_its_level(about: int, origin: int | None) -> None:
    world = World()
    run = Run(world)
    world.shift = (("w2",), NOW - 23 * HOUR, 2.0)
    targets = [pod.workload for pod in topology().pods]
    known = OpenIncident(
        uid="u",
        fingerprint="0" * 16,
        type="MemoryLeak",
        scope=Scope.WORKLOAD,
        target=targets[about],
        origin=None if origin is None else targets[origin],
        severity=Severity.HIGH,
        started_at=moment(NOW - 23 * HOUR),
        active=True,
    )
    run.tell(incidents=(known,))
    run.now += 3 * HOUR
    run.steps(300)
    assert run.on() == []


def test_a_query_that_is_too_long_for_the_api_is_left_out_and_the_rest_said() -> None:
    learning = load_learning(DATA_ROOT / "baselines")
    target = TargetRef(kind="Deployment", namespace="n" * 63, name="w" * 63, uid="u")
    one = Deviation(
        (target.namespace, target.name), ("errors",), {"errors": 1}, {"errors": 0.5}, {"errors": 0.1}, 0.99, 0.0
    )
    (metric,) = finding(learning, one, target, ()).metrics
    assert (metric.query, metric.value) == ("", "0.5")


def test_a_restart_goes_on_with_the_version_on_disk(tmp_path: Path) -> None:
    world = World()
    Run(world, tmp_path).steps(300)
    run = Run(world, tmp_path)
    run.now += 600
    world.fault = ("w2", run.now, 0.1)
    run.steps(1500)
    assert run.told.count("trained") == 0
    assert run.on() == [("TrafficDrop", "w2")]


def test_a_source_that_is_away_is_tried_again_and_nothing_ends() -> None:
    world = World()
    run = Run(world)
    run.steps(300)
    world.fault = ("w2", run.now, 0.1)
    run.steps(1500)
    world.down = True
    run.steps(1200)
    assert "failed" in run.told
    assert run.on() == [("TrafficDrop", "w2")]
    world.down = False
    world.fault = None
    run.steps(900)
    assert run.on() == []


def test_queries_sum_by_workload_and_only_of_the_watched_namespaces() -> None:
    world = World()
    Run(world).steps(60)
    assert len(world.queries) == 5
    for query in world.queries:
        assert 'namespace="shop"' in query
        assert re.search(r"by \(namespace, workload(, le)?\)", query)
    latency = next(query for query in world.queries if "duration" in query)
    native, classic = latency.split(" or ")
    assert native.startswith("histogram_quantile(0.95, sum by (namespace, workload) (")
    assert "duration_seconds{" in native
    assert classic.startswith("histogram_quantile(0.95, sum by (namespace, workload, le) (")
    assert "duration_seconds_bucket{" in classic


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("step: 5m", "history"),
        (
            "step: 1s\nhistory: 14d\nretrain: 1d\nseries: [" + ONE + "]",
            "10000 points",
        ),
        ("step: 5\nhistory: 14d\nretrain: 1d\nseries: []", "unit"),
        ("step: 5m\nhistory: 14d\nretrain: 1d\nseries: [" + ONE.replace("{$scope}", "") + "]", r"write a\{"),
    ],
)
def test_wrong_files_are_said(tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_learning(tmp_path)


def test_the_shipped_file_is_read() -> None:
    learning: Learning = load_learning(DATA_ROOT / "baselines")
    assert {one.name for one in learning.series} == {"cpu", "memory", "requests", "errors", "latency"}
    errors = next(one for one in learning.series if one.name == "errors")
    assert "> 0)" in errors.promql(equal("namespace", "shop"))
