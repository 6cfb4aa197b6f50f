"""The chart, rendered: what the values promise is what comes out. Needs helm, and says so where there is none."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cryptography import x509

from analysis.config import load
from controllers.runtime.settings import Settings
from crds.v1alpha1 import ActionPolicy
from devcluster.toolchain import Toolchain
from notifications.settings import Settings as NotifierSettings
from notifications.settings import load as load_notifier

CHART = Path(__file__).resolve().parents[3] / "charts/iirp"
CONTROLLERS = ("approval", "detection", "execution", "feedback", "incident", "policy", "rca")
CALLERS = ("detection", "feedback", "incident", "rca")
EXTERNAL = {"url": "https://iirp.example.com:8443", "caBundle": "-----BEGIN CERTIFICATE-----\nMIIB\n"}
NAMESPACE = "platform"


def helm() -> str:
    """Path of helm: this machine's, or the one that the development cluster built."""
    found = Toolchain().find("helm") or shutil.which("helm")
    if not found:
        pytest.skip("no helm on this machine; `iirp cluster up` builds it, and the e2e suite renders the chart too")
    return str(found)


def run(values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values."""
    return _run(json.dumps(values, sort_keys=True))


@cache
def _run(values: str) -> subprocess.CompletedProcess[str]:
    command = [helm(), "template", "iirp", str(CHART), "-n", NAMESPACE, "-f", "-"]
    return subprocess.run(command, input=values, capture_output=True, text=True, timeout=60, check=False)


def render(**values: Any) -> list[dict[str, Any]]:
    """All objects of the release."""
    done = run({"external": EXTERNAL, **values})
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def named(objects: list[dict[str, Any]], kind: str, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Objects of one kind by ``namespace/name``."""
    return {
        f"{body['metadata'].get('namespace', '')}/{body['metadata']['name']}": body
        for body in objects
        if body["kind"] == kind and body["metadata"]["name"].startswith(prefix)
    }


def controllers(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Deployments of the seven controllers by controller."""
    found = (body for body in objects if body["kind"] == "Deployment")
    label = "iirp.io/controller"
    return {name: body for body in found if (name := body["metadata"].get("labels", {}).get(label))}


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


def test_by_default_nothing_can_be_changed_anywhere() -> None:
    objects = render()
    assert not named(objects, "RoleBinding", "iirp-execution-target")
    assert not named(objects, "RoleBinding", "iirp-approval-grants")
    assert not named(objects, "ClusterRoleBinding", "iirp-execution-target")
    assert not named(objects, "ActionPolicy")


def test_opted_in_namespaces_get_bindings_and_the_default_policy() -> None:
    objects = render(execution={"namespaces": ["shop", "pay"]})
    assert set(named(objects, "RoleBinding", "iirp-execution-target")) == {
        "shop/iirp-execution-target",
        "pay/iirp-execution-target",
    }
    policy = ActionPolicy.from_wire(named(objects, "ActionPolicy")["/default"])
    assert {tuple(rule.match.namespaces) for rule in policy.spec.rules} == {("shop", "pay")}
    assert not named(render(execution={"namespaces": ["shop"]}, policies={"install": False}), "ActionPolicy")


def test_watched_namespaces_bound_what_is_seen() -> None:
    objects = render(watchNamespaces=["shop"])
    assert set(named(objects, "RoleBinding", "iirp-detection")) == {"shop/iirp-detection", "platform/iirp-detection"}
    bound = named(objects, "ClusterRoleBinding", "iirp-detection")
    assert set(bound) == {"/iirp-detection-nodes"}, "nodes belong to no namespace"
    assert named(objects, "ClusterRoleBinding", "iirp-policy-cluster")
    env = controllers(objects)["incident"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "IIRP_WATCH_NAMESPACES", "value": "shop,platform"} in env
    assert named(render(), "ClusterRoleBinding", "iirp-detection")


def test_the_releases_namespace_is_the_platforms_in_every_policy() -> None:
    objects = render()
    text = json.dumps([body for body in objects if "AdmissionPolicy" in body["kind"]])
    assert "iirp-system" not in text
    assert "system:serviceaccount:platform:iirp-execution" in text


def test_crds_are_kept_and_optional() -> None:
    definitions = named(render(), "CustomResourceDefinition")
    assert len(definitions) == 5
    for body in definitions.values():
        annotations = body["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
    assert not named(render(crds={"install": False}), "CustomResourceDefinition")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"external": {"url": ""}}, "external.url is required"),
        ({"external": {"url": "http://plain"}}, "url"),
        ({"external": EXTERNAL, "execution": {"namespaces": ["Not_A_Namespace"]}}, "namespaces"),
        ({"external": EXTERNAL, "exekution": {}}, "exekution"),
        ({"external": EXTERNAL, "settings": {"logLevel": "loud"}}, "logLevel"),
    ],
)
def test_wrong_values_are_named(values: dict[str, Any], message: str) -> None:
    done = run(values)
    assert done.returncode != 0
    assert message in done.stderr


def test_default_values_fit_their_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate(yaml.safe_load((CHART / "values.yaml").read_text()), schema)


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


def test_without_an_external_side_what_needs_none_runs() -> None:
    """`make safety` and `make chaos` install the release this way."""
    values = {name: {"enabled": False} for name in ("detection", "rca", "feedback")}
    objects = render(external={"url": ""}, telemetry={"enabled": False}, controllers=values)
    pod = named(objects, "Deployment")[f"{NAMESPACE}/iirp-incident"]["spec"]["template"]["spec"]
    assert "IIRP_ANALYSIS_URL" not in [item["name"] for item in pod["containers"][0]["env"]]
    assert [volume["name"] for volume in pod["volumes"]] == ["tmp"]


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


def test_helm_test_runs_with_no_right_but_to_list_deployments() -> None:
    objects = [body for body in render() if "helm.sh/hook" in body["metadata"].get("annotations", {})]
    (role,) = (body for body in objects if body["kind"] == "Role")
    (pod,) = (body for body in objects if body["kind"] == "Pod")
    assert role["rules"] == [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]}]
    assert pod["spec"]["containers"][0]["args"] == ["selftest"]
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["restartPolicy"] == "Never"


ADMISSION_GROUP = "admissionregistration.k8s.io/v1"


def admission(mode: str, *served: str) -> tuple[int, str, set[str]]:
    """Exit code, error, and which kinds of mutation are rendered for an API server that serves these kinds."""
    flags = [flag for kind in served for flag in ("--api-versions", f"{ADMISSION_GROUP}/{kind}")]
    values = json.dumps({"external": EXTERNAL, "admission": {"mode": mode}})
    command = [helm(), "template", "iirp", str(CHART), "-n", NAMESPACE, "-f", "-", *flags]
    done = subprocess.run(command, input=values, capture_output=True, text=True, timeout=60, check=False)
    kinds = {body["kind"] for body in yaml.safe_load_all(done.stdout) if body}
    return done.returncode, done.stderr, kinds & {"MutatingAdmissionPolicy", "MutatingWebhookConfiguration"}


VALIDATING, MUTATING = "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"


@pytest.mark.parametrize(
    ("mode", "served", "kind"),
    [
        ("auto", (VALIDATING, MUTATING), "MutatingAdmissionPolicy"),
        ("auto", (VALIDATING,), "MutatingWebhookConfiguration"),
        ("auto", (), "MutatingAdmissionPolicy"),
        ("webhook", (VALIDATING, MUTATING), "MutatingWebhookConfiguration"),
        ("policy", (VALIDATING, MUTATING), "MutatingAdmissionPolicy"),
    ],
)
def test_decisions_are_made_entries_by_what_the_api_server_serves(
    mode: str, served: tuple[str, ...], kind: str
) -> None:
    code, error, kinds = admission(mode, *served)
    assert code == 0, error
    assert kinds == {kind}


def test_a_policy_is_never_silently_left_out() -> None:
    code, error, _ = admission("policy", VALIDATING)
    assert code != 0
    assert "set admission.mode to auto or webhook" in error


@pytest.mark.parametrize(
    ("mode", "always", "kinds"),
    [
        ("policy", False, set()),
        ("policy", True, {"ValidatingWebhookConfiguration"}),
        ("webhook", False, {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}),
        ("webhook", True, {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}),
    ],
)
def test_policies_are_judged_wherever_the_webhook_runs(mode: str, always: bool, kinds: set[str]) -> None:
    objects = render(admission={"mode": mode, "webhook": {"always": always}})
    assert {body["kind"] for body in objects if "Webhook" in body["kind"]} == kinds
    assert (f"{NAMESPACE}/iirp-webhook" in named(objects, "Deployment")) is bool(kinds)
    for body in objects:
        if body["kind"] == "ValidatingWebhookConfiguration":
            (hook,) = body["webhooks"]
            # A freeze must not wait for a pod of ours; what slips through fails closed in the policy controller.
            assert (hook["failurePolicy"], hook["clientConfig"]["service"]["path"]) == ("Ignore", "/policies")


@pytest.mark.parametrize("certificates", ["chart", "certManager"])
def test_webhook_fails_closed_and_holds_no_token(certificates: str) -> None:
    objects = render(admission={"mode": "webhook", "webhook": {"certificates": certificates}})
    (hook,) = named(objects, "MutatingWebhookConfiguration")["/iirp-decisions"]["webhooks"]
    assert (hook["failurePolicy"], hook["sideEffects"]) == ("Fail", "None")
    assert hook["rules"] == [
        {"apiGroups": ["iirp.io"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["approvals"],
         "scope": "Namespaced"},
    ]  # fmt: skip
    assert ("caBundle" in hook["clientConfig"]) is (certificates == "chart")
    pod = named(objects, "Deployment")[f"{NAMESPACE}/iirp-webhook"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    bound = [s for b in objects if b["kind"].endswith("RoleBinding") for s in b.get("subjects", [])]
    assert "iirp-webhook" not in [subject["name"] for subject in bound]
    secret = next(v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v)
    made = named(objects, "Secret") if certificates == "chart" else {
        f"{NAMESPACE}/{c['spec']['secretName']}": c for c in objects if c["kind"] == "Certificate"
    }  # fmt: skip
    assert f"{NAMESPACE}/{secret}" in made


def test_agents_come_in_only_where_the_values_say_so() -> None:
    assert not [body for body in render() if "mcp" in body["metadata"]["name"]]
    objects = render(mcp={"read": {"enabled": True}}, networkPolicy={"enabled": True})
    names = {(body["kind"], body["metadata"]["name"]) for body in objects if "mcp" in body["metadata"]["name"]}
    assert ("Deployment", "iirp-mcp-read") in names
    assert not [name for _, name in names if "execute" in name]
    callers = named(objects, "NetworkPolicy", "iirp-mcp-read-callers")[f"{NAMESPACE}/iirp-mcp-read-callers"]
    assert callers["spec"]["ingress"][0]["from"] == [{"podSelector": {}}]


def test_the_execute_endpoint_is_not_the_executor() -> None:
    objects = render(mcp={"execute": {"enabled": True}, "tlsSecretName": "mcp-tls"})
    pod = named(objects, "Deployment", "iirp-mcp")[f"{NAMESPACE}/iirp-mcp-execute"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "iirp-mcp-execute"
    env = {item["name"]: item["value"] for item in pod["containers"][0]["env"]}
    assert env["IIRP_MCP_TLS_DIR"] == "/etc/iirp/mcp"
    role = named(objects, "ClusterRole", "iirp-mcp-execute")["/iirp-mcp-execute"]
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {
        "incidents", "rcareports", "approvals", "actionplans", "events",
    }  # fmt: skip


def test_the_audit_log_is_shown_to_readers_and_cannot_be_written_by_them() -> None:
    volume = {"persistentVolumeClaim": {"claimName": "iirp-audit"}}
    objects = render(mcp={"read": {"enabled": True}, "execute": {"enabled": True}}, audit={"volume": volume})
    pods = named(objects, "Deployment", "iirp-mcp")
    mounts = {
        name: [m for m in body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] if m["name"] == "audit"]
        for name, body in pods.items()
    }
    assert mounts[f"{NAMESPACE}/iirp-mcp-execute"] == []
    assert [mount["readOnly"] for mount in mounts[f"{NAMESPACE}/iirp-mcp-read"]] == [True]


def test_the_analysis_server_in_the_cluster_reads_its_configuration(tmp_path: Path) -> None:
    sources = {"prometheus": {"url": "http://prometheus:9090"}, "loki": {"url": "http://loki:3100"}}
    given = {**sources, "listen": {"host": "::"}, "model": {"baseUrl": "http://model/v1", "model": "m"}}
    objects = render(analysis={"enabled": True, "config": given}, clusterName="prod", telemetry={"enabled": False})
    file = tmp_path / "analysis.yaml"
    file.write_text(named(objects, "ConfigMap")[f"{NAMESPACE}/iirp-analysis"]["data"]["analysis.yaml"])
    config = load(file)
    assert (config.listen.host, config.listen.port) == ("0.0.0.0", 8443), "what the chart sets stands"
    assert config.listen.tls is not None
    assert config.auth.platform_namespace == NAMESPACE
    assert (config.web.cluster_name, config.intake.mode) == ("prod", "pull")
    assert config.model is not None
    pod = named(objects, "Deployment")[f"{NAMESPACE}/iirp-analysis"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "iirp-analysis"
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_releases_own_certificate_is_for_its_service() -> None:
    sources = {"prometheus": {"url": "http://prometheus:9090"}, "loki": {"url": "http://loki:3100"}}
    objects = render(analysis={"enabled": True, "config": sources}, telemetry={"enabled": False})
    secret = named(objects, "Secret")[f"{NAMESPACE}/iirp-analysis-tls"]["data"]
    certificate, authority = (
        x509.load_pem_x509_certificate(base64.b64decode(secret[key])) for key in ("tls.crt", "ca.crt")
    )
    certificate.verify_directly_issued_by(authority)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"iirp-analysis.{NAMESPACE}.svc" in names.get_values_for_type(x509.DNSName)
    trusted = named(objects, "ConfigMap")[f"{NAMESPACE}/iirp-analysis-ca"]["data"]["ca.crt"]
    assert x509.load_pem_x509_certificate(trusted.encode()) == authority


def notifying(**values: Any) -> dict[str, Any]:
    """Values for the notifier: a Slack channel, a mail server and a relay on ports of their own."""
    file = "/etc/iirp/notifications/"
    channels = {
        "team": {"type": "slack", "url_file": f"{file}slack-url", "signing_secret_file": f"{file}slack-signing"},
        "mail": {"type": "email", "host": "smtp.example.com", "port": 465, "sender": "i@x", "to": ["o@x"]},
        "relay": {"type": "webhook", "url": "http://relay.tools:8000/iirp", "secret_file": f"{file}relay"},
    }
    config = {
        "page_url": "https://iirp.example.com", "channels": channels, "routes": [{"channels": [*channels]}],
        "listen": {"port": 9000},
    }  # fmt: skip
    return {"enabled": True, "config": config, "secrets": ["slack", "relay"], **values}


def notifier(tmp_path: Path, **values: Any) -> NotifierSettings:
    """What the notifier reads of the file that the chart makes."""
    file = tmp_path / "notifications.yaml"
    objects = render(notifications=notifying(), **values)
    file.write_text(named(objects, "ConfigMap")[f"{NAMESPACE}/iirp-notifications"]["data"][file.name])
    return load_notifier(file)


def test_nobody_is_told_until_the_values_say_whom() -> None:
    assert not [body for body in render() if "notifications" in body["metadata"]["name"]]
    done = run({"external": EXTERNAL, "notifications": {"enabled": True}})
    assert done.returncode != 0
    assert "notifications.config needs channels and routes" in done.stderr


def test_the_notifier_reads_its_configuration_and_the_watched_namespaces(tmp_path: Path) -> None:
    assert notifier(tmp_path).namespaces == []
    watched = notifier(tmp_path, watchNamespaces=["shop"])
    assert (watched.namespaces, sorted(watched.channels)) == (["shop", NAMESPACE], ["mail", "relay", "team"])


def test_the_notifier_may_list_incidents_and_nothing_else() -> None:
    objects = render(notifications=notifying())
    role = named(objects, "ClusterRole", "iirp-notifications")["/iirp-notifications"]
    assert role["rules"] == [{"apiGroups": ["iirp.io"], "resources": ["incidents"], "verbs": ["list"]}]
    bound = [body["roleRef"]["name"] for body in objects for subject in body.get("subjects", [])
             if subject["name"] == "iirp-notifications"]  # fmt: skip
    assert bound == ["iirp-notifications"]


def test_the_notifiers_pod_is_restricted_keeps_its_outbox_and_sees_the_named_secrets() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "outbox"}}
    objects = render(notifications=notifying(volume=claim))
    deployment = named(objects, "Deployment")[f"{NAMESPACE}/iirp-notifications"]
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["outbox"] == {"name": "outbox", **claim}
    assert volumes["secrets"]["projected"]["sources"] == [{"secret": {"name": "slack"}}, {"secret": {"name": "relay"}}]
    (service,) = named(objects, "Service", "iirp-notifications").values()
    assert service["spec"]["ports"][0]["targetPort"] == "slack"
    assert {"name": "slack", "containerPort": 9000} in container["ports"]
    quiet = render(notifications=notifying(secrets=[], config={**notifying()["config"], "listen": None}))
    assert not named(quiet, "Service", "iirp-notifications")


def test_the_notifier_reaches_its_channels_only() -> None:
    def policy(**values: Any) -> dict[str, Any]:
        objects = render(notifications=notifying(**values), networkPolicy={"enabled": True})
        key = f"{NAMESPACE}/iirp-notifications-channels"
        spec: dict[str, Any] = named(objects, "NetworkPolicy")[key]["spec"]
        return spec

    ports = [rule["port"] for rule in policy()["egress"][0]["ports"]]
    assert ports == [443, 465, 8000]
    assert [rule["port"] for rule in policy()["ingress"][0]["ports"]] == [9000]
    mine = [{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]
    assert policy(egress=mine)["egress"] == mine


def test_a_drain_goes_past_the_notifier() -> None:
    objects = render(notifications=notifying(), podDisruptionBudget={"enabled": True})
    budget = named(objects, "PodDisruptionBudget")[f"{NAMESPACE}/iirp-notifications"]
    assert budget["spec"]["maxUnavailable"] == 1
