"""Entry point: `python -m demo.shop SERVICE`."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

from demo.shop.client import Upstreams
from demo.shop.config import SERVICES, Settings
from demo.shop.faults import FaultError, Faults
from demo.shop.load import Load
from demo.shop.metrics import Metrics
from demo.shop.server import AdminHandler, BusinessHandler, Server, State

logger = logging.getLogger("shop.main")


def main(arguments: list[str]) -> int:
    """Runs one service until SIGTERM; 2 for a wrong command line or environment."""
    _log_to_stdout()
    if len(arguments) != 1:
        print(f"usage: python -m demo.shop {'|'.join(SERVICES)}", file=sys.stderr)
        return 2
    try:
        run(Settings.from_env(arguments[0], os.environ))
    except (ValueError, FaultError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run(settings: Settings) -> None:
    """Serves until told to end, then goes on for the drain time while it is no longer ready."""
    metrics = Metrics()
    faults = Faults()
    upstreams = Upstreams(dict(settings.upstreams), settings.upstream_timeout, metrics)
    state = State(settings.service, metrics, faults, upstreams)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if settings.service == "load":
        timeout = settings.upstream_timeout + 2
        state.load = Load(settings.upstream("frontend"), settings.load_rate, settings.load_workers, timeout, metrics)
    servers = [Server(settings.admin_port, AdminHandler, state)]
    if state.load is None:
        servers.append(Server(settings.port, BusinessHandler, state))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    faults.start_from(settings.fault_on_start)
    logger.info("%s is up", settings.service)
    if state.load is not None:
        state.load.run(stop)
    else:
        stop.wait()
        state.draining.set()
        time.sleep(settings.drain_seconds)
    for server in servers:
        server.shutdown()
    logger.info("%s has ended", settings.service)


def _log_to_stdout() -> None:
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
