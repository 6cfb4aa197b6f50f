"""Tells the history about an incident's chain whenever it has changed; best effort, never in the incident's way."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from analysis.contract import HistoryRecord
from controllers.incident.chain import Chain
from controllers.runtime.analysis import Analysis
from controllers.runtime.errors import ReconcileError

log = logging.getLogger(__name__)

PAUSE = timedelta(seconds=30)
"""After a failure: every incident is looked at again at each resync, so nothing is lost."""
REFUSED_PAUSE = timedelta(minutes=10)
"""Where the server keeps no history."""
REMEMBERED = 5000


class Keeper:
    """Remembers what it has sent by digest, so that an unchanged chain is sent once per life of this process."""

    def __init__(self, analysis: Analysis | None, cluster: str, now: Callable[[], datetime]) -> None:
        self._analysis = analysis
        self._cluster = cluster
        self._now = now
        self._sent: OrderedDict[str, str] = OrderedDict()
        self._not_before: datetime | None = None

    def keep(self, chain: Chain) -> None:
        """Send the chain if it is news. Failures are logged and tried again later."""
        if self._analysis is None or (self._not_before is not None and self._now() < self._not_before):
            return
        record = HistoryRecord(
            cluster=self._cluster,
            incident=chain.incident,
            reports=chain.reports,
            plans=chain.plans,
            approvals=chain.approvals,
        )
        uid = chain.incident.metadata.uid
        digest = hashlib.sha256(record.model_dump_json().encode()).hexdigest()
        if self._sent.get(uid) == digest:
            return
        try:
            kept = self._analysis.history(record).kept
        except ReconcileError as error:
            log.warning("history: %s", error)
            self._not_before = self._now() + PAUSE
            return
        if not kept:
            self._not_before = self._now() + REFUSED_PAUSE
            return
        self._sent[uid] = digest
        self._sent.move_to_end(uid)
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
