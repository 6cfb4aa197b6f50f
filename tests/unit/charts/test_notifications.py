"""The notifier: off until it knows whom to tell, and no right but to list incidents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from notifications.settings import Settings as NotifierSettings
from notifications.settings import load as load_notifier
from tests.unit.charts.helm import EXTERNAL, NAMESPACE, named, render, run


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
