"""One run: an approved plan, its executor disturbed in one way, and in the end the action happened exactly once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.safety import world
from tests.safety.api import Api
from tests.safety.chaos.audit import AuditTail, Recorded
from tests.safety.chaos.executor import Executor
from tests.safety.chaos.kinds import Kind
from tests.safety.chaos.plans import Plan
from tests.safety.chaos.proxy import Fault, Proxy, Write

DEADLINE = 240.0
POLL = 0.2
MAX_STARTS = 6
SETTLE = 1.5
"""What a resumed or second executor gets to do harm after the end."""


@dataclass(frozen=True)
class Disturbance:
    """``fault`` at write ``at``; or ``racing`` executors; or one frozen for ``frozen`` seconds, its write under way."""

    kind: Kind
    fault: Fault | None = None
    at: int = 0
    racing: int = 1
    frozen: float = 0.0

    @property
    def label(self) -> str:
        """In words."""
        if self.frozen:
            return f"frozen {self.frozen:.0f} s at its write, another takes over"
        if self.racing > 1:
            return f"{self.racing} executors at once"
        return f"{self.fault} {self.at}" if self.fault else "undisturbed"


@dataclass
class Outcome:
    """What came of a run; ``problems`` empty: exactly once."""

    disturbance: Disturbance
    problems: list[str] = field(default_factory=list)
    writes: int = 0
    starts: int = 0
    seconds: float = 0.0
    real: tuple[int, ...] = ()
    """Numbers of the writes that went to the workload itself."""


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    api: Api
    ca: Path
    """Signed the API server's certificate."""
    authority: Path
    """Signed the proxies'."""
    certificate: tuple[Path, Path]
    token: str
    """The executor's own."""
    folder: Path
    audit: AuditTail


def run(bench: Bench, disturbance: Disturbance) -> Outcome:
    """Never raises for what the executor did: that is a problem of the outcome."""
    started, outcome = time.monotonic(), Outcome(disturbance)
    with ExitStack() as stack:
        space = stack.enter_context(world.namespace(bench.api, "chaos"))
        plan = Plan(bench.api, space, disturbance.kind)
        pairs = [
            _pair(bench, stack, space, number) for number in range(2 if disturbance.frozen else disturbance.racing)
        ]
        end = _script(disturbance, pairs, plan)
        for executor, _ in pairs[: 1 if disturbance.frozen else None]:
            executor.start()
        plan.ask()
        plan.approve()
        _supervise(disturbance, pairs, plan, outcome)
        end()
        _judge(bench, plan, outcome)
        outcome.writes = sum(len(proxy.writes) for _, proxy in pairs)
        outcome.real = tuple(write.number for write in pairs[0][1].writes if write.real)
        outcome.starts = sum(executor.starts for executor, _ in pairs)
        if outcome.problems:
            outcome.problems += [executor.last_words() for executor, _ in pairs]
    outcome.seconds = time.monotonic() - started
    return outcome


Pair = tuple[Executor, Proxy]


def _pair(bench: Bench, stack: ExitStack, space: str, number: int) -> Pair:
    proxy = Proxy(bench.api.server, bench.ca, bench.certificate)
    stack.callback(proxy.close)
    executor = Executor(bench.folder, f"{space}-{number}", space, bench.token, proxy.url, bench.authority)
    stack.callback(executor.kill)
    proxy.kill = executor.kill
    return executor, proxy


def _script(disturbance: Disturbance, pairs: list[Pair], plan: Plan) -> Callable[[], None]:
    """Arm the proxies; the result is called when the plan has ended, before the verdict."""
    if disturbance.fault is not None:
        pairs[0][1].fault, pairs[0][1].at = disturbance.fault, disturbance.at
    if disturbance.racing > 1:
        _race([proxy for _, proxy in pairs])
        return lambda: time.sleep(SETTLE)
    if disturbance.frozen:
        return _freeze(disturbance.frozen, pairs, plan)
    return lambda: None


def _race(proxies: list[Proxy]) -> None:
    """Hold everybody's first write to the workload until all have come to theirs, then let all go at once."""
    barrier = threading.Barrier(len(proxies))

    def gate(write: Write) -> None:
        if write.real and not barrier.broken:
            try:
                barrier.wait(timeout=10)
            except threading.BrokenBarrierError:
                return

    for proxy in proxies:
        proxy.gate = gate


def _freeze(seconds: float, pairs: list[Pair], plan: Plan) -> Callable[[], None]:
    """The first stops with its write on the wire; the second does the work; then that late write arrives."""
    (first, slow), (second, _) = pairs
    held, late = threading.Event(), threading.Event()

    def gate(write: Write) -> None:
        if write.real and not held.is_set():
            held.set()
            first.freeze()
            began = time.monotonic()
            second.start()
            while time.monotonic() - began < seconds or not plan.execution().get("finishedAt"):
                if time.monotonic() - began > DEADLINE:
                    break
                time.sleep(POLL)
            first.thaw()
            late.set()

    slow.gate = gate

    def end() -> None:
        late.wait(DEADLINE)
        time.sleep(SETTLE)

    return end


def _supervise(disturbance: Disturbance, pairs: list[Pair], plan: Plan, outcome: Outcome) -> None:
    """Start anew whatever died, as the kubelet does, until the plan has ended."""
    deadline = time.monotonic() + DEADLINE + disturbance.frozen
    while not plan.execution().get("finishedAt"):
        if time.monotonic() > deadline:
            outcome.problems.append(f"not finished after {DEADLINE:.0f} s: {plan.execution()}")
            return
        for executor, _ in pairs:
            if executor.starts > MAX_STARTS:
                outcome.problems.append(f"started {executor.starts} times without getting anywhere")
                return
            if executor.starts and not executor.alive:
                executor.start()
        time.sleep(POLL)


def _judge(bench: Bench, plan: Plan, outcome: Outcome) -> None:
    execution = plan.execution()
    if execution.get("phase") != "Succeeded":
        outcome.problems.append(f"phase {execution.get('phase')}: {execution.get('reason')} {execution.get('message')}")
    if wrong := plan.wrong():
        outcome.problems.append(wrong)
    done = happened(bench.audit.of(plan.namespace))
    if len(done) != 1:
        outcome.problems.append(f"the audit log has {len(done)} writes of the executor that took effect: {done}")


def happened(recorded: list[Recorded]) -> list[Recorded]:
    """Writes that took effect. A patch carries the version it is for, so each that was carried out did.

    A deletion carries the pod's UID: sent again while that pod ends, it is answered with 200 and changes nothing.
    """
    done = [one for one in recorded if one.done]
    return [one for number, one in enumerate(done) if one.verb != "delete" or one not in done[:number]]
