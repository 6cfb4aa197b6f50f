"""The parts of the external side: how each is started, and how one sees that it is ready."""

from __future__ import annotations

import hashlib
import ssl
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import yaml

from devcluster.processes import ProcessSpec
from external import programs
from external.credentials import intake_token
from external.layout import Layout, Ports
from external.objectstore import Keys
from external.render import Places, render, write
from external.settings import Settings

__all__ = ["ORDER", "Part", "Site", "answers", "build", "loopback"]

ORDER = ("s3", "prometheus", "loki", "analysis", "gateway")
"""In the order of starting; stopped in reverse."""

_PROBE_TIMEOUT = 3.0
_ANALYSIS_SOURCES = ("analysis", "crds", "config")
# Seconds. Loki replays its write-ahead log before it is ready, which takes its time when that is large.
_START_TIMEOUTS = {"s3": 60.0, "prometheus": 120.0, "loki": 180.0, "analysis": 90.0, "gateway": 20.0}


@dataclass(frozen=True, slots=True)
class Part:
    """A process, where it answers on this machine, and how one sees that it is ready."""

    spec: ProcessSpec
    address: str
    ready: Callable[[], bool]
    timeout: float


@dataclass(frozen=True, slots=True)
class Site:
    """All that a part's command and configuration depend on."""

    layout: Layout
    ports: Ports
    settings: Settings
    places: Places
    keys: Keys
    say: Callable[[str], None] = lambda _: None


def _s3(site: Site) -> ProcessSpec:
    """SeaweedFS: master, volume, filer and S3 in one process, all on loopback."""
    data = site.layout.data("s3")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = site.layout.config / "s3.json"
    digest = write(config, render("s3.json.j2", site.places, site.settings, keys=site.keys))
    # Port names of this project to flags of `weed server`.
    flags = {
        "s3": "s3.port", "s3-grpc": "s3.port.grpc", "s3-iceberg": "s3.port.iceberg", "s3-lance": "s3.port.lance",
        "filer": "filer.port", "filer-grpc": "filer.port.grpc",
        "master": "master.port", "master-grpc": "master.port.grpc",
        "volume": "volume.port", "volume-grpc": "volume.port.grpc",
    }  # fmt: skip
    argv = [
        str(programs.find_weed()), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-s3", f"-s3.config={config}",
        # Volumes grow as needed up to this size; the default of 30 GB each suits servers.
        "-master.volumeSizeLimitMB=1024", "-volume.max=0", "-master.telemetry=false", "-volume.minFreeSpace=1",
        *(f"-{flag}={site.ports[name]}" for name, flag in flags.items()),
    ]  # fmt: skip
    return _spec(site, "s3", argv, digest)


def _prometheus(site: Site) -> ProcessSpec:
    """Prometheus as a receiver: remote write and OTLP in, PromQL out."""
    intake_token(site.layout.intake_token)
    config = site.layout.config / "prometheus.yml"
    digest = write(config, render("prometheus.yml.j2", site.places, site.settings))
    argv = [
        str(programs.prometheus()), f"--config.file={config}",
        f"--storage.tsdb.path={site.layout.data('prometheus')}",
        f"--storage.tsdb.retention.time={site.settings.metrics.retention_days}d",
        f"--web.listen-address=127.0.0.1:{site.ports['prometheus']}", "--web.enable-remote-write-receiver",
        "--web.enable-otlp-receiver", "--query.timeout=60s", "--log.level=warn",
    ]  # fmt: skip
    return _spec(site, "prometheus", argv, digest)


def _loki(site: Site) -> ProcessSpec:
    """Loki, all targets in one process."""
    site.layout.data("loki").mkdir(parents=True, exist_ok=True, mode=0o700)
    config = site.layout.config / "loki.yaml"
    digest = write(config, render("loki.yaml.j2", site.places, site.settings))
    argv = [str(programs.loki()), "-target=all", f"-config.file={config}", "-config.expand-env=true"]
    keys = {
        "IIRP_S3_ACCESS_KEY_ID": site.keys.access_key_id,
        "IIRP_S3_SECRET_ACCESS_KEY": site.keys.secret_access_key,
    }
    return _spec(site, "loki", argv, digest, keys)


def _analysis(site: Site) -> ProcessSpec:
    """The analysis server, from the source tree or installation that this command runs from."""
    places = {
        "host": "127.0.0.1",
        "port": site.ports["analysis"],
        "prometheus": f"http://{site.places.upstream['prometheus']}",
        "loki": f"http://{site.places.upstream['loki']}",
        "kubeconfig": str(site.layout.kubeconfig),
        "state": str(site.layout.data("analysis")),
    }
    rendered = yaml.safe_load(render("analysis.yaml.j2", site.places, site.settings, analysis=places))
    config = site.layout.config / "analysis.yaml"
    digest = write(config, yaml.safe_dump(_merged(rendered, site.settings.analysis), sort_keys=False))
    intake_token(site.layout.intake_token)
    source = Path(__file__).parent.parent
    argv = [sys.executable, "-m", "analysis", "--config", str(config)]
    env = {"PYTHONPATH": str(source), "PYTHONUNBUFFERED": "1"}
    return _spec(site, "analysis", argv, f"{digest}-{_source_digest(source)}", env)


def _gateway(site: Site) -> ProcessSpec:
    """nginx: TLS, the named paths, and the question who may."""
    run = Path(site.places.gateway["run"])
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = site.layout.config / "gateway.conf"
    digest = write(config, render("gateway.conf.j2", site.places, site.settings))
    argv = [str(programs.nginx(site.say)), "-p", str(run), "-c", str(config), "-e", "stderr", "-g", "daemon off;"]
    return _spec(site, "gateway", argv, digest)


def _spec(site: Site, name: str, argv: list[str], digest: str, env: Mapping[str, str] | None = None) -> ProcessSpec:
    # The digest makes a changed file a changed command: `ensure` restarts what runs with an older one.
    return ProcessSpec(name, argv, {**(env or {}), "IIRP_CONFIG_DIGEST": digest}, cwd=str(site.layout.folder))


_BUILDERS: Mapping[str, Callable[[Site], ProcessSpec]] = {
    "s3": _s3,
    "prometheus": _prometheus,
    "loki": _loki,
    "analysis": _analysis,
    "gateway": _gateway,
}


def build(name: str, site: Site) -> Part:
    """The part of that name; its configuration files are written."""
    address, ready = loopback(name, site.ports, site.layout.ca)
    return Part(_BUILDERS[name](site), address, ready, _START_TIMEOUTS[name])


def loopback(name: str, ports: Ports, ca: Path) -> tuple[str, Callable[[], bool]]:
    """Where a part is on this machine, and how one sees that it is ready."""
    if name == "gateway":
        address = f"https://127.0.0.1:{ports[name]}"
        return address, lambda: answers(f"{address}/gateway/healthz", ca=ca)
    address = f"http://127.0.0.1:{ports[name]}"
    path = {"prometheus": "/-/ready", "loki": "/ready", "analysis": "/healthz", "s3": "/"}[name]
    return address, lambda: answers(f"{address}{path}", any_status=name == "s3")


def answers(url: str, ca: Path | None = None, any_status: bool = False) -> bool:
    """Whether a GET is answered with 200 (or at all)."""
    try:
        context = ssl.create_default_context(cafile=str(ca)) if ca else None
        with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT, context=context) as response:  # noqa: S310 - our own addresses
            return any_status or response.status == 200
    except HTTPError:
        return any_status
    except (URLError, OSError, ssl.SSLError):
        return False


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _source_digest(source: Path) -> str:
    """Changes when the server's code, types, rules or templates do, so that `up` after an update restarts it."""
    digest = hashlib.sha256()
    for folder in _ANALYSIS_SOURCES:
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:8]
