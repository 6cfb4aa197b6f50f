"""The newest record of every object of one kind, from watch events and a full list now and then. Thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from controllers.detection.alarm import Alarm, Troubles
from controllers.kube.objects import Record

R = TypeVar("R", bound=Record)
TOMBSTONE = timedelta(minutes=15)
CLOCK_SKEW = timedelta(seconds=5)


class Store(Generic[R]):
    """``parse`` makes the record of a raw object. ``alarm`` hears of records that get into one of ``troubles``."""

    def __init__(
        self,
        parse: Callable[[Mapping[str, Any]], R],
        now: Callable[[], datetime],
        alarm: Alarm | None = None,
        troubles: Callable[[R], Troubles] = lambda _: frozenset(),
    ) -> None:
        self._parse = parse
        self._now = now
        self._alarm = alarm or Alarm()
        self._troubles = troubles
        self._lock = threading.Lock()
        self._records: dict[str, R] = {}
        self._deleted: dict[str, datetime] = {}
        self.fed = False
        """A reflector lists and watches, in order: nothing has to be healed, and no deletion remembered."""
        self.revision = 0
        """Rises with every change, so that what is derived need not be derived again."""

    def observe(self, event_type: str | None, body: Mapping[str, Any]) -> None:
        """One watch event; see :class:`controllers.runtime.controller.Observer`."""
        record = self._parse(body)
        with self._lock:
            if event_type == "DELETED":
                self._drop(record.uid)
                if not self.fed:
                    self._deleted[record.uid] = self._now()
            else:
                self._put(record)

    def replace(self, bodies: Iterable[Mapping[str, Any]], listed_at: datetime) -> None:
        """A full list that was begun at ``listed_at``: heals what a broken watch has missed."""
        listed = [self._parse(body) for body in bodies]
        alive = {record.uid for record in listed}
        with self._lock:
            for uid, record in list(self._records.items()):
                born = record.created_at
                if uid not in alive and not (born is not None and born >= listed_at - CLOCK_SKEW):
                    self._drop(uid)
            for record in listed:
                self._put(record)
            self._deleted = {uid: at for uid, at in self._deleted.items() if listed_at - at < TOMBSTONE}

    def retain(self, namespace: str | None, uids: set[str]) -> None:
        """A reflector's list of ``namespace`` (None: of all) is complete: what it did not bring is gone."""
        with self._lock:
            for uid, record in list(self._records.items()):
                if uid not in uids and namespace in (None, record.namespace):
                    self._drop(uid)

    def snapshot(self) -> list[R]:
        """All records, by namespace and name."""
        with self._lock:
            return sorted(self._records.values(), key=lambda one: (one.namespace, one.name))

    def _put(self, record: R) -> None:
        known = self._records.get(record.uid)
        if record.uid not in self._deleted and (known is None or known.version <= record.version):
            if known != record:
                self.revision += 1
                before = self._troubles(known) if known is not None else frozenset()
                self._alarm.compare(before, self._troubles(record))
            self._records[record.uid] = record

    def _drop(self, uid: str) -> None:
        if self._records.pop(uid, None) is not None:
            self.revision += 1
