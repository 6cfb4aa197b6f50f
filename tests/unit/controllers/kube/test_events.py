from __future__ import annotations

from controllers.kube.errors import Forbidden, KubeError
from controllers.kube.events import KubeRecorder
from controllers.kube.resources import EVENTS
from tests.fakes.kube import START, FakeKube
from tests.unit.controllers.incident.builders import incident


def test_the_same_happening_is_told_once_even_after_a_crash() -> None:
    kube = FakeKube()
    for _ in range(2):
        KubeRecorder(kube, "incident", now=lambda: START).emit(incident(), "Normal", "Resolved", "well", once="1")
    KubeRecorder(kube, "incident", now=lambda: START).emit(incident(), "Normal", "Resolved", "well", once="2")
    events = kube.list_raw(EVENTS, "shop")
    assert len(events) == 2
    assert events[0]["regarding"]["kind"] == "Incident"
    assert events[0]["regarding"]["uid"] == incident().metadata.uid
    assert events[0]["reportingController"] == "iirp.io/incident"
    assert events[0]["eventTime"] == "2026-01-02T03:04:05.000000Z"


def test_an_event_that_cannot_be_written_fails_nothing() -> None:
    kube = FakeKube()

    def refuse(verb: str, *_: str) -> KubeError | None:
        return Forbidden("Forbidden", "no") if verb == "create" else None

    kube.fail = refuse
    KubeRecorder(kube, "incident").emit(incident(), "Normal", "Resolved", "x" * 5000)
