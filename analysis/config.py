"""Configuration of the analysis server: one YAML file, validated, unknown keys refused."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from analysis.configfile import ConfigError, describe

DATA_ROOT = Path(__file__).resolve().parent.parent / "config"
"""Rules and causes that are shipped beside the package."""

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$")]


class Section(BaseModel):
    """Base: camelCase keys, immutable, unknown keys are errors."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Tls(Section):
    """A certificate with its chain, and its key (PEM). Replaced files are taken within a minute."""

    cert_file: Path
    key_file: Path


class Listen(Section):
    """Where the server listens. Loopback: the gateway stands in front; otherwise give it TLS of its own."""

    host: str = "127.0.0.1"
    port: int = Field(default=8090, ge=1, le=65535)
    tls: Tls | None = None


class Endpoint(Section):
    """A PromQL or LogQL service."""

    url: HttpUrl
    timeout_seconds: float = Field(default=5, gt=0, le=60)


class ClusterLabels(Section):
    """The labels that tell clusters apart in stores that hold several; the chart's agents set both of these."""

    metrics: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = "cluster"
    logs: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = "k8s_cluster_name"


class Kubernetes(Section):
    """The API server: for TokenReview with our credential, for the page with each person's own.

    The files may be absent at start and may be replaced: they are re-read when they change.
    """

    kubeconfig: Path | None = None
    server: HttpUrl | None = None
    ca_file: Path | None = None
    token_file: Path | None = None
    timeout_seconds: float = Field(default=5, gt=0, le=60)

    @model_validator(mode="after")
    def _one_way(self) -> Kubernetes:
        if (self.kubeconfig is None) == (self.server is None):
            raise ValueError("set either kubeconfig or server (with caFile and tokenFile)")
        return self


class StaticCaller(Section):
    """A caller that shows a shared secret instead of a ServiceAccount token."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    secret_file: Path


class Auth(Section):
    """Who may call. Usernames per path stand in ``analysis.auth.access``."""

    platform_namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = (
        "iirp-system"
    )
    audience: Annotated[str, StringConstraints(min_length=1, max_length=253)] = "iirp-external"
    cache_seconds: float = Field(default=30, ge=0, le=300)
    cache_entries: int = Field(default=1024, ge=16, le=65536)
    static: tuple[StaticCaller, ...] = ()


class Directory(Section):
    """A folder of YAML data."""

    directory: Path


class Intake(Section):
    """Samples in memory, so that detection does not ask the metrics store every few seconds."""

    mode: Annotated[str, StringConstraints(pattern=r"^(receive|pull|off)$")] = "receive"
    """``receive``: remote_write at ``/v1/write``; ``pull``: short queries, for stores that cannot write; ``off``."""
    max_series: int = Field(default=200_000, ge=100, le=5_000_000)
    """Of the metrics that detection reads; others take no room."""
    step_seconds: float = Field(default=5, ge=1, le=60)
    """Resolution: the scrape interval, or a divisor of it."""
    scrape_seconds: float = Field(default=15, ge=1, le=120)
    """Longest scrape interval of the agents: a metric that has not come for two of them is asked for."""
    pull_seconds: float = Field(default=10, ge=2, le=300)


class Dask(Section):
    """A Dask scheduler whose workers train. It may run code on this server: off this machine it has to show TLS."""

    scheduler: Annotated[str, StringConstraints(pattern=r"^(tcp|tls)://[^\s/@]+:\d{1,5}$")]
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    connect_seconds: float = Field(default=5, gt=0, le=60)
    timeout_seconds: float = Field(default=600, gt=0, le=7200)
    """Of a whole training; after it this machine trains alone."""
    workloads_per_task: int = Field(default=50, ge=1, le=1000)
    tasks_at_once: int = Field(default=16, ge=1, le=1000)

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        secure, files = self.scheduler.startswith("tls:"), (self.ca_file, self.cert_file, self.key_file)
        if secure and not all(files):
            raise ValueError("tls:// needs caFile, certFile and keyFile")
        if not secure and any(files):
            raise ValueError("caFile, certFile and keyFile are for tls://")
        if not secure and not re.match(r"tcp://(localhost|127\.\d+\.\d+\.\d+|\[::1\]):", self.scheduler):
            raise ValueError("tcp:// is for schedulers on this machine: use tls://")
        return self


class Baselines(Section):
    """What is learned of workloads: ``config/baselines``."""

    enabled: bool = True
    directory: Path = DATA_ROOT / "baselines"
    timeout_seconds: float = Field(default=60, gt=0, le=600)
    """Of a query over the whole history."""
    dask: Dask | None = None
    """Unset: this machine trains alone."""


class LogBursts(Section):
    """New kinds of error lines, as evidence beside other signals."""

    enabled: bool = True


class ModelBudget(Section):
    """What the model may cost. A call that does not fit is not made, and the report says so."""

    tokens_per_incident: int = Field(default=40_000, ge=1_000)
    tokens_per_day: int = Field(default=1_000_000, ge=1_000)
    money_per_day: float | None = Field(default=None, gt=0)
    """In ``currency``; needs the two prices."""
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "USD"
    price_per_million_prompt: float = Field(default=0.0, ge=0)
    price_per_million_output: float = Field(default=0.0, ge=0)
    state_file: Path | None = None
    """Where what was spent is kept over restarts. Unset: in memory."""

    @model_validator(mode="after")
    def _money_needs_prices(self) -> Self:
        if self.money_per_day is not None and not (self.price_per_million_prompt or self.price_per_million_output):
            raise ValueError("moneyPerDay needs pricePerMillionPrompt and pricePerMillionOutput")
        return self


class Alerts(Section):
    """Alerts that an Alertmanager sends. Kept across restarts where there is a ``stateDir``."""

    max_alerts: int = Field(default=5000, ge=1, le=100_000)
    expire_after_seconds: float = Field(default=5 * 3600, ge=60, le=7 * 86400)
    """An alert that nobody has repeated for so long is over. Longer than Alertmanager's ``repeat_interval``."""


class HistoryConfig(Section):
    """Where incidents, reports, plans and changes are kept beyond their objects' life."""

    enabled: bool = True
    url: Annotated[str, StringConstraints(pattern=r"^(sqlite:///|postgresql(\+psycopg)?://).+$")] | None = None
    """``postgresql+psycopg://user@host/db`` (password by ``~/.pgpass``); without it SQLite in ``stateDir``, if set."""
    retention_days: int = Field(default=180, ge=1, le=3660)


class AnswerFormat(StrEnum):
    """How an endpoint is told the shape of the answer (``response_format``). The answer is checked in any case."""

    JSON_SCHEMA = "jsonSchema"
    """OpenAI's form, which most servers know; many decode by the schema, so that no other answer is possible."""
    JSON_OBJECT_SCHEMA = "jsonObjectSchema"
    """An object with a schema beside it, the form of llama-cpp-python's server."""
    JSON_OBJECT = "jsonObject"
    """Some JSON object; the prompt alone says which."""


class Model(Section):
    """An OpenAI-compatible endpoint. Without this section root causes are deterministic only."""

    base_url: HttpUrl
    model: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    api_key_file: Path | None = None
    timeout_seconds: float = Field(default=20, gt=0, le=120)
    max_output_tokens: int = Field(default=1200, ge=64, le=8192)
    answer_format: AnswerFormat = AnswerFormat.JSON_SCHEMA
    max_prompt_chars: int = Field(default=24_000, ge=1000, le=200_000)
    concurrency: int = Field(default=2, ge=1, le=32)
    """Calls at a time; others wait within their timeout."""
    cache_entries: int = Field(default=256, ge=0, le=10_000)
    """Answers kept: the same prompt is not paid for twice."""
    budget: ModelBudget = ModelBudget()


class Web(Section):
    """The page for people."""

    enabled: bool = True
    cluster_name: Annotated[str, StringConstraints(min_length=1, max_length=63)] = "cluster"
    """As the chart's ``clusterName``: where ``clusterLabels`` is set, drawings show its samples only."""
    session_minutes: int = Field(default=60, ge=1, le=720)
    max_sessions: int = Field(default=256, ge=1, le=10_000)
    audit_dir: Path | None = None
    """A copy of the controllers' audit logs (`IIRP_AUDIT_DIR`), for the audit page; None: it says where to look."""


class Config(Section):
    """The whole file."""

    listen: Listen = Listen()
    prometheus: Endpoint
    loki: Endpoint
    cluster_labels: ClusterLabels | None = None
    """Set where the stores hold more than one cluster; without it all that they hold is taken for one."""
    kubernetes: Kubernetes | None = None
    auth: Auth = Auth()
    rules: Directory = Directory(directory=DATA_ROOT / "rules")
    causes: Directory = Directory(directory=DATA_ROOT / "causes")
    intake: Intake = Intake()
    baselines: Baselines = Baselines()
    log_bursts: LogBursts = LogBursts()
    state_dir: Path | None = None
    """What is kept across restarts: versions of what was learned, alerts. Without it, training starts anew."""
    alerts: Alerts = Alerts()
    model: Model | None = None
    history: HistoryConfig = HistoryConfig()
    """Where it has no place, nothing is kept, and reports name no earlier incidents."""
    web: Web = Web()
    log_level: Annotated[str, StringConstraints(pattern=r"^(debug|info|warning|error)$")] = "info"

    @model_validator(mode="after")
    def _some_credential(self) -> Config:
        if self.kubernetes is None and not self.auth.static:
            raise ValueError("set kubernetes or auth.static: without either nobody could call this server")
        return self


def load(path: Path) -> Config:
    """Read and validate the file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or does not validate.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping with at least prometheus and loki")
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from error
