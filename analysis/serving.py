"""Runs the application: on loopback behind the gateway, or with TLS of its own that may be renewed meanwhile."""

from __future__ import annotations

import logging
import ssl
import threading
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from analysis.config import Listen, Tls
from analysis.configfile import ConfigError

__all__ = ["Stamp", "renew", "serve", "stamp"]

RENEWAL_SECONDS = 30.0
logger = logging.getLogger(__name__)

Stamp = tuple[float, ...]
"""Which files a certificate was read from."""


def serve(app: FastAPI, listen: Listen) -> None:
    """Until it is told to stop. Raises ConfigError for a certificate that cannot be used."""
    tls = listen.tls
    seen = stamp(tls) if tls else ()  # before they are read: what changes from here on is noticed
    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        ssl_certfile=tls.cert_file if tls else None,
        ssl_keyfile=tls.key_file if tls else None,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        limit_concurrency=256,
        forwarded_allow_ips="127.0.0.1",
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"listen.tls: {error}") from error
    stop = threading.Event()
    if tls and config.ssl:
        threading.Thread(target=renew, args=(config.ssl, tls, seen, stop), name="certificate", daemon=True).start()
    try:
        uvicorn.Server(config).run()
    finally:
        stop.set()


def renew(
    context: ssl.SSLContext, tls: Tls, seen: Stamp, stop: threading.Event, every: float = RENEWAL_SECONDS
) -> None:
    """Load the certificate again whenever its files have changed since ``seen``; what cannot be loaded changes nothing.

    Each goes into a context of its own, which handshakes take once it is whole: one that is loaded into has, for a
    moment, and for good if the new key does not fit, a certificate without a key.
    """
    shown = context

    def show(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = shown

    context.sni_callback = show
    while not stop.wait(every):
        now = stamp(tls)
        if now == seen:
            continue
        fresh = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            fresh.load_cert_chain(tls.cert_file, tls.key_file)
        except OSError as error:
            logger.warning("the new certificate cannot be used, the old one stays: %s", error)
        else:
            logger.info("certificate renewed")
            shown, seen = fresh, now


def stamp(tls: Tls) -> Stamp:
    """Time and inode of the files that are there: two that are written within a clock's tick differ too."""
    found: list[float] = []
    for path in (tls.cert_file, tls.key_file):
        with suppress(FileNotFoundError):  # it is being replaced; the next look finds it
            seen = path.stat()
            found += [seen.st_mtime, seen.st_ino]
    return tuple(found)
