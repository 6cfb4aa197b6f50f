"""The controllers as they run: confined, with what they need and no more, and what watches over them."""

from __future__ import annotations

from typing import Any

import yaml

from controllers.runtime.settings import Settings
from tests.unit.charts.helm import CALLERS, CHART, CONTROLLERS, EXTERNAL, NAMESPACE, controllers, named, render


def test_seven_controllers_under_restricted_pod_security() -> None:
    found = controllers(render())
    assert sorted(found) == list(CONTROLLERS)
    for name, body in found.items():
        spec = body["spec"]
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        assert spec["strategy"] == {"type": "Recreate"}
        assert spec["replicas"] == 1
        assert pod["serviceAccountName"] == f"iirp-{name}"
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["args"] == [name]
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)
        assert not any("hostPath" in volume for volume in pod["volumes"])


def test_only_callers_hold_a_token_for_the_external_side() -> None:
    for name, body in controllers(render()).items():
        pod = body["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        env = {item["name"]: item["value"] for item in pod["containers"][0]["env"]}
        assert ("external-token" in volumes) == (name in CALLERS)
        assert ("IIRP_ANALYSIS_URL" in env) == (name in CALLERS)
        assert env["IIRP_NAMESPACE"] == NAMESPACE
        if name in CALLERS:
            (source,) = volumes["external-token"]["projected"]["sources"]
            assert source["serviceAccountToken"]["audience"] == "iirp-external"
            assert env["IIRP_CA_FILE"] == "/etc/iirp/ca/ca.crt"


def test_a_configured_secret_replaces_the_projected_token() -> None:
    found = controllers(render(external={**EXTERNAL, "tokenSecretName": "callers"}))
    volumes = found["rca"]["spec"]["template"]["spec"]["volumes"]
    (token,) = [volume for volume in volumes if volume["name"] == "external-token"]
    assert token["secret"] == {"secretName": "callers", "items": [{"key": "rca", "path": "token"}]}


def test_without_an_external_side_what_needs_none_runs() -> None:
    """`make safety` and `make chaos` install the release this way."""
    values = {name: {"enabled": False} for name in ("detection", "rca", "feedback")}
    objects = render(external={"url": ""}, telemetry={"enabled": False}, controllers=values)
    pod = named(objects, "Deployment")[f"{NAMESPACE}/iirp-incident"]["spec"]["template"]["spec"]
    assert "IIRP_ANALYSIS_URL" not in [item["name"] for item in pod["containers"][0]["env"]]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]


def test_decisions_are_recorded_where_a_volume_is_given() -> None:
    def mounted(objects: list[dict[str, Any]]) -> dict[str, Any]:
        pods = {name: body["spec"]["template"]["spec"] for name, body in named(objects, "Deployment", "iirp-").items()}
        return {
            name.removeprefix(f"{NAMESPACE}/iirp-"): volume["persistentVolumeClaim"]["claimName"]
            for name, pod in pods.items()
            for volume in pod["volumes"]
            if volume["name"] == "audit"
            if {"name": "IIRP_AUDIT_DIR", "value": "/var/lib/iirp/audit"} in pod["containers"][0]["env"]
            if {"name": "audit", "mountPath": "/var/lib/iirp/audit"} in pod["containers"][0]["volumeMounts"]
        }

    assert mounted(render()) == {}
    recorded = mounted(render(audit={"volume": {"persistentVolumeClaim": {"claimName": "iirp-audit"}}}))
    assert recorded == dict.fromkeys(("approval", "execution", "feedback", "policy"), "iirp-audit")


def test_how_long_the_record_is_kept_is_a_value() -> None:
    volume = {"persistentVolumeClaim": {"claimName": "iirp-audit"}}
    objects = render(audit={"volume": volume, "segmentMiB": 8, "retentionDays": 0})
    env = named(objects, "Deployment")[f"{NAMESPACE}/iirp-policy"]["spec"]["template"]["spec"]["containers"][0]["env"]
    settings = Settings.from_environment({item["name"]: item["value"] for item in env if item.get("value")})
    assert (settings.audit_segment_bytes, settings.audit_segment_days, settings.audit_retention_days) == (
        8 << 20,
        30,
        0,
    )


def test_disruption_budgets_never_block_a_drain() -> None:
    budgets = named(render(podDisruptionBudget={"enabled": True}), "PodDisruptionBudget")
    assert len(budgets) == len(CONTROLLERS)
    assert all(body["spec"]["maxUnavailable"] == 1 for body in budgets.values())
    assert all(body["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow" for body in budgets.values())


def test_prometheus_operator_objects_are_off_until_asked_for() -> None:
    assert not {"ServiceMonitor", "PrometheusRule"} & {body["kind"] for body in render()}
    objects = render(
        monitoring={
            "serviceMonitor": {"enabled": True, "labels": {"release": "x"}},
            "prometheusRule": {"enabled": True},
        }
    )
    (monitor,) = named(objects, "ServiceMonitor").values()
    (service,) = named(objects, "Service", "iirp-metrics").values()
    (rule,) = named(objects, "PrometheusRule").values()
    assert monitor["metadata"]["labels"]["release"] == "x"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    pods = [body["spec"]["template"]["metadata"]["labels"] for body in controllers(objects).values()]
    assert all(service["spec"]["selector"].items() <= labels.items() for labels in pods)
    alerts = yaml.safe_load((CHART.parents[1] / "integrations/prometheus/iirp.rules.yaml").read_text())
    assert rule["spec"] == alerts
