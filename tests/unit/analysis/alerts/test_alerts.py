"""Alertmanager's webhook: what is kept, for how long, what it is about, and that nothing sent there can do harm."""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alerts.book import AlertBook
from analysis.alerts.findings import alert_candidates
from analysis.alerts.payload import MAX_VALUE, Refused, parse
from analysis.contract import Candidate, NodeFact, PodFact, ServiceFact
from analysis.detect.finding import Observed
from crds.v1alpha1.base import Scope, Severity, TargetRef

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INPUTS = int(os.environ.get("IIRP_FUZZ", "2000"))
WORKLOAD = TargetRef(kind="Deployment", namespace="shop", name="payments", uid="d")
OBSERVED = Observed(
    now=NOW.timestamp(),
    pods={("shop", "payments-1"): PodFact(namespace="shop", name="payments-1", uid="p", workload=WORKLOAD)},
    services=(ServiceFact(namespace="shop", name="pay", uid="s", workloads=(WORKLOAD,)),),
    nodes={"n1": NodeFact(name="n1", uid="n")},
)


def alert(name: str = "PaymentsSlow", *, ago: float = 60, **fields: Any) -> dict[str, Any]:
    labels = {"alertname": name, "namespace": "shop", "severity": "warning", **fields.pop("labels", {})}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "slow"},
        "startsAt": (NOW - timedelta(seconds=ago)).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prom/graph",
        "fingerprint": "abc",
        **fields,
    }


def body(*alerts: dict[str, Any], version: str = "4") -> bytes:
    return json.dumps({"version": version, "receiver": "iirp", "status": "firing", "alerts": alerts}).encode()


def book(*alerts: dict[str, Any], limit: int = 100, file: Path | None = None) -> AlertBook:
    made = AlertBook(limit, 3600, file)
    made.take(parse(body(*alerts)), "", NOW)
    return made


def found(*alerts: dict[str, Any]) -> tuple[Candidate, ...]:
    return alert_candidates(book(*alerts).firing("c", NOW), OBSERVED)[0]


@pytest.mark.parametrize(
    ("labels", "target", "scope"),
    [
        ({"pod": "payments-1"}, "deploy/payments", Scope.WORKLOAD),
        ({"deployment": "payments", "pod": "kube-state-metrics-1"}, "deploy/payments", Scope.WORKLOAD),
        ({"service": "pay"}, "svc/pay", Scope.SERVICE),
        ({"node": "n1"}, "node/n1", Scope.NODE),
        ({"instance": "n1:9100"}, "node/n1", Scope.NODE),
        ({"pod": "nobody-knows"}, None, None),
        ({"deployment": "../../etc"}, None, None),
        ({}, None, None),
    ],
)
def test_labels_lead_to_what_exists(labels: dict[str, str], target: str | None, scope: Scope | None) -> None:
    candidates = found(alert(labels=labels))
    assert [(one.target.short(), one.scope) for one in candidates] == ([(target, scope)] if target else [])


def test_an_alert_says_its_name_severity_start_and_text() -> None:
    (one,) = found(alert(labels={"pod": "payments-1", "severity": "critical"}))
    assert (one.type, one.severity, one.rule) == ("PaymentsSlow", Severity.CRITICAL, "alertmanager/PaymentsSlow")
    assert one.onset == NOW - timedelta(seconds=60)
    assert "slow" in one.summary


def test_alerts_of_one_name_and_workload_are_one_candidate_with_a_count() -> None:
    (one,) = found(
        alert(labels={"pod": "payments-1", "container": "a"}), alert(labels={"pod": "payments-1", "container": "b"})
    )
    assert one.count == 2


def test_the_watchdog_and_what_only_mutes_open_nothing() -> None:
    assert found(alert("Watchdog", labels={"node": "n1", "severity": "none"})) == ()


def test_repetition_changes_nothing_and_resolved_ends_it() -> None:
    kept = book(alert(labels={"pod": "payments-1"}))
    kept.take(parse(body(alert(labels={"pod": "payments-1"}))), "", NOW)
    assert len(kept) == 1
    over = alert(labels={"pod": "payments-1"}, status="resolved", endsAt=NOW.isoformat())
    assert kept.take(parse(body(over)), "", NOW).resolved == 1
    assert kept.firing("c", NOW) == []


def test_what_nobody_repeats_expires_and_what_is_too_much_gives_way() -> None:
    assert book(alert()).firing("c", NOW + timedelta(hours=2)) == []
    many = book(*(alert(labels={"n": str(number)}) for number in range(120)))
    assert len(many) == 100


def test_a_restart_keeps_what_fires_and_a_broken_file_is_no_end(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "alerts.json"
    book(alert(labels={"pod": "payments-1"}), file=file)
    assert len(AlertBook(100, 3600, file).firing("c", NOW)) == 1
    file.write_text("[{")
    assert len(AlertBook(100, 3600, file)) == 0


def test_alerts_of_another_cluster_stay_there() -> None:
    kept = AlertBook(100, 3600)
    kept.take(parse(body(alert())), "east", NOW)
    assert len(kept.firing("east", NOW)) == 1
    assert kept.firing("west", NOW) == []


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe", body(version="3"), body({"status": "firing"})])
def test_what_is_no_notification_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        parse(text)


def test_text_is_clipped_and_made_one_line() -> None:
    (one,) = found(alert(labels={"pod": "payments-1"}, annotations={"summary": "\x1b[31m\n" + "x" * 10_000}))
    assert len(one.summary) <= MAX_VALUE + 60
    assert one.summary.isprintable()


def _mutated(source: random.Random) -> bytes:
    """A valid notification with something wrong: bytes, values, types or structure."""
    data = bytearray(body(alert(labels={"pod": "payments-1"}), alert("B", labels={"node": "n1"})))
    for _ in range(source.randint(0, 6)):
        at = source.randrange(len(data))
        match source.randrange(4):
            case 0:
                data[at] = source.randrange(256)
            case 1:
                del data[at : at + source.randint(1, 9)]
            case 2:
                data[at:at] = source.choice(
                    [b'"', b"{", b"\\u0000", b"\\ud800", b"null", b"1e999", b"-", b"\xf0\x9f\x98\x80"]
                )
            case _:
                data[at:at] = data[at // 2 : at // 2 + 40]
        if not data:
            break
    return bytes(data)


def _harmless(text: bytes) -> bool:
    """Whether it was taken; raises only what the route turns into a 400."""
    try:
        notification = parse(text)
    except Refused:
        return False
    kept = AlertBook(50, 3600)
    kept.take(notification, "", NOW)
    candidates, _ = alert_candidates(kept.firing("c", NOW), OBSERVED)
    for one in candidates:
        assert one.target.name in ("payments", "pay", "n1")
        assert one.summary.isprintable()
        Candidate.model_validate_json(one.model_dump_json())
    return True


def test_mutated_notifications_are_refused_or_taken_and_never_more() -> None:
    """``IIRP_FUZZ=250000`` for the long run; a tenth must get through, or nothing is tested."""
    source = random.Random(20260301)
    taken = sum(_harmless(_mutated(source)) for _ in range(INPUTS))
    assert taken > INPUTS / 10


@settings(max_examples=200, deadline=None)
@given(
    labels=st.dictionaries(
        st.sampled_from(["alertname", "pod", "node", "severity", "namespace"]), st.text(max_size=80)
    ),
    text=st.text(max_size=400),
)
def test_any_text_in_any_label_does_no_harm(labels: dict[str, str], text: str) -> None:
    known = alert(labels={"pod": "payments-1", **labels}, annotations={"summary": text})
    _harmless(json.dumps({"version": "4", "alerts": [known]}).encode("utf-8", "surrogatepass"))
