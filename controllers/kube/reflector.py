"""List and watch without keeping objects: pages in, small records out, from where the last watch ended.

The model is client-go's reflector: a paged list, then a watch from the list's resourceVersion; bookmarks move that
version on while nothing happens; a version that is too old (410) means a new list; anything else is tried again with
backoff, from the version that was reached. Each object is handed to its sink and dropped, so what a kind costs is what
its sink keeps of it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from controllers.kube.api import Raw
from controllers.kube.errors import Expired, Forbidden, KubeError, NotFound
from controllers.kube.resources import ResourceType

log = logging.getLogger(__name__)

SERVER_SECONDS = (90, 140)
"""Asked of the API server for one watch; spread, so that not all watches end together. Less than a watch may be silent
before it counts as broken: bookmarks come only where something changes, and in quiet kinds nothing does for hours."""
FIRST_DELAY, MAX_DELAY = 1.0, 60.0
MIN_WATCH = 1.0
REFUSED_DELAY = 300.0
"""Until a kind that we may not see, or that is not served, is asked for again."""


class Source(Protocol):
    """Port to the API server: see :class:`controllers.kube.client.KubeClient`."""

    def page(
        self, resource: ResourceType, namespace: str | None, *, limit: int = ..., token: str = ...
    ) -> tuple[list[Raw], str, str]:
        """One page of a list."""

    def stream(self, resource: ResourceType, namespace: str | None, version: str, seconds: int) -> Iterator[Raw]:
        """Watch events."""


class Sink(Protocol):
    """What keeps records of one kind. Called from the reflector's thread."""

    def observe(self, event_type: str | None, body: Raw) -> None:
        """``event_type`` is None (listed), ADDED, MODIFIED or DELETED."""

    def retain(self, namespace: str | None, uids: set[str]) -> None:
        """A list of ``namespace`` (None: of all) has ended: what it did not bring is gone."""


class Reflector:
    """One kind in one namespace (None: all). ``run`` goes on until ``stop``; it never raises."""

    def __init__(
        self,
        source: Source,
        resource: ResourceType,
        namespace: str | None,
        sink: Sink,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._resource = resource
        self._namespace = namespace
        self._sink = sink
        self._clock = clock
        self._stop = threading.Event()
        self._version = ""
        self._failures = 0  # since a watch last brought something or held; a list alone proves little
        self._heard = clock()
        self.settled = threading.Event()
        """Set once the first list is complete, or has been refused for good."""

    @property
    def name(self) -> str:
        """For logs and metrics: ``pods`` or ``shop/pods``."""
        return f"{self._namespace}/{self._resource.plural}" if self._namespace else self._resource.plural

    def silent_for(self) -> float:
        """Seconds since the API server last said something: a list, an event, a bookmark."""
        return self._clock() - self._heard

    def stop(self) -> None:
        """End ``run`` at the next event, or at once while it waits."""
        self._stop.set()

    def run(self) -> None:
        """List, watch, and again."""
        while not self._stop.is_set():
            if wait := self.step():
                self._stop.wait(wait * random.uniform(0.8, 1.2))  # noqa: S311  jitter, not a secret

    def step(self) -> float:
        """One list or watch. Seconds to wait before the next one."""
        try:
            if not self._version:
                self._list()
            elif not self._watch():
                return self._backoff()  # it ended at once and empty: not again at once
        except Expired as error:
            log.info("%s: listing anew: %s", self.name, error.message)
            self._version = ""
            return self._backoff()
        except (Forbidden, NotFound) as error:
            log.warning("%s are not seen: %s", self.name, error)
            self.settled.set()
            return REFUSED_DELAY
        except KubeError as error:
            log.warning("%s: %s", self.name, error)
            return self._backoff()
        except Exception:  # an answer of a shape that we do not expect must not end the watch for good
            log.exception("%s: unexpected; listing anew", self.name)
            self._version = ""
            return self._backoff()
        return 0.0

    def _backoff(self) -> float:
        self._failures += 1
        return min(FIRST_DELAY * 2.0 ** min(self._failures - 1, 32), MAX_DELAY)

    def _list(self) -> None:
        uids: set[str] = set()
        token = ""
        while True:
            items, version, token = self._source.page(self._resource, self._namespace, token=token)
            self._heard = self._clock()
            for body in items:
                uids.add(body["metadata"]["uid"])
                self._show(None, body)
            if not token or self._stop.is_set():
                break
        self._sink.retain(self._namespace, uids)
        self._version = version
        self.settled.set()
        log.info("%s: listed %d", self.name, len(uids))

    def _watch(self) -> bool:
        """Whether the API server said anything, or at least held the watch for a while."""
        began = self._clock()
        heard = False
        seconds = random.randint(*SERVER_SECONDS)  # noqa: S311  spread, not a secret
        for event in self._source.stream(self._resource, self._namespace, self._version, seconds):
            self._heard, heard = self._clock(), True
            kind, body = event.get("type", ""), event.get("object") or {}
            if kind == "ERROR":
                self._version = ""
                raise _refusal(body)
            self._failures = 0
            self._version = (body.get("metadata") or {}).get("resourceVersion") or self._version
            if kind != "BOOKMARK":
                self._show(kind, body)
            if self._stop.is_set():
                break
        if not heard and self._clock() - began < MIN_WATCH:
            return False
        self._heard, self._failures = self._clock(), 0  # that the server ended it is a word too
        return True

    def _show(self, event_type: str | None, body: Raw) -> None:
        try:
            self._sink.observe(event_type, body)
        except Exception:  # one object that our parser does not understand must not hide all the others
            log.exception("%s: an object is left out", self.name)


class Reflectors:
    """All that one controller watches this way, each in a thread of its own."""

    def __init__(
        self, source: Source, wanted: Iterable[tuple[ResourceType, Sink]], spaces: Iterable[str | None]
    ) -> None:
        places = tuple(spaces)
        self.all = [
            Reflector(source, resource, space, sink)
            for resource, sink in wanted
            for space in (places if resource.namespaced else (None,))
        ]

    def start(self) -> None:
        """Begin to list."""
        for one in self.all:
            threading.Thread(target=one.run, name=f"watch-{one.name}", daemon=True).start()

    def stop(self) -> None:
        """Ask all to end."""
        for one in self.all:
            one.stop()

    def waiting(self) -> list[str]:
        """Names of those whose first list is not complete."""
        return [one.name for one in self.all if not one.settled.is_set()]


def _refusal(status: dict[str, Any]) -> KubeError:
    reason, message = str(status.get("reason") or "WatchError"), str(status.get("message") or "")
    if status.get("code") == 410:
        return Expired(reason, message)
    return KubeError(reason, f"the watch ended: {message}")
