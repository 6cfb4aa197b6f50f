"""What messages name, and what they do not: only a thing outside the one who says it can be what two have in common."""

from __future__ import annotations

import pytest

from analysis.logs.named import named

CASES: dict[str, set[str]] = {
    'Error: configmap "app-config" not found': {'configmap "app-config"'},
    'MountVolume.SetUp failed for volume "config" : configmap "app-config" not found': {'configmap "app-config"'},
    "Error: couldn't find key url in ConfigMap shop/app-config": {'configmap "app-config"'},
    'MountVolume.SetUp failed for volume "tls" : secret "tls" not found': {'secret "tls"'},
    'pods "a-1" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=9': {'quota "compute"'},
    'Internal error: failed calling webhook "check.policy.example": no endpoints': {
        'failed calling webhook "check.policy.example"'
    },
    'storageclass.storage.k8s.io "fast" not found': {'storageclass "fast"'},
    'Back-off pulling image "registry.example/shop:v2"': {'image "registry.example/shop:v2"'},
    "dial tcp: lookup db.shop.svc.cluster.local on 10.96.0.10:53: no such host": {'host "db"'},
    "dial tcp: lookup db.shop on 10.96.0.10:53: no such host": {'host "db"'},
    "dial tcp: lookup db.other.svc on 10.96.0.10:53: no such host": {'host "db.other"'},
    "ERROR lookup api.example.org failed": {'host "api.example.org"'},
    "dial tcp 10.0.3.7:5432: connect: connection refused": {'host "10.0.3.7"'},
    "psycopg: connection to db:5432 failed": {'host "db"'},
    "HTTPConnectionPool(host='ledger', port=8080): Max retries exceeded": {'host "ledger"'},
    'could not translate host name "db" to address': {'host "db"'},
    "Error: getaddrinfo ENOTFOUND redis": {'host "redis"'},
    # what names nothing, or only what belongs to the one who says it
    "Back-off restarting failed container app in pod payments-1_shop(0b8d)": set(),
    'admission webhook "check.policy.example" denied the request: no owner label': set(),
    "Readiness probe failed: HTTP probe failed with statuscode: 503": set(),
    "Readiness probe failed: dial tcp 127.0.0.1:8080: connect: connection refused": set(),
    "connection to localhost:5432 refused": set(),
    "0/3 nodes are available: 3 Insufficient cpu.": set(),
    'MountVolume.SetUp failed for volume "data" : mount failed: exit status 32': set(),
    'exec: "/bin/serve": stat /bin/serve: no such file or directory': set(),
    "panic at main.go:42, level:30, status:500": set(),
    "see https://errors.example.org:443/2.11": set(),
    "": set(),
}


@pytest.mark.parametrize("text", CASES)
def test_what_a_message_names(text: str) -> None:
    assert named(text, "shop") == CASES[text]


@pytest.mark.parametrize("text", CASES)
def test_what_was_found_names_the_same_again(text: str) -> None:
    assert named(", ".join(sorted(CASES[text])), "shop") == CASES[text]


def test_only_the_beginning_of_a_long_message_is_read() -> None:
    assert named("x" * 5000 + ' configmap "late" not found', "shop") == set()
