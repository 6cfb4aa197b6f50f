"""Renders the configuration files. The same templates serve local processes and compose.yaml; only places differ."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2
import yaml

from external.layout import Layout, Ports
from external.settings import Settings

__all__ = ["Places", "local_places", "render", "write"]

_TEMPLATES = Path(__file__).parent / "config"


@dataclass(frozen=True, slots=True)
class Places:
    """Where parts find each other and their files."""

    cluster: str
    loki: Mapping[str, Any]
    store: Mapping[str, Any]
    gateway: Mapping[str, Any]
    upstream: Mapping[str, str]
    scrape: Mapping[str, str] = field(default_factory=dict)
    intake: Mapping[str, Any] = field(default_factory=lambda: {"receive": False, "token": ""})
    """Whether Prometheus writes on to the analysis server, and the file with the secret that both know."""


def local_places(layout: Layout, ports: Ports, settings: Settings, gateway: Mapping[str, Any]) -> Places:
    """Everything on this machine: loopback, files below the layout's folder."""
    addresses = {name: f"127.0.0.1:{ports[name]}" for name in ("analysis", "prometheus", "loki", "s3")}
    endpoint = settings.object_store.endpoint or f"http://{addresses['s3']}"
    return Places(
        cluster=layout.name,
        loki={
            "address": "127.0.0.1",
            "advertise": "127.0.0.1",
            "port": ports["loki"],
            "grpc_port": ports["loki-grpc"],
            "data": str(layout.data("loki")),
        },
        store=store_place(endpoint, settings),
        gateway={"run": str(layout.folder / "gateway"), "user": "root" if os.geteuid() == 0 else "", **gateway},
        upstream={name: addresses[name] for name in ("analysis", "prometheus", "loki")},
        scrape={name: addresses[name] for name in ("prometheus", "loki", "analysis")},
        intake=intake_place(str(layout.intake_token), settings),
    )


def intake_place(token: str, settings: Settings) -> dict[str, Any]:
    """Samples go on to the analysis server unless its settings say that it pulls them, or keeps none."""
    intake = settings.analysis.get("intake")
    mode = intake.get("mode", "receive") if isinstance(intake, dict) else "receive"
    return {"receive": mode == "receive", "token": token}


def store_place(endpoint: str, settings: Settings) -> dict[str, Any]:
    """What Loki is told of the object store; keys come by environment."""
    parts = urlsplit(endpoint)
    return {
        "host": parts.netloc,
        "insecure": parts.scheme == "http",
        "region": settings.object_store.region,
        "bucket": settings.object_store.bucket,
    }


def render(template: str, places: Places, settings: Settings, **more: Any) -> str:
    """The text of one file of config/. Undefined names are errors."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, from validated settings; no HTML
    )
    context = {field.name: getattr(places, field.name) for field in fields(places)}
    context |= {"logs": settings.logs, "metrics": settings.metrics, **more}
    text = environment.get_template(template).render(context)
    if template.endswith((".yaml.j2", ".yml.j2", ".json.j2")):
        yaml.safe_load(text)  # a broken file is our fault and must not reach a program
    return text


def write(path: Path, text: str, mode: int = 0o600) -> str:
    """Replaces the file in one step; returns a digest, so that a process restarts when its file has changed."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    temporary.replace(path)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
