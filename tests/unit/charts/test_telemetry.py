"""The agents of the chart: what they may, what they keep across an outage, and that one value changes the route."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.unit.charts.helm import EXTERNAL, render, run

AGENTS = ("iirp-prometheus-agent", "iirp-otel-collector", "iirp-otel-events", "iirp-node-exporter")


def agents(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Deployments and DaemonSets of the telemetry plane by name."""
    return {
        body["metadata"]["name"]: body
        for body in objects
        if body["kind"] in {"Deployment", "DaemonSet"}
        and body["metadata"]["labels"].get("app.kubernetes.io/component") == "telemetry"
    }


def config(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one configuration file of an agent."""
    (text,) = next(
        body["data"].values() for body in objects if body["kind"] == "ConfigMap" and body["metadata"]["name"] == name
    )
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_four_agents_by_default_and_none_when_off() -> None:
    assert set(agents(render())) == set(AGENTS)
    assert agents(render(telemetry={"enabled": False})) == {}


def test_every_agent_is_confined() -> None:
    for name, body in agents(render()).items():
        pod = body["spec"]["template"]["spec"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        # Only the collector is root: nobody else may read the kubelet's container logs.
        assert (pod["securityContext"].get("runAsUser") == 0) is (name == "iirp-otel-collector")
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_host_folders_are_read_only_but_the_collectors_own() -> None:
    for name, body in agents(render()).items():
        pod = body["spec"]["template"]["spec"]
        host = {volume["name"] for volume in pod["volumes"] if "hostPath" in volume}
        mounts = [mount for container in pod["containers"] for mount in container["volumeMounts"]]
        writable = {mount["name"] for mount in mounts if mount["name"] in host and not mount.get("readOnly")}
        assert writable == ({"state"} if name == "iirp-otel-collector" else set()), name


def test_tokens_are_for_the_external_side_alone() -> None:
    for name in ("iirp-prometheus-agent", "iirp-otel-collector", "iirp-otel-events"):
        volumes = agents(render())[name]["spec"]["template"]["spec"]["volumes"]
        (projected,) = [volume["projected"] for volume in volumes if "projected" in volume]
        assert projected["sources"][0]["serviceAccountToken"]["audience"] == "iirp-external"


def test_a_static_secret_takes_the_tokens_place() -> None:
    objects = render(external={**EXTERNAL, "tokenSecretName": "bearers"})
    volumes = agents(objects)["iirp-prometheus-agent"]["spec"]["template"]["spec"]["volumes"]
    (secret,) = [volume["secret"] for volume in volumes if "secret" in volume]
    assert secret == {"secretName": "bearers", "items": [{"key": "prometheus-agent", "path": "token"}]}


@pytest.mark.parametrize("name", ["iirp-otel-collector", "iirp-otel-events"])
def test_collectors_wait_out_an_outage_on_disk(name: str) -> None:
    collector = config(render(), name)
    exporter = collector["exporters"]["otlphttp/loki"]
    assert exporter["sending_queue"]["storage"] == "file_storage"
    assert exporter["sending_queue"]["queue_size"] > 0
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["tls"] == {"ca_file": "/etc/iirp/ca/ca.crt"}
    # It would accept lines before they are on disk.
    assert "batch" not in collector["processors"]


def test_container_files_are_read_from_where_the_collector_was() -> None:
    receiver = config(render(), "iirp-otel-collector")["receivers"]["filelog/containers"]
    assert receiver["storage"] == "file_storage"
    assert receiver["start_at"] == "beginning"
    assert receiver["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert "/var/log/pods/platform_iirp-otel-*/*/*.log" in receiver["exclude"]


def test_events_have_one_reporter() -> None:
    events = agents(render())["iirp-otel-events"]
    assert (events["kind"], events["spec"]["replicas"], events["spec"]["strategy"]["type"]) == (
        "Deployment",
        1,
        "Recreate",
    )
    assert "k8sobjects" not in config(render(), "iirp-otel-collector")["receivers"]


def test_log_files_of_the_node_by_value() -> None:
    files = ["/var/log/kubelet.log", "/var/log/containerd.log"]
    objects = render(telemetry={"logs": {"node": {"files": files}}})
    assert config(objects, "iirp-otel-collector")["receivers"]["filelog/node"]["include"] == files
    volumes = agents(objects)["iirp-otel-collector"]["spec"]["template"]["spec"]["volumes"]
    mounted = [volume["hostPath"]["path"] for volume in volumes if volume["name"].startswith("node-logs")]
    assert mounted == ["/var/log"]
    assert "filelog/node" not in config(render(), "iirp-otel-collector")["receivers"]


def test_the_agent_scrapes_all_five_kinds_and_writes_with_a_fresh_token() -> None:
    agent = config(render(), "iirp-prometheus-agent")
    assert [job["job_name"] for job in agent["scrape_configs"]] == ["kubelet", "cadvisor", "node", "pods", "ingress"]
    (write,) = agent["remote_write"]
    assert write["url"] == "https://iirp.example.com:8443/prometheus/api/v1/write"
    assert write["authorization"] == {"credentials_file": "/var/run/secrets/iirp/token"}


def test_a_container_sampled_less_often_than_scraped_stays_alive() -> None:
    """With its own timestamps a repeated sample counts as out of order, and the series as gone until the next one."""
    agent = config(render(), "iirp-prometheus-agent")
    (cadvisor,) = [job for job in agent["scrape_configs"] if job["job_name"] == "cadvisor"]
    assert cadvisor["honor_timestamps"] is False


def test_one_value_changes_the_route() -> None:
    objects = render(telemetry={"metrics": {"route": "otlp"}})
    assert "iirp-prometheus-agent" not in agents(objects)
    assert agents(objects)["iirp-otel-metrics"]["spec"]["template"]["spec"]["serviceAccountName"] == "prometheus-agent"
    collector = config(objects, "iirp-otel-metrics")
    exporter = collector["exporters"]["otlphttp/prometheus"]
    assert exporter["metrics_endpoint"] == "https://iirp.example.com:8443/prometheus/api/v1/otlp/v1/metrics"
    scraped = collector["receivers"]["prometheus"]["config"]["scrape_configs"]
    pushed = config(render(), "iirp-prometheus-agent")["scrape_configs"]
    assert yaml.safe_dump(scraped).replace("$$", "$") == yaml.safe_dump(pushed)
    assert "$$1:$$2" in yaml.safe_dump(scraped)


@pytest.mark.parametrize(
    "telemetry", [{"metrics": {"route": "carrier-pigeon"}}, {"metrics": {"scrapeInterval": "often"}}]
)
def test_a_value_that_means_nothing_is_refused(telemetry: dict[str, Any]) -> None:
    done = run({"external": EXTERNAL, "telemetry": telemetry})
    assert done.returncode != 0
    assert "/telemetry/metrics/" in done.stderr
