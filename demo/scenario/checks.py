"""Runs the queries of a run's reports again, beside the run: what a report claims has to hold for whoever looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from crds.v1alpha1.rcareport import RCAReport
from demo.driver.chain import printable
from demo.scenario.seen import Verified
from external.rerun import AGREES, DIFFERS, Checked, Rerun

__all__ = ["Checks", "verified"]

_SETTLED = 20.0
"""Seconds from a report to its check: late samples have come by then, and what it speaks of is still there."""
_PATIENCE = 120.0
"""Seconds for all that is not done yet at the end of a run."""


@dataclass
class _Waiting:
    report: RCAReport
    since: float
    check: Future[Verified] | None = None


class Checks:
    """Checks each report once, the newest where an incident's was made anew; never in the way of the run."""

    def __init__(self, rerun: Rerun) -> None:
        self._rerun = rerun
        self._reports: dict[str, _Waiting] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verify")

    def look(self, reports: Iterable[Mapping[str, Any]], now: float) -> None:
        """What there is at `now` (monotonic seconds); begins what has settled."""
        for report in map(RCAReport.from_wire, reports):
            known = self._reports.get(report.spec.incident_ref.name)
            if report.status.completed_at is not None and (
                known is None or known.report.status.completed_at != report.status.completed_at
            ):
                self._reports[report.spec.incident_ref.name] = _Waiting(report, now)
        for one in self._reports.values():
            if now - one.since >= _SETTLED:
                self._begin(one)

    def results(self) -> dict[str, Verified]:
        """By name of the incident. Waits for what is under way; what does not end in time was not checked."""
        begun = {name: self._begin(one) for name, one in self._reports.items()}
        wait(begun.values(), timeout=_PATIENCE)
        return {name: check.result() if check.done() else Verified(unchecked=1) for name, check in begun.items()}

    def close(self) -> None:
        """Begins nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, one: _Waiting) -> Future[Verified]:
        if one.check is None:
            one.check = self._pool.submit(lambda: verified(self._rerun.check(one.report, everything=True)))
        return one.check


def verified(checked: Iterable[Checked]) -> Verified:
    """Counted: what agrees, what says something else now, and what cannot be told."""
    found = list(checked)
    same = sum(one.verdict in AGREES for one in found)
    different = [one for one in found if one.verdict in DIFFERS]
    words = tuple(printable(f"{one.claim}: {one.detail} ({one.language} {one.query})") for one in different)
    return Verified(same, words, len(found) - same - len(different))
