"""What a person may choose about the external side: a YAML file, validated; unknown keys are errors.

Keys are camelCase like Helm values. Secrets are never written in the file: it names where they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from external.errors import ExternalError

__all__ = ["Gateway", "Logs", "Metrics", "ObjectStore", "Settings", "load"]

_DURATION = re.compile(r"^([0-9]+(ms|s|m|h))+$")


def _duration(value: str) -> str:
    if not _DURATION.match(value):
        raise ValueError(f"{value!r} is no duration such as 90s, 10m or 2h")
    return value


Duration = Annotated[str, AfterValidator(_duration)]


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class ObjectStore(_Section):
    """Where Loki keeps chunks and index. Without an endpoint, a SeaweedFS is started on loopback."""

    endpoint: str = Field(default="", pattern=r"^(https?://[^\s/]+)?/?$")
    """For example https://fra1.digitaloceanspaces.com; empty: the built-in server."""
    region: str = Field(default="us-east-1", min_length=1, max_length=64)
    bucket: str = Field(default="iirp-logs", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    create_bucket: bool = True
    secret: str = Field(default="", pattern=r"^([a-z0-9.-]+/[a-z0-9.-]+)?$")
    """namespace/name of a Secret with the keys accessKeyId and secretAccessKey, read with the cluster's kubeconfig."""
    credentials_dir: Path | None = None
    """A folder with the files accessKeyId and secretAccessKey: how a Secret looks when it is mounted."""

    @property
    def embedded(self) -> bool:
        """Whether the built-in S3 server is used."""
        return not self.endpoint


class Logs(_Section):
    """How long log lines are kept and how. See docs/telemetry.md for what hot and cold mean here."""

    retention_days: int = Field(default=30, ge=1, le=3650)
    hot_days: int = Field(default=7, ge=0, le=3650)
    """Index files of so many days stay on the local disk, and chunks so young are cached."""
    chunk_cache_mb: int = Field(default=256, ge=0)
    chunk_encoding: str = Field(default="snappy", pattern="^(snappy|zstd)$")
    chunk_idle: Duration = "10m"
    compaction_interval: Duration = "10m"
    delete_delay: Duration = "2h"
    """How long after its retention a chunk still lies in the bucket: readers may hold the old index."""
    accept_older_than_retention: bool = False
    """Accept lines that are past retention already; only for restoring and for testing retention."""

    @model_validator(mode="after")
    def _hot_within_cold(self) -> Self:
        if self.hot_days > self.retention_days:
            raise ValueError(f"hotDays ({self.hot_days}) exceeds retentionDays ({self.retention_days})")
        return self


class Metrics(_Section):
    """How long samples are kept, and how late they may come (agents catch up after an outage)."""

    retention_days: int = Field(default=30, ge=1, le=3650)
    out_of_order: Duration = "2h"


class Gateway(_Section):
    """Where the cluster reaches the external side. 127.0.0.1 is always among the addresses."""

    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Further host names for the certificate."""
    port: int = Field(default=0, ge=0, le=65535)
    """0: a free one, chosen once and kept."""


class Settings(_Section):
    """All of it. `analysis` is passed on into the analysis server's own configuration file."""

    object_store: ObjectStore = ObjectStore()
    logs: Logs = Logs()
    metrics: Metrics = Metrics()
    gateway: Gateway = Gateway()
    analysis: dict[str, Any] = Field(default_factory=dict)


def read(path: Path) -> Settings:
    """Settings of a YAML file.

    Raises:
        FileNotFoundError: it is not there.
        ExternalError: it cannot be read or used; one line, which names every wrong field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ExternalError(f"{path} is not UTF-8 text: {error}") from error
    return load(text, str(path))


def load(text: str, source: str = "settings") -> Settings:
    """Settings from YAML; raises ExternalError with one line per wrong field."""
    try:
        return Settings.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise ExternalError(f"{source} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc'])) or '(top)'}: {item['msg']}" for item in error.errors()]
        raise ExternalError(f"{source}: " + "; ".join(lines)) from error
