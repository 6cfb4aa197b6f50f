"""The configuration files: complete, without secrets where there should be none, and with a lock on every door."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from analysis.auth.access import find_route, usernames
from analysis.config import Kubernetes, Web
from analysis.kube import ApiServer
from analysis.web.pages import install
from external.layout import PORTS, Layout
from external.objectstore import Keys
from external.render import Places, local_places, render, write
from external.settings import Settings, load

GATEWAY = {"addresses": ["127.0.0.1", "10.0.0.1"], "port": 8443, "certificate": "/c", "key": "/k"}
ANALYSIS = {
    "host": "127.0.0.1",
    "port": 1,
    "prometheus": "http://p",
    "loki": "http://l",
    "state": "/state",
    "kubeconfig": "/kube",
}


def places(settings: Settings | None = None, tmp: Path = Path("/nowhere")) -> Places:
    ports = {name: 1000 + number for number, name in enumerate(PORTS)}
    return local_places(Layout.of("one", tmp), ports, settings or Settings(), GATEWAY)


def loki(text: str = "") -> dict[str, Any]:
    settings = load(text)
    rendered: dict[str, Any] = yaml.safe_load(render("loki.yaml.j2", places(settings), settings))
    return rendered


def test_loki_keeps_its_index_and_chunks_in_s3() -> None:
    config = loki()
    (period,) = config["schema_config"]["configs"]
    assert (period["store"], period["schema"], period["object_store"]) == ("tsdb", "v13", "s3")
    assert config["common"]["storage"]["s3"]["s3forcepathstyle"] is True
    assert config["compactor"]["retention_enabled"] is True
    assert config["compactor"]["delete_request_store"] == "s3"
    assert config["ingester"]["wal"]["enabled"] is True


def test_retention_and_what_hot_means() -> None:
    config = loki("logs: {retentionDays: 30, hotDays: 7}")
    assert config["limits_config"]["retention_period"] == "720h"
    assert config["limits_config"]["reject_old_samples_max_age"] == "720h"
    assert config["storage_config"]["tsdb_shipper"]["query_ready_num_days"] == 7
    assert config["chunk_store_config"]["skip_query_writeback_cache_older_than"] == "168h"


def test_keys_of_the_store_are_not_in_lokis_file() -> None:
    s3 = loki("objectStore: {endpoint: 'https://fra1.digitaloceanspaces.com', region: fra1}")["common"]["storage"]["s3"]
    assert s3["endpoint"] == "fra1.digitaloceanspaces.com"
    assert s3["insecure"] is False
    assert s3["access_key_id"] == "${IIRP_S3_ACCESS_KEY_ID}"
    assert s3["secret_access_key"] == "${IIRP_S3_SECRET_ACCESS_KEY}"


def test_stream_labels_are_few_and_bounded() -> None:
    rules = loki()["limits_config"]["otlp_config"]["resource_attributes"]
    assert rules["ignore_defaults"] is True
    (labels,) = [rule["attributes"] for rule in rules["attributes_config"] if rule["action"] == "index_label"]
    assert "k8s.namespace.name" in labels
    # One per container or fewer; a uid or a restart count would make a stream per life.
    assert not {"k8s.pod.uid", "container.id", "service.instance.id"} & set(labels)


def test_s3_identities_survive_any_key() -> None:
    keys = Keys('a"b\\c', "d\ne")
    identities = json.loads(render("s3.json.j2", places(), Settings(), keys=keys))["identities"]
    assert identities[0]["credentials"] == [{"accessKey": 'a"b\\c', "secretKey": "d\ne"}]


def locations() -> dict[str, str]:
    text = render("gateway.conf.j2", places(), Settings())
    found = re.findall(r"^        location ([^{\n]+(?:\{[^}\n]*\}[^{\n]*)*) \{\n(.*?)^        \}", text, re.M | re.S)
    return {name.strip(): body for name, body in found}


# Answered without a token: the page signs people in, /v1 verifies by itself, the rest serves nothing.
OPEN = ("= /gateway/healthz", "= /gateway/auth", "@unavailable", "~ ^/v1/", "~ ^/(|login|")


def test_every_way_to_data_asks_who_it_is() -> None:
    bodies = {name: body for name, body in locations().items() if "proxy_pass" in body}
    assert len(bodies) >= 8
    for name, body in bodies.items():
        if not name.startswith(OPEN):
            assert "auth_request /gateway/auth;" in body, name
            assert "set $iirp_path $uri;" in body, name


def test_inner_locations_are_internal_and_the_rest_is_not_there() -> None:
    found = locations()
    assert "internal;" in found["= /gateway/auth"]
    assert "internal;" in found["@unavailable"]
    assert "location / { return 404; }" in render("gateway.conf.j2", places(), Settings())


@pytest.mark.parametrize(
    "path", ["/v1/write", "/prometheus/api/v1/write", "/prometheus/api/v1/otlp/v1/metrics", "/otlp/v1/logs"]
)
def test_what_agents_would_drop_for_is_answered_with_503(path: str) -> None:
    assert "error_page 500 502 504 =503 @unavailable;" in locations()[f"= {path}"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/prometheus/api/v1/write"),
        ("POST", "/prometheus/api/v1/otlp/v1/metrics"),
        ("GET", "/prometheus/api/v1/query_range"),
        ("POST", "/otlp/v1/logs"),
        ("GET", "/loki/api/v1/query_range"),
        ("GET", "/loki/api/v1/tail"),
        ("POST", "/v1/detect"),
        ("POST", "/v1/write"),
        ("GET", "/"),
        ("GET", "/incidents/shop/payments-leak"),
        ("POST", "/login"),
    ],
)
def test_gateway_and_access_table_name_the_same_paths(method: str, path: str) -> None:
    assert find_route(method, path) is not None
    exact, patterns = f"= {path}", [name[2:].strip() for name in locations() if name.startswith("~ ")]
    assert exact in locations() or any(re.match(pattern, path) for pattern in patterns)


class Included(FastAPI):
    """Notes the routes of each router that is installed."""

    def include_router(self, router: APIRouter, **options: Any) -> None:
        self.found = [*getattr(self, "found", ()), *(one for one in router.routes if isinstance(one, APIRoute))]


def test_the_gateway_lets_every_page_through() -> None:
    (page,) = [name[2:].strip() for name in locations() if "incidents/.*" in name]
    app = Included()
    install(app, Web(), ApiServer(Kubernetes(server="https://10.0.0.1")))
    paths = {re.sub(r"{.*?}", "x", route.path) for route in app.found}
    assert {"/", "/policies", "/incidents/x/x/modify/x"} <= paths
    assert [path for path in paths if not re.match(page, path)] == []


def test_prometheus_takes_late_samples_and_knows_its_neighbours() -> None:
    config = yaml.safe_load(render("prometheus.yml.j2", places(), load("metrics: {outOfOrder: 4h}")))
    assert config["storage"]["tsdb"]["out_of_order_time_window"] == "4h"
    assert len(config["scrape_configs"][0]["static_configs"]) == 3


def test_analysis_reads_on_loopback_and_holds_one_credential() -> None:
    config = yaml.safe_load(render("analysis.yaml.j2", places(), Settings(), analysis=ANALYSIS))
    assert config["kubernetes"] == {"kubeconfig": "/kube"}
    assert config["auth"]["audience"] == "iirp-external"


@pytest.mark.parametrize(("mode", "writes"), [("receive", True), ("pull", False), ("off", False)])
def test_prometheus_writes_on_to_an_analysis_server_that_receives(mode: str, writes: bool) -> None:
    settings = load(f"analysis: {{intake: {{mode: {mode}}}}}")
    prometheus = yaml.safe_load(render("prometheus.yml.j2", places(settings), settings))
    analysis = yaml.safe_load(render("analysis.yaml.j2", places(settings), settings, analysis=ANALYSIS))
    assert ("remote_write" in prometheus) is writes
    assert ("static" in analysis["auth"]) is writes
    if writes:
        (target,) = prometheus["remote_write"]
        assert target["url"].startswith("http://127.0.0.1:")
        (caller,) = analysis["auth"]["static"]
        assert caller["secretFile"] == target["authorization"]["credentials_file"]
        assert caller["username"] in usernames(find_route("POST", "/v1/write"), "iirp-system")


def test_a_written_file_is_private_and_its_digest_follows_its_content(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    first = write(path, "a")
    assert path.stat().st_mode & 0o777 == 0o600
    assert write(path, "a") == first != write(path, "b")
    assert [item.name for item in path.parent.iterdir()] == ["file"]
