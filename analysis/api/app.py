"""The application: configuration in, a FastAPI app with all its parts wired out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import httpx
from fastapi import FastAPI, Request, Response

from analysis.alerts.book import AlertBook
from analysis.api import alerts, gate, health, history, intake, problems, v1
from analysis.api.limits import BodyLimit, Unpack
from analysis.api.metrics import Metrics
from analysis.auth.identity import Authenticator, NoReviewer, TokenReviewer, read_secrets
from analysis.config import Config, Model
from analysis.config import Intake as IntakeConfig
from analysis.configfile import ConfigError
from analysis.detect.farm import Farm
from analysis.detect.learner import Learner
from analysis.detect.logwatch import LogWatch
from analysis.detect.registry import Registry
from analysis.detect.rulebook import RuleBook
from analysis.detect.series import load_learning
from analysis.detect.service import Detector
from analysis.history.service import Historian
from analysis.history.store import History, HistoryError
from analysis.kube import ApiServer
from analysis.rca.catalogue import load_causes
from analysis.rca.service import Explainer
from analysis.telemetry.health import SourceProbe
from analysis.telemetry.loki import Loki
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.reader import Reader
from analysis.telemetry.seed import Seeder
from analysis.telemetry.store import Store
from analysis.verify.service import Verifier
from analysis.warm import loaded, warm_up
from analysis.web import pages

if TYPE_CHECKING:
    from analysis.llm.service import Narrator

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_UNPACKED_BYTES = 128 * 1024 * 1024
"""A topology of 150,000 pods has about 42 MB, 3 MB packed."""
MAX_BODY_SECONDS = 60.0
MAY_BE_PACKED = frozenset({"/v1/detect", "/v1/rca", "/v1/verify", "/v1/history"})
"""What controllers post: ``controllers/runtime/analysis.py`` packs whatever is large."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes use; kept in ``app.state.services``."""

    config: Config
    metrics: Metrics
    authenticator: Authenticator
    api_server: ApiServer | None
    """To ask about people, with their own tokens."""
    detector: Detector
    explainer: Explainer
    verifier: Verifier
    probe: SourceProbe
    narrator: Narrator | None
    alerts: AlertBook
    store: Store | None
    """Samples in memory; None when the intake is off."""
    seeder: Seeder | None
    learner: Learner | None
    logwatch: LogWatch | None
    historian: Historian | None
    now: Callable[[], datetime]
    in_flight: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(intake.MAX_IN_FLIGHT))
    """Of remote_write requests."""


def create_app(config: Config) -> FastAPI:
    """Build the application.

    Raises:
        ConfigError: rules, causes or secrets cannot be used.
    """
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=32), trust_env=False)
    api_server = ApiServer(config.kubernetes) if config.kubernetes else None
    services = _services(config, client, api_server)
    lifespan = partial(_lifespan, services=services, client=client)
    app = FastAPI(title="IIRP analysis", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.services = services
    problems.install(app)
    _observe(app, services.metrics)
    for module in (health, gate, v1, intake, alerts, history):
        app.include_router(module.router)
    if config.web.enabled and api_server:
        readable = _prometheus(config, client).of(config.web.cluster_name)
        pages.install(app, config.web, api_server, readable)
    app.add_middleware(Unpack, max_bytes=MAX_UNPACKED_BYTES, paths=MAY_BE_PACKED)
    # the outer one: it sees what came over the wire
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES, seconds=MAX_BODY_SECONDS)
    return app


@asynccontextmanager
async def _lifespan(_: FastAPI, services: Services, client: httpx.AsyncClient) -> AsyncIterator[None]:
    """What runs beside the requests, and what is closed in the end."""
    beside = [asyncio.create_task(one.run()) for one in (services.seeder, services.learner, services.logwatch) if one]
    if services.store and not loaded():
        services.store.ready = False
        beside.append(asyncio.create_task(warm_up(services.store)))
    if services.historian:
        beside.append(asyncio.create_task(services.historian.sweep_forever()))
    yield
    for task in beside:
        task.cancel()
    if services.historian:
        services.historian.close()
    await client.aclose()
    if services.narrator:
        await services.narrator.aclose()
    if services.api_server:
        await services.api_server.aclose()


def _services(config: Config, client: httpx.AsyncClient, api_server: ApiServer | None) -> Services:
    prometheus = _prometheus(config, client)
    logs_label = config.cluster_labels.logs if config.cluster_labels else ""
    loki = Loki(config.loki.url, config.loki.timeout_seconds, client, logs_label)
    probe = SourceProbe(prometheus, loki)
    metrics = Metrics()
    reviewer = TokenReviewer(api_server, config.auth.audience) if api_server else NoReviewer()
    narrator = _narrator(config.model, metrics) if config.model else None
    kept = config.state_dir / "alerts.json" if config.state_dir else None
    book = AlertBook(config.alerts.max_alerts, config.alerts.expire_after_seconds, kept)
    store, seeder = _memory(config.intake, prometheus, metrics)
    learner = _learner(config, client, metrics) if config.baselines.enabled else None
    logwatch = _logwatch(loki, metrics) if config.log_bursts.enabled else None
    historian = _historian(config)
    rules = RuleBook(config.rules.directory)
    reader = Reader(prometheus, store, lambda source: metrics.reads.labels(source).inc())
    return Services(
        config=config,
        metrics=metrics,
        api_server=api_server,
        authenticator=Authenticator(config.auth, read_secrets(config.auth.static), reviewer),
        detector=Detector(rules, reader, probe, utc_now, learner, book, logwatch, metrics.rule_failed),
        explainer=Explainer(load_causes(config.causes.directory), prometheus, loki, narrator, historian),
        verifier=Verifier(prometheus, rules.current, utc_now),
        probe=probe,
        narrator=narrator,
        alerts=book,
        store=store,
        seeder=seeder,
        learner=learner,
        logwatch=logwatch,
        historian=historian,
        now=utc_now,
    )


def _narrator(settings: Model, metrics: Metrics) -> Narrator:
    from analysis.llm.service import narrator_from  # its client takes 20 MiB, and most servers have no model

    return narrator_from(settings, metrics)


def _prometheus(config: Config, client: httpx.AsyncClient, timeout_seconds: float | None = None) -> Prometheus:
    label = config.cluster_labels.metrics if config.cluster_labels else ""
    return Prometheus(config.prometheus.url, timeout_seconds or config.prometheus.timeout_seconds, client, label)


def _learner(config: Config, client: httpx.AsyncClient, metrics: Metrics) -> Learner:
    learning = load_learning(config.baselines.directory)
    patient = _prometheus(config, client, config.baselines.timeout_seconds)
    registry = Registry(config.state_dir, learning.version) if config.state_dir else None

    def told(outcome: str) -> None:
        metrics.learned.labels(outcome).inc()

    farm = Farm(config.baselines.dask, told) if config.baselines.dask else None
    return Learner(learning, patient, registry, time.time, farm, told)


def _logwatch(loki: Loki, metrics: Metrics) -> LogWatch:
    return LogWatch(loki, time.time, told=lambda outcome: metrics.log_looks.labels(outcome).inc())


def _historian(config: Config) -> Historian | None:
    """Raises ConfigError when the database cannot be used: a history that silently keeps nothing is worse than none."""
    url = config.history.url or (f"sqlite:///{config.state_dir / 'history.db'}" if config.state_dir else None)
    if url is None or not config.history.enabled:
        return None
    try:
        if config.state_dir and not config.history.url:
            config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Historian(History(url), config.history, utc_now)
    except (HistoryError, OSError) as error:
        raise ConfigError(f"history.url: {error}") from error


def _memory(config: IntakeConfig, prometheus: Prometheus, metrics: Metrics) -> tuple[Store | None, Seeder | None]:
    if config.mode == "off":
        return None, None
    store = Store(config.max_series, config.step_seconds, config.scrape_seconds)

    def told(outcome: str) -> None:
        metrics.fills.labels(outcome).inc()

    pull = config.pull_seconds if config.mode == "pull" else None
    return store, Seeder(store, prometheus, time.time, pull, told)


def utc_now() -> datetime:
    """The wall clock, read at the edge only."""
    return datetime.now(tz=UTC)


def _observe(app: FastAPI, metrics: Metrics) -> None:
    @app.middleware("http")
    async def count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        code = 500
        try:
            response = await call_next(request)
            code = response.status_code
            return response
        finally:
            route = getattr(request.scope.get("route"), "path", "unmatched")
            metrics.requests.labels(route, str(code)).inc()
            metrics.seconds.labels(route).observe(time.perf_counter() - started)
