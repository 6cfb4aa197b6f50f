"""What the external side does before anything runs, and how a part's command depends on its configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from external import programs, services
from external.compose import write_project
from external.errors import ExternalError
from external.layout import PORTS, Layout
from external.objectstore import Keys
from external.plane import ExternalPlane
from external.render import local_places
from external.services import ORDER, Site, build
from external.settings import Settings, load

source_digest = services._source_digest


@pytest.fixture(autouse=True)
def found_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands are formed, not run."""
    for name in ("find_weed", "loki", "prometheus"):
        monkeypatch.setattr(programs, name, lambda name=name: Path("/bin") / name)
    monkeypatch.setattr(programs, "nginx", lambda _: Path("/bin/nginx"))
    monkeypatch.setattr(services, "_source_digest", lambda _: "")


def site(tmp_path: Path, settings: Settings | None = None) -> Site:
    chosen = settings or Settings()
    layout = Layout.of("one", tmp_path)
    ports = {name: 1000 + number for number, name in enumerate(PORTS)}
    gateway = {"addresses": ["127.0.0.1"], "port": 1, "certificate": "/c", "key": "/k"}
    return Site(layout, ports, chosen, local_places(layout, ports, chosen, gateway), Keys("id", "key"))


def test_before_up_everything_is_stopped_and_urls_say_what_to_do(tmp_path: Path) -> None:
    plane = ExternalPlane("one", root=tmp_path)
    assert [(part.name, part.state) for part in plane.status()] == [(name, "Stopped") for name in ORDER]
    with pytest.raises(ExternalError, match="iirp external up --name one"):
        _ = plane.urls
    assert plane.credential_expiry() is None
    plane.down(delete_data=True)  # nothing to do, nothing to fail


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match="no part 'grafana'; there are s3, prometheus"):
        ExternalPlane("one", root=tmp_path).stop("grafana")


def test_pods_get_the_address_that_is_not_loopback(tmp_path: Path) -> None:
    plane = ExternalPlane("one", root=tmp_path)
    plane.layout.choose_ports(())
    plane.layout.settings.write_text("gateway: {addresses: [127.0.0.1, 10.64.0.1]}")
    port = plane.layout.ports()["gateway"]
    assert plane.urls.gateway == f"https://10.64.0.1:{port}"
    assert plane.urls.local_gateway == f"https://127.0.0.1:{port}"


@pytest.mark.parametrize("name", ORDER)
def test_everything_but_the_gateway_listens_on_loopback(tmp_path: Path, name: str) -> None:
    text = " ".join(build(name, site(tmp_path)).spec.argv)
    for path in (site(tmp_path).layout.config).iterdir():
        text += path.read_text() if path.name.startswith(name) else ""
    assert "0.0.0.0" not in text


@pytest.mark.parametrize("name", ["loki", "prometheus", "analysis", "gateway", "s3"])
def test_the_same_settings_give_the_same_command(tmp_path: Path, name: str) -> None:
    first = build(name, site(tmp_path)).spec.digest()
    assert build(name, site(tmp_path)).spec.digest() == first


def test_a_changed_file_is_a_changed_command(tmp_path: Path) -> None:
    before = build("loki", site(tmp_path)).spec.digest()
    assert build("loki", site(tmp_path, load("logs: {retentionDays: 14}"))).spec.digest() != before


def test_secrets_are_not_on_the_command_line(tmp_path: Path) -> None:
    for name in ORDER:
        assert "key" not in build(name, site(tmp_path)).spec.argv


def test_the_analysis_section_is_passed_on(tmp_path: Path) -> None:
    chosen = load("analysis: {model: {baseUrl: 'http://m/v1', model: x}, auth: {cacheSeconds: 5}}")
    build("analysis", site(tmp_path, chosen))
    config = yaml.safe_load((site(tmp_path).layout.config / "analysis.yaml").read_text())
    assert config["model"] == {"baseUrl": "http://m/v1", "model": "x"}
    assert config["auth"]["cacheSeconds"] == 5
    assert config["auth"]["audience"] == "iirp-external"


def test_another_store_is_not_started_here(tmp_path: Path) -> None:
    plane = ExternalPlane("one", root=tmp_path)
    plane.layout.choose_ports(())
    plane.layout.settings.write_text("objectStore: {endpoint: 'https://fra1.digitaloceanspaces.com'}")
    assert plane.status()[0].state == "External"
    with pytest.raises(ExternalError, match="not started here"):
        plane.part("s3")


def test_compose_project_is_complete_and_keeps_its_keys(tmp_path: Path) -> None:
    write_project(tmp_path, "one", Settings(), ["iirp.example.org"])
    first = (tmp_path / ".env").read_text()
    write_project(tmp_path, "one", Settings(), ["iirp.example.org"])
    assert (tmp_path / ".env").read_text() == first
    project = yaml.safe_load((tmp_path / "compose.yaml").read_text())
    mounted = [
        volume.split(":")[0]
        for service in project["services"].values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]
    assert mounted
    assert all((tmp_path / path).exists() for path in mounted)
    assert [name for name, service in project["services"].items() if "ports" in service] == ["gateway"]
    key = json.loads((tmp_path / "config" / "s3.json").read_text())["identities"][0]["credentials"][0]["secretKey"]
    assert key in first


def test_compose_with_another_store_starts_none(tmp_path: Path) -> None:
    write_project(tmp_path, "one", load("objectStore: {endpoint: 'https://fra1.digitaloceanspaces.com'}"))
    assert "COMPOSE_PROFILES=\n" in (tmp_path / ".env").read_text()
    assert "CHANGE-ME" in (tmp_path / ".env").read_text()


def test_changed_code_types_or_rules_restart_the_analysis_server(tmp_path: Path) -> None:
    seen = {source_digest(tmp_path)}
    for file in ("analysis/a.py", "analysis/web/b.html", "crds/c.py", "config/rules/d.yaml"):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
        seen.add(source_digest(tmp_path))
    (tmp_path / "analysis" / "__pycache__").mkdir()
    (tmp_path / "analysis" / "__pycache__" / "a.pyc").write_text("x")
    seen.add(source_digest(tmp_path))
    assert len(seen) == 5
