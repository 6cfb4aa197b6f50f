"""Network policies: each part reaches what it talks to, and every pod is under one."""

from __future__ import annotations

import pytest
import yaml

from tests.unit.charts.helm import CALLERS, CONTROLLERS, named, render, run


def test_network_policies_name_exactly_what_each_part_talks_to() -> None:
    assert not named(render(), "NetworkPolicy")
    found = named(render(networkPolicy={"enabled": True, "external": {"cidrs": ["192.0.2.0/24"]}}), "NetworkPolicy")
    assert {key.split("/")[1] for key in found} >= {f"iirp-{name}" for name in CONTROLLERS}
    for key, body in found.items():
        name = key.split("/")[1]
        assert body["spec"]["policyTypes"] == ["Ingress", "Egress"], name
        assert body["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == name
        ports = [[port["port"] for port in rule.get("ports", [])] for rule in body["spec"]["egress"]]
        external = [rule for rule in body["spec"]["egress"] if rule.get("ports", [{}])[0].get("port") == 8443]
        calls = name.removeprefix("iirp-") in CALLERS or name.removeprefix("iirp-") not in CONTROLLERS
        assert bool(external) is calls, name
        assert all(rule["to"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}] for rule in external)
        assert ports[:2] == [[53, 53], [443, 6443]]


def test_network_policies_select_the_pods_that_the_release_runs() -> None:
    objects = render(networkPolicy={"enabled": True})
    pods = [
        body["spec"]["template"]["metadata"]["labels"]
        for body in objects
        if body["kind"] in ("Deployment", "DaemonSet") and not body["spec"]["template"]["spec"].get("hostNetwork")
    ]
    selectors = [body["spec"]["podSelector"]["matchLabels"] for body in named(objects, "NetworkPolicy").values()]
    for selector in selectors:
        assert [labels for labels in pods if selector.items() <= labels.items()], selector
    for labels in pods:
        assert [selector for selector in selectors if selector.items() <= labels.items()], labels


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://iirp.example.com", 443), ("https://iirp.example.com:9443/base", 9443), ("https://10.1.2.3/", 443)],
)
def test_the_external_port_follows_the_url(url: str, port: int) -> None:
    done = run({"external": {"url": url}, "networkPolicy": {"enabled": True}})
    assert done.returncode == 0, done.stderr
    policies = named([body for body in yaml.safe_load_all(done.stdout) if body], "NetworkPolicy", "iirp-rca")
    (policy,) = policies.values()
    assert policy["spec"]["egress"][2]["ports"] == [{"protocol": "TCP", "port": port}]
