"""``python -m notifications --config FILE --outbox FILE``: tells people until it is stopped."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from notifications.health import Health
from notifications.interactive import serving
from notifications.outbox import Outbox
from notifications.service import Notifier
from notifications.settings import Settings, SettingsError, load
from notifications.source import Source, SourceError, in_cluster

logger = logging.getLogger("notifications")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Exit codes: 0 stopped, 1 ``--once`` could not read incidents, 2 unusable configuration."""
    parser = argparse.ArgumentParser(prog="python -m notifications", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--outbox", type=Path, required=True, help="SQLite file; keep it on a volume")
    parser.add_argument("--api", default="", help="API server, outside of a cluster")
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--ca-file", type=Path)
    parser.add_argument("--health-port", type=int, help="serve /metrics and /healthz")
    parser.add_argument("--once", action="store_true", help="one pass, for cron and for trying out")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = load(options.config)
        source = _source(options, settings)
    except (SettingsError, SourceError) as error:
        sys.stderr.write(f"notifications: {error}\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    health = Health(settings.channels)
    with closing(Outbox(options.outbox)) as outbox:
        notifier = Notifier(settings, outbox, health=health)
        try:
            with serving(settings), health.serving(options.health_port):
                while not stop.is_set():
                    answered = _pass(notifier, source, outbox, health)
                    if options.once:
                        return 0 if answered else 1
                    stop.wait(settings.poll_seconds)
        except OSError as error:
            sys.stderr.write(f"notifications: listen: {error.strerror}\n")
            return 2
    return 0


def _source(options: argparse.Namespace, settings: Settings) -> Source:
    if options.api and options.token_file:
        return Source(options.api, options.token_file, options.ca_file, settings.namespaces)
    return in_cluster(settings.namespaces)


def _pass(notifier: Notifier, source: Source, outbox: Outbox, health: Health) -> bool:
    """Whether the API server answered; one that is away does not keep back what is in the outbox."""
    answered = True
    try:
        notifier.collect(source.incidents(), datetime.now(UTC))
    except SourceError as error:
        logger.warning("%s", error)
        answered = False
    health.looked(answered=answered)
    notifier.deliver(datetime.now(UTC))
    outbox.prune(datetime.now(UTC))
    health.passed(outbox.counts())
    return answered


if __name__ == "__main__":
    sys.exit(main())
