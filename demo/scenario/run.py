"""One run of one scenario: a fresh namespace, what the file says, the verdict, and everything taken away again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from controllers.kube.errors import KubeError
from demo.driver import people
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.watch import Watch
from demo.scenario.checks import Checks
from demo.scenario.judge import judge, match, pending
from demo.scenario.model import Scenario, Step, UntilStep
from demo.scenario.place import Place
from demo.scenario.seen import Seen, merged, seen_of
from demo.scenario.steps import Hands
from devcluster.errors import ClusterError
from external.errors import ExternalError
from external.plane import ExternalPlane

__all__ = ["Interrupted", "Result", "Run"]

_LOOK = 1.0
Say = Callable[[str], None]


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one run ended. No problems: passed."""

    scenario: Scenario
    number: int
    namespace: str
    started_at: datetime
    seconds: float
    injected_at: datetime | None
    incidents: tuple[Seen, ...]
    problems: tuple[str, ...]

    @property
    def delay(self) -> float | None:
        """Seconds from the injection to the last of the expected incidents that came; None when none did."""
        if self.injected_at is None:
            return None
        came = [seen.seen_at for _, seen in match(self.scenario.expect, self.incidents).pairs]
        return (max(came) - self.injected_at).total_seconds() if came else None


@dataclass
class Run:
    """`stop` ends it early; `say` tells how it goes; `keep` leaves the namespace for a look."""

    scenario: Scenario
    number: int
    place: Place
    watch: Watch
    approver: Kubectl
    stop: threading.Event
    say: Say
    external: ExternalPlane | None = None
    keep: bool = False
    checks: Checks | None = None
    """Runs the queries of reports again; None where nobody can be asked."""
    _seen: dict[str, Seen] = field(default_factory=dict)
    _decided: set[str] = field(default_factory=set)
    _injected_at: datetime | None = None

    def run(self) -> Result:
        """From nothing to the verdict; what fails on the way is a problem of this run, not an exception."""
        started_at, begun = _now(), time.monotonic()
        problems: list[str] = []
        hands = Hands(self.place, self._pause, self.external)
        try:
            self._through(hands)
            problems = judge(self.scenario.expect, self._incidents(), self._injected_at or started_at)
        except Interrupted:
            problems = ["interrupted"]
        except (DemoFailed, ClusterError, ExternalError) as error:
            problems = [f"could not be carried out: {error}"]
        finally:
            if self.checks is not None:
                self.checks.close()
            problems += self._clean(hands)
        return Result(
            scenario=self.scenario,
            number=self.number,
            namespace=self.place.namespace,
            started_at=started_at,
            seconds=time.monotonic() - begun,
            injected_at=self._injected_at,
            incidents=tuple(self._incidents()),
            problems=tuple(problems),
        )

    def _through(self, hands: Hands) -> None:
        self.say("preparing")
        self.place.prepare(self.scenario.setup)
        if self.scenario.setup.quiet:
            self.say(f"ready; quiet for {self.scenario.setup.quiet:.0f} s")
            self._pause(self.scenario.setup.quiet)
        injecting = self.scenario.injecting()
        if injecting is None:
            self._injected_at = _now()
        for number, step in enumerate(self.scenario.steps):
            if number == injecting:
                self._injected_at = _now()
            self.say(self._do(hands, step))
        assert self._injected_at is not None  # noqa: S101 set before or within the steps
        while waiting := pending(self.scenario.expect, self._incidents(), self._injected_at, _now()):
            self._pause(_LOOK, f"waiting for {', '.join(waiting)}")
        if self.scenario.expect.none is None:
            self._pause(self.scenario.expect.settle)
        self._verify()

    def _do(self, hands: Hands, step: Step) -> str:
        if step.until:
            return self._until(step.until)
        return self._approve() if step.approve else hands.do(step)

    def _clean(self, hands: Hands) -> list[str]:
        problems = []
        quick = Hands(self.place, lambda _: None, self.external, hands.rate)
        for step in self.scenario.cleanup:
            problems += self._undo(quick, step)
        if self.keep:
            self.say(f"kept: namespace {self.place.namespace}")
        else:
            self.place.remove()
        return problems

    def _undo(self, hands: Hands, step: Step) -> list[str]:
        try:
            hands.do(step)
        except (DemoFailed, ExternalError) as error:
            return [f"cleaning up: {error}"]
        return []

    def _pause(self, duration: float, _why: str = "") -> None:
        """Lets time pass, looks every second, and approves what waits for approval."""
        until = time.monotonic() + duration
        while (left := until - time.monotonic()) > 0:
            if self.stop.wait(min(_LOOK, left)):
                raise Interrupted
            self._look()

    def _look(self) -> None:
        try:
            listing = {"incidents": self.watch.incidents()}
            if listing["incidents"]:
                listing = self.watch.listing()
        except KubeError:
            return  # the next look comes in a second
        if self.checks is not None:
            self.checks.look(listing.get("rcareports", ()), time.monotonic())
        before, self._seen = self._seen, merged(self._seen, seen_of(listing, _now()))
        for uid, item in self._seen.items():
            for change in item.changes(before.get(uid)):
                self.say(change)
        if self.scenario.approve:
            self._approve()

    def _verify(self) -> None:
        verified = self.checks.results() if self.checks is not None else {}
        for uid, item in self._seen.items():
            self._seen[uid] = replace(item, verified=verified.get(item.name))

    def _approve(self) -> str:
        """Everything that waits for a person, each once."""
        waiting = {item.pending: item.name for item in self._seen.values() if item.pending not in {"", *self._decided}}
        for approval, incident in waiting.items():
            self._decided.add(approval)
            people.decide(self.approver, approval, "approve", self.place.namespace)
            self.say(f"{incident}: approved")
        return f"approved {len(waiting)}"

    def _until(self, step: UntilStep) -> str:
        deadline = time.monotonic() + step.within
        while step.plan not in {item.plan for item in self._seen.values()}:
            if time.monotonic() >= deadline:
                raise DemoFailed(f"waiting for a plan that is {step.plan}", f"none within {step.within:.0f} s")
            self._pause(_LOOK)
        return f"a plan is {step.plan}"

    def _incidents(self) -> list[Seen]:
        return sorted(self._seen.values(), key=lambda item: (item.seen_at, item.name))


def _now() -> datetime:
    return datetime.now(UTC)
