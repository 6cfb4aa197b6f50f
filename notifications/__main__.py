"""``python -m notifications --config FILE --outbox FILE``: tells people until it is stopped."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from notifications.interactive import serving
from notifications.outbox import Outbox
from notifications.service import Notifier
from notifications.settings import SettingsError, load
from notifications.source import Source, SourceError, in_cluster

logger = logging.getLogger("notifications")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point. Exit codes: 0 stopped, 2 unusable configuration."""
    parser = argparse.ArgumentParser(prog="python -m notifications", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--outbox", type=Path, required=True, help="SQLite file; keep it on a volume")
    parser.add_argument("--api", default="", help="API server, outside of a cluster")
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--ca-file", type=Path)
    parser.add_argument("--once", action="store_true", help="one pass, for cron and for trying out")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        settings = load(options.config)
        outside = options.api and options.token_file
        source = Source(options.api, options.token_file, options.ca_file) if outside else in_cluster()
    except (SettingsError, SourceError) as error:
        sys.stderr.write(f"notifications: {error}\n")
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    outbox = Outbox(options.outbox)
    notifier = Notifier(settings, outbox)
    try:
        with serving(settings):
            while not stop.is_set():
                _pass(notifier, source, outbox)
                if options.once:
                    break
                stop.wait(settings.poll_seconds)
    except OSError as error:
        sys.stderr.write(f"notifications: listen: {error.strerror}\n")
        return 2
    finally:
        outbox.close()
    return 0


def _pass(notifier: Notifier, source: Source, outbox: Outbox) -> None:
    """An API server that is away does not keep back what is in the outbox."""
    try:
        notifier.collect(source.incidents(), datetime.now(UTC))
    except SourceError as error:
        logger.warning("%s", error)
    notifier.deliver(datetime.now(UTC))
    outbox.prune(datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
