"""kopf wiring: watches that feed the work queue, and nothing else of kopf.

Only ``on.event`` handlers are registered, on our own registry. They put no finalizer and no annotation on any object
(kopf's timers, daemons and change handlers would), so deleting anything never waits for us.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import kopf

from controllers.kube.reflector import Reflectors
from controllers.kube.resources import ResourceType
from controllers.runtime.controller import Context, Controller, Watch
from controllers.runtime.errors import ReconcileError
from controllers.runtime.health import serve_health
from controllers.runtime.outcome import Key
from controllers.runtime.queue import WorkQueue
from controllers.runtime.worker import Pool

log = logging.getLogger(__name__)

RESTART_DELAY = 5.0
API_POLL = 3.0
LIST_POLL = 0.2


class EndlessBackoffs:
    """kopf's ``error_backoffs``: 1, 2, 4 … 30 s, for ever. With its finite default the process ends after ~54 s of 5xx.

    Not ``Sized`` on purpose: kopf counts attempts only of sized ones. Re-iterable: each request starts anew.
    """

    def __iter__(self) -> Iterator[float]:
        delay = 1.0
        while True:
            yield delay
            delay = min(delay * 2, 30.0)


def run(controller: Controller, context: Context) -> None:
    """Run until SIGTERM or SIGINT. A watch that kopf gives up on (a kind was removed, say) is started again."""
    settings = context.settings
    queue: WorkQueue[Key] = WorkQueue(time.monotonic)
    pool = Pool(queue, controller.reconcile, context.metrics)
    if settings.metrics_port:
        context.metrics.serve(settings.metrics_port)
    if settings.health_port:
        serve_health(settings.health_port, lambda: pool.stuck(settings.stuck_after))
    wait_for_apis(context, controller)
    controller.attach(queue.add_after)
    reflectors = Reflectors(context.kube, controller.reflected, settings.namespaces or (None,))
    context.metrics.track_watches({one.name: one.silent_for for one in reflectors.all})
    reflectors.start()
    wait_for_lists(reflectors)
    pool.start(settings.workers, controller.resync, settings.resync_interval)
    log.info("started", extra={"namespaces": settings.namespaces or "all"})
    try:
        while not watch(controller, context, queue):
            log.error("watching ended unexpectedly; starting again in %.0f s", RESTART_DELAY)
            time.sleep(RESTART_DELAY)
            wait_for_apis(context, controller)
    finally:
        pool.stop()
        reflectors.stop()
        log.info("stopped")


def watch(controller: Controller, context: Context, queue: WorkQueue[Key]) -> bool:
    """One run of kopf. True when it was asked to stop, False when it failed."""
    namespaces = context.settings.namespaces
    try:
        asyncio.run(
            kopf.operator(
                registry=build_registry(controller, queue),
                settings=build_settings(),
                standalone=True,
                clusterwide=not namespaces,  # kopf watches cluster-scoped kinds as such either way
                namespaces=list(namespaces),
            )
        )
    except KeyboardInterrupt:
        return True
    except Exception:  # kopf escalates what it cannot retry (404 on a removed kind, a broken stream)
        log.exception("kopf stopped")
        return False
    return True


def build_registry(controller: Controller, queue: WorkQueue[Key]) -> kopf.OperatorRegistry:
    """One ``on.event`` handler per watched kind, with explicit stable ids, and one login handler."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry, id="login")(_login)
    for item in controller.watches:
        resource = item.resource
        handler_id = f"iirp-{controller.name}-{resource.plural}"
        kopf.on.event(resource.group, resource.version, resource.plural, registry=registry, id=handler_id)(
            _handler(item, queue)
        )
    return registry


def build_settings() -> kopf.OperatorSettings:
    """Timeouts on everything, retries without end, bounded workers, no scanning, no event posting."""
    settings = kopf.OperatorSettings()
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = EndlessBackoffs()
    settings.watching.connect_timeout = 10
    settings.watching.server_timeout = 300
    settings.watching.chunk_size = 500
    settings.queueing.worker_limit = 64
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.process.ultimate_exiting_timeout = 30
    settings.persistence.finalizer = "iirp.io/never-set"
    return settings


def wait_for_apis(context: Context, controller: Controller, sleep: Callable[[float], None] = time.sleep) -> None:
    """Block until all kinds are served: with scanning disabled kopf looks once, and never again."""
    kinds = {item.resource for item in controller.watches} | set(controller.needs)
    while missing := sorted(_unserved(context, kinds)):
        log.warning("waiting for the API server to serve %s; are the CRDs installed?", ", ".join(missing))
        sleep(API_POLL)


def wait_for_lists(reflectors: Reflectors, sleep: Callable[[float], None] = time.sleep) -> None:
    """Block until all first lists are complete: what is judged before that would be judged by half of it."""
    said: list[str] = []
    while waiting := reflectors.waiting():
        if waiting != said:
            log.info("listing %s", ", ".join(waiting[:10]))
            said = waiting
        sleep(LIST_POLL)


def _unserved(context: Context, kinds: set[ResourceType]) -> Iterator[str]:
    for resource in kinds:
        name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        try:
            if not context.kube.served(resource):
                yield name
        except ReconcileError as error:
            yield f"{name} ({error})"


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_via_client(**kwargs)


def _handler(item: Watch, queue: WorkQueue[Key]) -> Callable[..., Any]:
    async def on_event(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        if item.observer is not None:
            item.observer(event["type"], body)
        for key in item.keys(body):
            queue.add(key)

    return on_event
