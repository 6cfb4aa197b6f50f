"""Whole rounds against an in-memory API server and a scripted analysis server."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from analysis.contract import Candidate, DetectRequest, DetectResponse, SourceHealth
from controllers.detection.handlers import build
from controllers.detection.reconcile import TICK, Detection
from controllers.kube.errors import Forbidden, Invalid, KubeError
from controllers.kube.resources import CONFIG_MAPS, DEPLOYMENTS, NAMESPACES, PODS, REPLICASETS
from controllers.runtime.analysis import AnalysisUnavailable, TopologyUnknown
from controllers.runtime.controller import Context
from controllers.runtime.errors import Terminal
from controllers.runtime.metrics import Metrics
from controllers.runtime.outcome import Requeue
from controllers.runtime.settings import Settings
from crds.v1alpha1.incident import Incident
from tests.fakes.analysis import FakeAnalysis
from tests.fakes.kube import START, FakeKube, FakeRecorder
from tests.unit.controllers.detection.cluster import deployment, head
from tests.unit.controllers.detection.pods import pod, replica_set
from tests.unit.controllers.detection.test_decide import candidate


class World:
    """One detection controller and all around it."""

    def __init__(self, **settings: float | str) -> None:
        self.now = START
        self.kube = FakeKube(lambda: self.now)
        self.kube.add_raw(REPLICASETS, replica_set())
        self.kube.add_raw(PODS, pod())
        self.analysis = FakeAnalysis()
        self.analysis.on_detect = self.answer
        self.events = FakeRecorder()
        self.metrics = Metrics("detection")
        self.candidates: list[Candidate] = []
        self.healthy = True
        self.blinds = True
        self.down = False
        self.known: set[str] = set()
        context = Context(
            settings=Settings.model_validate({"hold": 30, **settings}),
            kube=self.kube,
            events=self.events,
            metrics=self.metrics,
            analysis=self.analysis,
            now=self.clock,
        )
        self.context = context
        self.detection = Detection(context, self.analysis)

    def clock(self) -> datetime:
        return self.now

    def answer(self, request: DetectRequest) -> DetectResponse:
        if self.down:
            raise AnalysisUnavailable("AnalysisUnreachable", "https://gw:8443/v1/detect: refused; look there")
        if request.topology is not None:
            self.known.add(request.topology_digest)
        if request.topology_digest not in self.known:
            raise TopologyUnknown("TopologyUnknown")
        seen = [item.model_copy(update={"last_seen": self.now}) for item in self.candidates]
        source = SourceHealth(
            name="prometheus", address="http://prom:9090", ok=self.healthy, message="timeout", blinds=self.blinds
        )
        return DetectResponse(evaluated_at=self.now, candidates=tuple(seen), sources=(source,))

    def round(self, seconds: float = 5) -> None:
        self.now += timedelta(seconds=seconds)
        assert self.detection.reconcile(TICK) == Requeue(5)

    def incidents(self) -> list[Incident]:
        return self.kube.list_all(Incident)


@pytest.fixture
def world() -> World:
    return World()


def test_a_fault_opens_one_incident_however_often_it_is_seen(world: World) -> None:
    world.candidates = [candidate()]
    for _ in range(5):
        world.round()
    (incident,) = world.incidents()
    assert incident.status.detection is not None
    assert incident.status.detection.active
    assert incident.metadata.labels["iirp.io/fingerprint"] == incident.spec.fingerprint
    assert world.events.reasons == ["Detected"]


def test_a_quiet_round_writes_nothing(world: World) -> None:
    world.candidates = [candidate()]
    world.round()
    writes = len(world.kube.writes)
    world.round(1)
    assert len(world.kube.writes) == writes


def test_a_restarted_controller_makes_no_second_incident(world: World) -> None:
    world.candidates = [candidate()]
    world.round()
    world.detection = Detection(world.context, world.analysis)
    world.round()
    assert len(world.incidents()) == 1


def test_the_topology_is_sent_once_again_on_change_and_when_the_server_has_forgotten_it(world: World) -> None:
    def sent() -> list[bool]:
        found = [isinstance(item, DetectRequest) and item.topology is not None for item in world.analysis.requests]
        world.analysis.requests.clear()
        return found

    world.round()
    world.round()
    assert sent() == [True, False]
    world.detection.pods.observe("ADDED", pod("payments-5f-2"))
    world.round()
    assert sent() == [True]
    world.known.clear()
    world.round()
    assert sent() == [False, True]


def test_a_fault_that_is_gone_for_the_hold_time_is_over(world: World) -> None:
    world.candidates = [candidate()]
    world.round()
    world.candidates = []
    for _ in range(7):
        world.round()
    (incident,) = world.incidents()
    assert incident.status.detection is not None
    assert not incident.status.detection.active
    assert world.events.reasons == ["Detected", "SignalsGone"]


def test_what_flapped_says_how_long_it_was_really_waited_for(world: World) -> None:
    world.candidates = [candidate()]
    world.round()
    (incident,) = world.incidents()
    world.kube.apply_status(incident, {"reopened": 2}, manager="iirp-incident")
    world.candidates = []
    for _ in range(30):
        world.round()
    assert world.events.reasons == ["Detected", "SignalsGone"]
    assert "for 120 s" in world.events.events[-1][3]


def test_a_source_that_blinds_nobody_is_complained_of_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.healthy = world.blinds = False
    for _ in range(5):
        world.round()
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == ["prometheus: timeout"]
    world.healthy = True
    world.round()
    world.healthy = False
    world.round()
    assert len([one for one in caplog.records if one.levelname == "WARNING"]) == 2


def test_an_outage_of_the_analysis_server_ends_nothing_and_is_told_once(world: World) -> None:
    world.candidates = [candidate()]
    world.round()
    world.candidates, world.down = [], True
    for _ in range(20):
        world.now += timedelta(seconds=5)
        with pytest.raises(AnalysisUnavailable):
            world.detection.reconcile(TICK)
    world.down = False
    world.round()
    (incident,) = world.incidents()
    assert incident.status.detection is not None
    assert incident.status.detection.active, "nobody has seen it end"
    assert world.events.reasons == ["Detected", "DetectionBlind", "DetectionRestored"]


def test_a_source_that_is_down_is_a_metric_and_an_event_with_its_address(world: World) -> None:
    world.candidates = [candidate()]
    world.round()
    world.healthy = False
    world.round()
    world.round()
    up = world.metrics.registry.get_sample_value(
        "iirp_external_source_up", {"controller": "detection", "source": "prometheus"}
    )
    assert up == 0
    assert world.events.reasons == ["Detected", "DetectionBlind"]
    assert "http://prom:9090" in world.events.events[-1][3]


def test_a_storm_is_written_within_the_budget_and_completed_later() -> None:
    world = World(max_writes_per_minute=50)  # 30 of them are detection's, three for each new Incident
    target = candidate().target
    world.candidates = [
        candidate(fingerprint=f"{n:016x}", target=target.model_copy(update={"name": f"w-{n}"})) for n in range(25)
    ]
    world.round()
    assert len(world.incidents()) == 10
    deferred = world.metrics.registry.get_sample_value(
        "iirp_incident_writes_deferred_total", {"controller": "detection"}
    )
    assert deferred == 15
    for _ in range(4):
        world.round(60)
    assert len(world.incidents()) == 25


@pytest.mark.parametrize("error", [Forbidden("Forbidden", "being terminated"), Invalid("Invalid", "spec.x")])
def test_what_the_api_server_refuses_keeps_nothing_else_from_being_written(world: World, error: KubeError) -> None:
    refused: set[str] = set()

    def refuse_the_first(verb: str, _: str, __: str, name: str) -> KubeError | None:
        if verb != "create" or (refused and name not in refused):
            return None
        refused.add(name)
        return error

    world.kube.fail = refuse_the_first
    world.candidates = [candidate(), candidate("HighErrorRate")]
    world.round()
    assert len(world.incidents()) == 1


def test_what_is_refused_again_and_again_does_not_spend_the_budget_of_the_others() -> None:
    world = World(max_writes_per_minute=50)
    asked: list[float] = []

    def refuse(verb: str, _: str, __: str, name: str) -> KubeError | None:
        if verb != "create" or "crash" in name:
            return None
        asked.append((world.now - START).total_seconds())
        return Forbidden("Forbidden", "exceeded quota: incidents")

    world.kube.fail = refuse
    world.candidates = [candidate()]
    for _ in range(60):
        world.round()
    assert asked == [5, 35, 95, 215], "30 s, one minute, two, four"
    other = candidate().target.model_copy(update={"name": "checkout", "uid": "uid-checkout"})
    world.candidates = [candidate("CrashLoop", target=other), candidate()]
    world.round()
    assert [item.spec.type for item in world.incidents()] == ["CrashLoop"]
    world.kube.fail = lambda *_: None
    for _ in range(60):
        world.round()
    assert len(world.incidents()) == 2, "and it comes when it is allowed to"


def test_a_status_that_is_refused_does_not_spend_the_budget_of_the_others(world: World) -> None:
    asked: list[float] = []

    def refuse(verb: str, *_: str) -> KubeError | None:
        if verb != "apply_status":
            return None
        asked.append((world.now - START).total_seconds())
        return Invalid("Invalid", "status.detection.x")

    world.kube.fail = refuse
    world.candidates = [candidate()]
    for _ in range(30):
        world.round()
    assert asked == [5, 10, 40, 100], "of the new Incident, then 30 s and one minute later"
    world.kube.fail = lambda *_: None
    for _ in range(30):
        world.round()
    (incident,) = world.incidents()
    assert incident.status.detection is not None


ELSEWHERE = candidate("HighErrorRate", target=candidate().target.model_copy(update={"namespace": "front"}))
FURTHER = candidate("HighLatency", target=ELSEWHERE.target, fingerprint="f" * 16)


@pytest.mark.parametrize(
    ("candidates", "opened"),
    [
        ([candidate(), candidate("CrashLoop")], ["CrashLoop"]),
        ([candidate(signals=(ELSEWHERE, FURTHER))], ["HighErrorRate"]),
        ([candidate(signals=(candidate("HighErrorRate"),))], []),
    ],
    ids=[
        "a symptom of its target",
        "what it shows in another namespace, as one",
        "not all that it shows beside itself",
    ],
)
def test_a_refused_incident_shelters_nobody(world: World, candidates: list[Candidate], opened: list[str]) -> None:
    def refuse(verb: str, _: str, __: str, name: str) -> KubeError | None:
        return Forbidden("Forbidden", "exceeded quota") if verb == "create" and "leak" in name else None

    world.kube.fail = refuse
    world.candidates = candidates
    for _ in range(20):
        world.round()
    assert [item.spec.type for item in world.incidents()] == opened


@pytest.mark.parametrize("phase", ["ending", "alive"])
def test_a_namespace_that_is_being_deleted_has_no_faults(world: World, phase: str) -> None:
    ends = {"deletionTimestamp": "2026-01-02T03:00:00Z"} if phase == "ending" else {}
    world.kube.add_raw(NAMESPACES, {"metadata": {"name": "shop", **ends}})
    world.candidates = [candidate()]
    world.round()
    assert len(world.incidents()) == (phase == "alive")


@pytest.mark.parametrize(("namespaces", "opened"), [("shop", 1), ("other", 0), ("", 1)])
def test_faults_outside_the_watched_namespaces_open_nothing(namespaces: str, opened: int) -> None:
    world = World(watch_namespaces=namespaces)
    world.candidates = [candidate()]
    world.round()
    world.round()
    assert len(world.incidents()) == opened


def test_without_an_analysis_server_it_does_not_start(world: World) -> None:
    context = Context(settings=Settings(), kube=world.kube, events=world.events, metrics=Metrics("x"))
    with pytest.raises(Terminal, match="IIRP_ANALYSIS_URL"):
        build(context)


def test_what_is_watched_feeds_the_topology_and_no_key(world: World) -> None:
    controller = build(world.context)
    assert [watch.resource.kind for watch in controller.watches] == ["Incident"], "kopf sees our own kinds only"
    assert all(list(watch.keys(pod())) == [] for watch in controller.watches)
    kinds = {resource.kind for resource, _ in controller.reflected}
    assert {"Pod", "Service", "EndpointSlice", "Deployment", "StatefulSet", "Node"} <= kinds
    assert list(controller.resync()) == [TICK]


@pytest.mark.parametrize(("failing", "asked"), [(True, 2), (False, 1)], ids=["something fails", "all is well"])
def test_where_something_fails_changes_that_touched_several_workloads_are_sent_along(
    world: World, failing: bool, asked: int
) -> None:
    for name in ("cart", "payments"):
        body = deployment(name)
        body["spec"]["template"]["spec"] = {"volumes": [{"name": "c", "configMap": {"name": "urls"}}]}
        world.kube.add_raw(DEPLOYMENTS, body)
    written = {"managedFields": [{"time": world.now.isoformat(), "fieldsV1": {"f:data": {}}}]}
    world.kube.add_raw(CONFIG_MAPS, {"metadata": head("urls", **written)})
    world.candidates = [candidate()] if failing else []
    world.round()
    requests = [one for one in world.analysis.requests if isinstance(one, DetectRequest)]
    assert len(requests) == asked
    told = [(change.what, sorted(one.name for one in change.targets)) for change in requests[-1].changes]
    assert told == ([("ConfigMap urls written", ["cart", "payments"])] if failing else [])
    world.round()
    assert len(world.analysis.requests) == asked + 1, "what is known is sent at once"


def test_a_silenced_fault_is_counted_and_opens_when_the_silence_ends(world: World) -> None:
    until = (START + timedelta(seconds=12)).isoformat()
    world.kube.add_raw(NAMESPACES, {"metadata": {"name": "shop", "annotations": {"iirp.io/silence-until": until}}})
    world.candidates = [candidate()]

    def silenced() -> float | None:
        return world.metrics.registry.get_sample_value("iirp_faults_silenced", {"controller": "detection"})

    world.round()
    assert (world.incidents(), silenced()) == ([], 1)
    world.round()
    world.round()
    assert (len(world.incidents()), silenced()) == (1, 0)


def test_a_wrong_maintenance_window_stops_the_start() -> None:
    with pytest.raises(Terminal, match="IIRP_MAINTENANCE_WINDOWS"):
        World(maintenance_windows="[{}]")
