"""Settings from the environment, validated once at start; a wrong one names the variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, ValidationError

PREFIX = "IIRP_"


class SettingsError(ValueError):
    """A variable is missing or wrong; the message has one line per variable."""


class Settings(BaseModel):
    """Each field is the environment variable ``IIRP_<FIELD>``; durations are seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    analysis_url: HttpUrl | None = None
    """Base URL of the gateway before the analysis server, for example https://iirp.example.com:8443."""
    token_file: Path = Path("/var/run/secrets/iirp/token")
    """Projected ServiceAccount token (audience iirp-external) or a static secret; re-read at each request."""
    ca_file: Path | None = None
    """CA of the external side. Unset: the system's CAs."""
    analysis_timeout: float = Field(default=30.0, gt=0, le=300)
    namespace: Annotated[str, StringConstraints(min_length=1)] = "iirp-system"
    """Where the platform itself runs; incidents of nodes and of the cluster live there."""
    cluster_name: Annotated[str, StringConstraints(min_length=1)] = "default"
    watch_namespaces: str = ""
    """Comma-separated; empty watches the whole cluster."""
    detect_interval: float = Field(default=5.0, gt=0, le=300)
    hold: float = Field(default=30.0, ge=0, le=3600)
    """A candidate must have been absent this long, with all sources healthy, before its incident counts as over."""
    reopen_window: float = Field(default=600.0, ge=0, le=86400)
    max_writes_per_minute: int = Field(default=60, ge=1, le=6000)
    """Writes (objects, statuses, events) of detection and incident together, three fifths and two fifths of it.

    What does not fit is written later, newest state only.
    """
    maintenance_windows: str = ""
    """JSON list of recurring times in which faults of some namespaces open no Incident: docs/silences.md."""
    verification_window: float = Field(default=300.0, gt=0, le=86400)
    verification_interval: float = Field(default=5.0, gt=0, le=300)
    verification_grace: float = Field(default=60.0, ge=0, le=3600)
    """After the window: how long an unreachable analysis server is asked again before ``Inconclusive``."""
    audit_dir: Path | None = None
    """Where decisions are recorded, one file per controller; unset: nowhere, and the start says so."""
    audit_segment_bytes: int = Field(default=64 << 20, ge=1 << 20)
    """Size at which a file of the record is sealed and another begun."""
    audit_segment_days: int = Field(default=30, ge=1, le=366)
    """Age at which it is, however small."""
    audit_retention_days: int = Field(default=1826, ge=0)
    """How long a sealed file stays, once its head is anchored outside; 0: for ever."""
    audit_anchor: str = ""
    """s3://bucket/prefix: where ``audit-anchor`` keeps the heads of the record."""
    argocd_namespace: Annotated[str, StringConstraints(min_length=1)] = "argocd"
    """Where Argo CD keeps its Applications, for those whose tracking-id names no namespace."""
    rollout_timeout: float = Field(default=600.0, gt=0, le=3600)
    mcp_port: int = Field(default=8082, ge=1, le=65535)
    mcp_url: HttpUrl | None = None
    """Address of the MCP endpoint as clients reach it; its host is accepted besides the Service's names."""
    mcp_audience: Annotated[str, StringConstraints(min_length=1)] = "iirp-mcp"
    """Audience that tokens shown to the MCP endpoint must be bound to."""
    mcp_issuer: HttpUrl = HttpUrl("https://kubernetes.default.svc")
    """Who issues the tokens, for the protected-resource metadata."""
    mcp_tls_dir: Path | None = None
    """Directory with tls.crt and tls.key, as a Secret of type kubernetes.io/tls is mounted; unset: plain HTTP."""
    mcp_calls_per_minute: int = Field(default=60, ge=1, le=6000)
    """Calls of one caller; asking for something to be done counts tenfold."""
    resync_interval: float = Field(default=30.0, gt=0, le=3600)
    workers: int = Field(default=4, ge=1, le=64)
    metrics_port: int = Field(default=8080, ge=0, le=65535)
    """0 disables."""
    health_port: int = Field(default=8081, ge=0, le=65535)
    """0 disables."""
    webhook_port: int = Field(default=8443, ge=1, le=65535)
    webhook_ca_dir: Path | None = None
    """Folder with ``tls.crt`` and ``tls.key`` of the CA that signs the webhook's certificate."""
    webhook_cert_dir: Path | None = None
    """The same of the serving certificate itself, when something else (cert-manager) issues it."""
    stuck_after: float = Field(default=300.0, gt=0)
    """Liveness goes bad when one reconcile has taken this long."""
    log_level: Annotated[str, StringConstraints(pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @property
    def detection_writes_per_minute(self) -> int:
        """Detection's part of ``max_writes_per_minute``."""
        return max(1, self.max_writes_per_minute * 3 // 5)

    @property
    def incident_writes_per_minute(self) -> int:
        """The incident controller's part of ``max_writes_per_minute``."""
        return max(1, self.max_writes_per_minute * 2 // 5)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Watched namespaces; empty means all."""
        return tuple(name.strip() for name in self.watch_namespaces.split(",") if name.strip())

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read ``IIRP_*``; empty values count as unset.

        Raises:
            SettingsError: a variable is wrong; names it and says why.
        """
        values = {
            key[len(PREFIX) :].lower(): value for key, value in environment.items() if key.startswith(PREFIX) and value
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors() if item["loc"]]
            raise SettingsError("; ".join(lines)) from error
