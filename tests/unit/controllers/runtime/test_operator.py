"""What we ask of kopf: watches only, no finalizers, retries without end, timeouts on everything."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sized
from typing import Any

import pytest

from controllers.kube.resources import PODS, resource_type
from controllers.runtime.controller import Context, Controller, Watch, own_key
from controllers.runtime.errors import Retryable
from controllers.runtime.metrics import Metrics
from controllers.runtime.operator import EndlessBackoffs, build_registry, build_settings, wait_for_apis, watch
from controllers.runtime.outcome import Done, Key
from controllers.runtime.queue import WorkQueue
from controllers.runtime.settings import Settings
from crds.v1alpha1.actionpolicy import ActionPolicy
from crds.v1alpha1.incident import Incident
from tests.fakes.kube import FakeKube, FakeRecorder


def controller(observer: object = None) -> Controller:
    return Controller(
        name="test",
        reconcile=lambda _: Done(),
        watches=(Watch(resource_type(Incident), own_key, observer), Watch(PODS, lambda _: ())),  # type: ignore[arg-type]
        resync=lambda: (),
    )


def test_only_watching_handlers_are_registered_so_nothing_needs_a_finalizer() -> None:
    registry = build_registry(controller(), WorkQueue(lambda: 0.0))
    assert {str(handler.id) for handler in registry._watching.get_all_handlers()} == {
        "iirp-test-incidents",
        "iirp-test-pods",
    }
    assert not registry._changing.get_all_handlers()
    assert not registry._spawning.get_all_handlers()


def test_an_event_reaches_observer_and_queue() -> None:
    seen: list[object] = []
    queue: WorkQueue[Key] = WorkQueue(lambda: 0.0)
    registry = build_registry(controller(lambda kind, body: seen.append((kind, body["kind"]))), queue)
    handler = next(item for item in registry._watching.get_all_handlers() if "incidents" in str(item.id))
    body = {"kind": "Incident", "metadata": {"namespace": "shop", "name": "a"}}
    on_event: Any = handler.fn
    asyncio.run(on_event(event={"type": "ADDED", "object": body}, body=body))
    assert seen == [("ADDED", "Incident")]
    assert queue.get(timeout=0) == Key("shop", "a")


def test_backoffs_never_end_are_capped_and_start_anew_for_each_request() -> None:
    backoffs = EndlessBackoffs()
    assert not isinstance(backoffs, Sized), "kopf stops after the last of a sized one"
    assert list(itertools.islice(backoffs, 8)) == [1, 2, 4, 8, 16, 30, 30, 30]
    assert next(iter(backoffs)) == 1


def test_every_request_of_kopf_has_a_timeout_and_no_scanning_needs_cluster_rights() -> None:
    settings = build_settings()
    assert settings.networking.connect_timeout == 10
    assert settings.networking.request_timeout == 60
    assert settings.watching.server_timeout == 300
    assert settings.queueing.worker_limit
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert not settings.posting.enabled


def test_start_waits_for_the_kinds_to_be_served() -> None:
    kube = FakeKube()
    kube.unserved = {"incidents"}
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        kube.unserved = set()

    context = Context(settings=Settings(), kube=kube, events=FakeRecorder(), metrics=Metrics("test"))
    wait_for_apis(context, controller(), sleep)
    assert len(waits) == 1


def test_start_survives_an_api_server_that_is_not_there_yet() -> None:
    class Down(FakeKube):
        calls = 0

        def served(self, resource: object) -> bool:
            self.calls += 1
            if self.calls < 3:
                raise Retryable("ApiServerUnavailable", "https://10.0.0.1:6443 does not answer")
            return True

    waits: list[float] = []
    context = Context(settings=Settings(), kube=Down(), events=FakeRecorder(), metrics=Metrics("test"))
    wait_for_apis(context, controller(), waits.append)
    assert len(waits) == 1


@pytest.mark.parametrize(("namespaces", "clusterwide"), [("", True), ("shop,pay", False)])
def test_watched_namespaces_hold_for_all_kinds_even_beside_cluster_scoped_ones(
    monkeypatch: pytest.MonkeyPatch, namespaces: str, clusterwide: bool
) -> None:
    asked: dict[str, Any] = {}

    async def operator(**options: Any) -> None:
        asked.update(options)

    monkeypatch.setattr("kopf.operator", operator)
    settings = Settings(watch_namespaces=namespaces)
    context = Context(settings=settings, kube=FakeKube(), events=FakeRecorder(), metrics=Metrics("test"))
    both = Controller(
        "test", lambda _: Done(), (Watch(resource_type(ActionPolicy), own_key), *controller().watches), tuple
    )
    assert watch(both, context, WorkQueue(lambda: 0.0))
    assert asked["clusterwide"] is clusterwide
    assert asked["namespaces"] == list(settings.namespaces)
