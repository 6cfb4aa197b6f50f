"""Writes the external side as a Docker Compose project: the same templates, other places."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from devcluster.pki import Authority, Identity
from external.errors import ExternalError
from external.objectstore import Keys
from external.render import Places, intake_place, render, store_place, write
from external.settings import Settings

__all__ = ["write_project"]

_PORT = 8443
_ENDPOINT = "http://s3:8333"


def write_project(folder: Path, name: str, settings: Settings, hosts: Sequence[str] = ()) -> None:
    """Fills `folder` with compose.yaml, config/, tls/, .env; keys and certificates that are there already stay."""
    endpoint = settings.object_store.endpoint or _ENDPOINT
    places = _places(name, endpoint, settings)
    keys = _keys(folder / ".env", settings)
    config = folder / "config"
    for template, more in (
        ("loki.yaml.j2", {}),
        ("prometheus.yml.j2", {}),
        ("gateway.conf.j2", {}),
        ("s3.json.j2", {"keys": keys}),
        ("analysis.yaml.j2", {"analysis": _ANALYSIS}),
    ):
        # Readable by the containers' users; keys are in .env and s3.json only.
        mode = 0o640 if template == "s3.json.j2" else 0o644
        write(config / template.removesuffix(".j2"), render(template, places, settings, **more), mode)
    write(folder / "compose.yaml", Path(__file__).with_name("compose.yaml").read_text(), 0o644)
    token = config / "intake.token"
    if not token.is_file():
        # Read by two containers' users; the folder around it is this user's alone.
        write(token, secrets.token_urlsafe(32) + "\n", 0o644)
    (folder / "credentials").mkdir(exist_ok=True, mode=0o755)
    names = list(
        dict.fromkeys([*hosts, *settings.gateway.addresses, *settings.gateway.names, "localhost", "127.0.0.1"])
    )
    Authority(folder / "tls", "ca").issue("gateway", Identity("iirp-gateway", hosts=names, client=False))
    environment = {
        "IIRP_S3_ACCESS_KEY_ID": keys.access_key_id,
        "IIRP_S3_SECRET_ACCESS_KEY": keys.secret_access_key,
        "IIRP_S3_BUCKET": settings.object_store.bucket,
        "COMPOSE_PROFILES": "s3" if settings.object_store.embedded else "",
        "IIRP_GATEWAY_PORT": str(settings.gateway.port or _PORT),
        "IIRP_METRICS_RETENTION": f"{settings.metrics.retention_days}d",
    }
    write(folder / ".env", "".join(f"{key}={value}\n" for key, value in environment.items()))


_ANALYSIS = {
    "host": "0.0.0.0",  # noqa: S104 - inside the project's network
    "port": 8090,
    "prometheus": "http://prometheus:9090",
    "loki": "http://loki:3100",
    "state": "/var/lib/iirp",
    "kubeconfig": "/etc/iirp/credentials/tokenreview.kubeconfig",
}


def _places(name: str, endpoint: str, settings: Settings) -> Places:
    anywhere = "0.0.0.0"  # noqa: S104 - inside the project's network
    return Places(
        cluster=name,
        loki={"address": anywhere, "advertise": "127.0.0.1", "port": 3100, "grpc_port": 9095, "data": "/loki"},
        store=store_place(endpoint, settings),
        gateway={
            "run": "/run/iirp",
            "user": "nginx",
            "addresses": [anywhere],
            "port": _PORT,
            "certificate": "/etc/iirp/tls/gateway.crt",
            "key": "/etc/iirp/tls/gateway.key",
        },
        upstream={"analysis": "analysis:8090", "prometheus": "prometheus:9090", "loki": "loki:3100"},
        intake=intake_place("/etc/iirp/intake.token", settings),
        scrape={"prometheus": "localhost:9090", "loki": "loki:3100", "analysis": "analysis:8090"},
    )


def _keys(env_file: Path, settings: Settings) -> Keys:
    """Those of an earlier run, else new ones for the built-in store; for another one the user fills them in."""
    if env_file.exists():
        held = dict(line.split("=", 1) for line in env_file.read_text().splitlines() if "=" in line)
        try:
            return Keys(held["IIRP_S3_ACCESS_KEY_ID"], held["IIRP_S3_SECRET_ACCESS_KEY"])
        except KeyError as error:
            raise ExternalError(f"{env_file} has no {error}") from error
    if not settings.object_store.embedded:
        return Keys("CHANGE-ME", "CHANGE-ME")
    return Keys(f"iirp{secrets.token_hex(8)}", secrets.token_urlsafe(32))
