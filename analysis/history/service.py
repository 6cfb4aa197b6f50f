"""The history beside the server's answers: in threads, in time, and never in the way of an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from analysis.config import HistoryConfig
from analysis.contract import HistoryRecord, RcaRequest, RcaResponse
from analysis.history.similar import Match, Traits, words_of
from analysis.history.store import History
from analysis.words import clock, line
from crds.v1alpha1.rcareport import SimilarIncident

logger = logging.getLogger(__name__)

T = TypeVar("T")

LIMIT = 3
THREADS = 4
ANSWER_SECONDS = 2.0
"""A report waits no longer than this for earlier incidents, and for itself to be kept."""
SWEEP_SECONDS = 3600.0


class Historian:
    """What the routes use. Its threads are its own: a database that hangs holds up nobody else's work."""

    def __init__(self, history: History, config: HistoryConfig, now: Callable[[], datetime]) -> None:
        self._history = history
        self._keep = timedelta(days=config.retention_days)
        self._now = now
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="history")

    def close(self) -> None:
        """Start nothing more, and give back connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._history.close()

    async def ask(self, question: Callable[[History], T]) -> T:
        """Run one question, or one write.

        Raises:
            SQLAlchemyError: the database does not answer, or refuses.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, question, self._history)

    async def record(self, record: HistoryRecord) -> None:
        """Keep a chain.

        Raises:
            SQLAlchemyError: the database does not take it now.
        """
        await self.ask(lambda history: history.record(record, self._now()))

    async def enrich(self, request: RcaRequest, response: RcaResponse, templates: tuple[str, ...]) -> RcaResponse:
        """The report with earlier incidents like it; what it brought is kept. Failures leave it as it is."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self.ask(lambda history: self._similar(history, request, response, templates))
                await self.ask(lambda history: history.saw(request, response, templates, self._now()))
        except (SQLAlchemyError, TimeoutError) as error:
            logger.warning("report without history: %s", type(error).__name__)
            return response
        return response.model_copy(update={"similar": tuple(_shown(match) for match in found)})

    def _similar(
        self, history: History, request: RcaRequest, response: RcaResponse, templates: tuple[str, ...]
    ) -> list[Match]:
        facts = request.incident
        first = next((one for one in response.root_causes if not one.refuted), None)
        changed = words_of(one.summary for one in request.changes if one.target.name == facts.target.name)
        wanted = Traits(
            fingerprint=facts.fingerprint,
            type=facts.type,
            target=(facts.target.kind, facts.target.name),
            cause_kind=first.kind if first is not None else "",
            templates=frozenset(templates),
            changed=frozenset(changed),
        )
        return history.similar(
            wanted,
            cluster=request.cluster,
            namespace=facts.namespace,
            uid=facts.uid,
            before=facts.started_at,
            limit=LIMIT,
        )

    async def sweep_forever(self) -> None:
        """Forget what is older than the retention, now and every hour."""
        while True:
            try:
                gone = await self.ask(lambda history: history.sweep(self._now(), self._keep))
                if gone:
                    logger.info("history: forgot %d rows older than %s", gone, self._keep)
            except SQLAlchemyError as error:
                logger.warning("history was not swept: %s", type(error).__name__)
            await asyncio.sleep(SWEEP_SECONDS)


def _shown(match: Match) -> SimilarIncident:
    row = match.row
    ended = f", over at {clock(row['resolved_at'])}" if row["resolved_at"] else ""
    outcome = f"{row['action'] or 'nothing was done'}: {row['verdict'] or row['state']}{ended}"
    return SimilarIncident(
        name=row["name"],
        started_at=row["started_at"],
        why=line(match.why),
        cause=line(row["cause"]),
        outcome=line(outcome),
    )
