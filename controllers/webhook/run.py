"""Starts the webhook with what the settings name, and stops it on SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
from datetime import UTC, datetime

from prometheus_client import Counter, Gauge

from controllers.runtime.errors import Terminal
from controllers.runtime.health import serve_health
from controllers.runtime.metrics import Metrics
from controllers.runtime.settings import Settings
from controllers.webhook.certificates import Issued, Serving, Source, read_pair
from controllers.webhook.server import Webhook

log = logging.getLogger(__name__)

SERVICE = "iirp-webhook"


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        Terminal: no certificate and no CA; says what to mount.
    """
    metrics = Metrics("webhook")
    reviews = Counter(
        "iirp_webhook_reviews_total", "Admission reviews by what was done.", ["result"], registry=metrics.registry
    )
    serving = Serving(source_of(settings))
    until = Gauge(
        "iirp_webhook_certificate_expiry_timestamp_seconds", "When the serving certificate ends.",
        registry=metrics.registry,
    )  # fmt: skip
    until.set_function(lambda: serving.not_after.timestamp())
    server = Webhook(settings.webhook_port, serving, lambda result: reviews.labels(result).inc())
    if settings.metrics_port:
        metrics.serve(settings.metrics_port)
    if settings.health_port:
        serve_health(settings.health_port, lambda: "" if serving.not_after > datetime.now(UTC) else "certificate ended")
    for number in (signal.SIGTERM, signal.SIGINT):
        # From another thread: shutdown() waits for serve_forever(), which is interrupted here.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    log.info("serving decisions", extra={"port": settings.webhook_port, "certificate_until": str(serving.not_after)})
    server.serve_forever()
    log.info("stopped")


def source_of(settings: Settings) -> Source:
    """A given certificate, else one of our own making.

    Raises:
        Terminal: neither folder is set.
    """
    folder, authority = settings.webhook_cert_dir, settings.webhook_ca_dir
    if folder is not None:
        return lambda _now: read_pair(folder)
    if authority is not None:
        host = f"{SERVICE}.{settings.namespace}.svc"
        return Issued(authority, (host, f"{host}.cluster.local"))
    raise Terminal("NoCertificate", "set IIRP_WEBHOOK_CA_DIR or IIRP_WEBHOOK_CERT_DIR")
