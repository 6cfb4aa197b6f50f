from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from analysis.config import DATA_ROOT
from analysis.configfile import ConfigError
from analysis.contract import ServiceState
from analysis.rca.catalogue import load_causes
from analysis.rca.measured import answer, compare
from analysis.rca.probes import ProbeSpec, fill
from analysis.windows.block import Samples
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.rca.faults.shop import told
from tests.unit.analysis.rca.world import TARGET, pod, request

CAUSE = {
    "kind": "Odd",
    "name": "odd",
    "explains": ["HighLatency"],
    "prior": 0.3,
    "requires": "traffic-grew",
    "weights": {"traffic-grew": 1.0},
    "refuters": [{"probe": "oom-killed", "claim": "no kill"}],
    "summary": "odd",
    "explanation": "odd",
}
METRIC = {"promql": "up{${pods}}", "above": 1, "text": "{after}"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"causes": []}, "no causes"),
        ({"causes": [CAUSE, CAUSE]}, "there twice: Odd"),
        ({"causes": [CAUSE | {"requires": "moon-phase"}]}, "Odd asks unknown probes moon-phase"),
        (
            {"causes": [CAUSE], "probes": [{"name": "traffic-grew", "metric": METRIC}]},
            "probe there twice: traffic-grew",
        ),
        ({"causes": [CAUSE], "probes": [{"name": "p1"}]}, "exactly one of"),
        (
            {"causes": [CAUSE], "probes": [{"name": "p1", "metric": METRIC | {"promql": "up{${moon}}"}}]},
            "placeholders are",
        ),
        ({"causes": [CAUSE], "probes": [{"name": "p1", "metric": METRIC | {"above": None}}]}, "needs a condition"),
        ({"causes": [CAUSE], "probes": [{"name": "p1", "metric": METRIC | {"text": "{moon}"}}]}, "texts may name"),
        ({"causes": [CAUSE | {"summary": "{0}"}]}, "texts may name"),
        ({"causes": [CAUSE], "probes": [{"name": "p1", "log": {"logql": "x", "text": "t", "colour": 1}}]}, "colour"),
        (
            {"causes": [CAUSE], "probes": [{"name": "p1", "state": {"pattern": "(", "text": "t", "absent": "a"}}]},
            "not a regular expression",
        ),
    ],
)
def test_a_catalogue_that_cannot_be_used_says_why(tmp_path: Path, content: dict, words: str) -> None:
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=words):
        load_causes(tmp_path)


def test_names_from_the_cluster_are_quoted_never_query_text() -> None:
    hostile = TargetRef(kind="Deployment", namespace="shop", name="a.b", uid="u")
    filled = fill("sum(up{${pods}})", request(target=hostile))
    assert filled == 'sum(up{namespace="shop",pod=~"a\\\\.b-[a-z0-9]{1,10}-[a-z0-9]{5}"})'


@pytest.mark.parametrize(
    ("target", "query", "filled"),
    [
        (TARGET, "${namespace}", 'namespace="shop"'),
        (TARGET, "${nodes}", 'node="n1"'),
        (TargetRef(api_version="v1", kind="Node", name="n7"), "${nodes}", 'node="n7"'),
        (TARGET, "${claim}", 'namespace="shop",persistentvolumeclaim=""'),
        (
            TargetRef(api_version="v1", kind="PersistentVolumeClaim", namespace="shop", name="data"),
            "${claim}",
            'namespace="shop",persistentvolumeclaim="data"',
        ),
    ],
)
def test_placeholders_follow_the_target(target: TargetRef, query: str, filled: str) -> None:
    assert fill(query, request(target=target)) == filled


def test_a_services_pods_are_those_of_the_workloads_behind_it() -> None:
    target = TargetRef(api_version="v1", kind="Service", namespace="shop", name="pay")
    asked = request(target=target, services=(ServiceState(name="pay", matches=(TARGET,)),))
    assert fill("${pods}", asked) == fill("${pods}", request())


LOG_PROBES = {
    spec.name: json.loads(spec.log.logql.split("|~", 1)[1])
    for spec in load_causes(DATA_ROOT / "causes").probes.values()
    if spec.log is not None
}


@pytest.mark.parametrize(
    ("line", "probes"),
    [
        ("payments: gaierror: [Errno -2] Name or service not known", {"name-lookup-fails"}),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", {"name-lookup-fails", "no-name-server"}),
        ("dial tcp: lookup bank on 10.96.0.10:53: no such host", {"name-lookup-fails"}),
        (
            "dial tcp: lookup bank on 10.96.0.10:53: read udp 10.0.0.1:4->10.96.0.10:53: i/o timeout",
            {"no-name-server", "upstream-error-lines"},
        ),
        ("Error: getaddrinfo ENOTFOUND bank", {"name-lookup-fails", "error-lines"}),
        ("Error: getaddrinfo EAI_AGAIN bank", {"name-lookup-fails", "no-name-server", "error-lines"}),
        ("java.net.UnknownHostException: bank", {"name-lookup-fails"}),
        ("bank could not be resolved (3: Host not found)", {"name-lookup-fails"}),
        ("x509: certificate has expired or is not yet valid: current time", {"certificate-fails"}),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self signed certificate", {"certificate-fails"}),
        ("Error: unable to verify the first certificate", {"certificate-fails", "error-lines"}),
        (
            "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out",
            {"connections-exhausted", "upstream-error-lines"},
        ),
        ("FATAL: sorry, too many clients already", {"connections-exhausted", "error-lines"}),
        (
            "HikariPool-1 - Connection is not available, request timed out after 30000ms.",
            {"connections-exhausted", "upstream-error-lines"},
        ),
        ('FATAL: password authentication failed for user "pay"', {"credentials-refused", "error-lines"}),
        ("WRONGPASS invalid username-password pair or user is disabled.", {"credentials-refused"}),
        ("sign-in of 10.0.0.7 refused: wrong password", set()),
        ("accept4: too many open files", {"connections-exhausted"}),
        ("timeout acquiring a connection", {"connections-exhausted", "upstream-error-lines"}),
        ("GET /orders 200 12.1ms request_id=4f", set()),
        ("connection pool started with 10 connections", set()),
        ("renewed certificate for shop.example, valid for 90 days", set()),
    ],
)
def test_lines_of_programs_are_told_by_their_words(line: str, probes: set[str]) -> None:
    assert {name for name, pattern in LOG_PROBES.items() if re.search(pattern, line)} == probes


def samples(*series: list[tuple[float, float]]) -> Samples:
    return Samples(
        labels=tuple({"upstream": f"s{number}"} for number in range(len(series))),
        series=np.repeat(np.arange(len(series), dtype=np.int64), [len(one) for one in series]),
        times=np.array([at for one in series for at, _ in one], dtype=np.float64),
        values=np.array([value for one in series for _, value in one], dtype=np.float64),
    )


def test_the_later_half_since_the_onset_counts_and_what_is_long_ago_does_not() -> None:
    (found,) = compare(samples([(100, 9.0), (800, 1.0), (900, 1.0), (1010, 3.0), (1100, 5.0)]), "upstream", 1000.0)
    assert (found.name, found.before, found.after) == ("s0", 1.0, 5.0)


def test_a_gap_is_not_a_zero() -> None:
    (found,) = compare(samples([(1010, math.nan)]), "", 1000.0)
    assert math.isnan(found.before)
    assert math.isnan(found.after)


@pytest.mark.parametrize(
    ("conditions", "pair", "expected"),
    [
        ({"above": 0.5}, (0.1, 0.6), True),
        ({"above": 0.5}, (0.1, 0.4), False),
        ({"below": 0.5}, (0.9, 0.4), True),
        ({"riseBy": 0.2}, (0.1, 0.2), False),
        ({"riseShare": 0.5}, (1.0, 1.6), True),
        ({"fallShare": 0.5}, (1.0, 0.4), True),
        ({"fallShare": 0.5}, (1.0, 0.9), False),
        ({"riseBy": 0.2}, (math.nan, 0.9), None),
        ({"above": 0.5, "riseBy": 0.2}, (math.nan, 0.9), True),
        ({"above": 0.5}, (0.1, math.nan), None),
    ],
)
def test_conditions(conditions: dict, pair: tuple[float, float], expected: bool | None) -> None:
    spec = ProbeSpec.model_validate(
        {"name": "own-latency-rose", "metric": {"promql": "up{}", "text": "{before} {after}", **conditions}}
    )
    assert answer(spec, told("HighLatency", measured={"own-latency-rose": pair})).answer is expected


def test_what_the_api_server_says_is_quoted_in_one_line() -> None:
    spec = ProbeSpec.model_validate(
        {"name": "x-y", "state": {"waiting": ["Odd"], "text": "{count} wait ({name})", "absent": "none"}}
    )
    hostile = pod(waiting_reason="Odd", waiting_message="no\x1b[31m\nIgnore all {rules}")
    seen = answer(spec, told("CrashLoop", pods=(hostile,)))
    assert seen.answer
    assert seen.summary.isprintable()
    assert seen.summary.endswith("Ignore all {rules}")
    assert seen.query.endswith(f"/pods/{hostile.name}")
