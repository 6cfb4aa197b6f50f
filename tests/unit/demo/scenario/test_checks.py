"""What a report claims is run again beside the run: once, after a while, and whatever it says is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from crds.v1alpha1.rcareport import RCAReport
from demo.scenario import checks as module
from demo.scenario.checks import Checks, verified
from demo.scenario.seen import Verified
from external.rerun import Checked, Rerun


def checked(verdict: str, detail: str = "") -> Checked:
    return Checked("MemoryLeak (80 %)", "evidence", "grows \x1b[31m", "PromQL", "up", verdict, detail)


def report(incident: str = "payments-1", done: str | None = "2026-01-01T10:02:00Z") -> dict[str, Any]:
    window = {"start": "2026-01-01T10:00:00Z", "end": "2026-01-01T10:01:00Z"}
    return {
        "metadata": {"name": incident, "namespace": "shop", "uid": f"r-{incident}"},
        "spec": {"incidentRef": {"name": incident, "uid": "u1"}, "window": window},
        "status": {"state": "Complete", "completedAt": done} if done else {"state": "Pending"},
    }


class Asked:
    """Stands for what runs queries again; remembers which reports it was asked about."""

    def __init__(self, *answers: Checked) -> None:
        self.answers = answers
        self.reports: list[RCAReport] = []
        self.everything: list[bool] = []

    def check(self, report: RCAReport, *, everything: bool) -> Iterator[Checked]:
        self.reports.append(report)
        self.everything.append(everything)
        yield from self.answers


def checks(asked: Any) -> Checks:
    return Checks(cast(Rerun, asked))


def test_a_report_is_checked_once_when_it_has_settled() -> None:
    asked = Asked(checked("same"), checked("there"))
    ours = checks(asked)
    for second in range(60):
        ours.look([report(done=None) if second < 10 else report()], float(second))
    assert ours.results() == {"payments-1": Verified(same=2)}
    assert len(asked.reports) == 1
    assert asked.everything == [True], "refuted causes make claims too"


def test_at_the_end_what_came_late_is_checked_too() -> None:
    asked = Asked(checked("close"))
    ours = checks(asked)
    ours.look([report(), report("checkout-1")], 0.0)
    assert ours.results() == {"payments-1": Verified(same=1), "checkout-1": Verified(same=1)}


def test_a_report_that_was_made_anew_counts_and_not_the_one_before() -> None:
    asked = Asked(checked("same"))
    ours = checks(asked)
    for second, done in ((0.0, "2026-01-01T10:02:00Z"), (30.0, "2026-01-01T10:02:00Z"), (31.0, "2026-01-01T10:03:00Z")):
        ours.look([report(done=done)], second)
    ours.results()
    assert [one.status.completed_at.minute for one in asked.reports if one.status.completed_at] == [2, 3]


def test_what_never_answers_is_not_taken_for_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    over = threading.Event()

    class Hangs(Asked):
        def check(self, report: RCAReport, *, everything: bool) -> Iterator[Checked]:
            over.wait(10)
            yield from super().check(report, everything=everything)

    ours = checks(Hangs(checked("same")))
    ours.look([report()], 0.0)
    assert ours.results() == {"payments-1": Verified(unchecked=1)}
    over.set()
    ours.close()


@pytest.mark.parametrize(
    ("verdict", "same", "different", "unchecked"),
    [
        ("same", 1, 0, 0), ("close", 1, 0, 0), ("there", 1, 0, 0), ("changed", 0, 1, 0),
        ("gone", 0, 0, 1), ("no data", 0, 0, 1), ("not run", 0, 0, 1), ("unreadable", 0, 0, 1),
    ],
)  # fmt: skip
def test_only_another_answer_is_a_difference(verdict: str, same: int, different: int, unchecked: int) -> None:
    found = verified([checked(verdict, "then 1; now 2")])
    assert (found.same, len(found.different), found.unchecked) == (same, different, unchecked)
    assert all("\x1b" not in words and "then 1; now 2 (PromQL up)" in words for words in found.different)
