"""Many runs: some side by side, those that disturb the platform alone, all of them cleaned up after."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from controllers.kube.errors import KubeError
from demo.driver.kubectl import Kubectl
from demo.driver.watch import Watch
from demo.scenario.checks import Checks
from demo.scenario.model import Scenario
from demo.scenario.place import LABEL, Place
from demo.scenario.run import Result, Run
from demo.scenario.seen import Seen, merged, seen_of
from external.plane import ExternalPlane
from external.rerun import Rerun

__all__ = ["Elsewhere", "Ground", "Suite"]

_ELSEWHERE_INTERVAL = 5.0
Tell = Callable[[str, str], None]
"""Called with the run's name and what happens in it."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the runs stand on."""

    kubeconfig: Path
    approver: Kubectl
    image: str
    """Of the shop."""
    platform_namespace: str
    node: str = ""
    external: ExternalPlane | None = None
    """Only where this tool started it."""
    scrape_seconds: float | None = None
    rerun: Callable[[], Rerun] | None = None
    """To run the queries of reports again with; each run takes its own."""


class Elsewhere:
    """Watches for incidents outside the namespaces of scenarios, ours or another's: nothing was broken there."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._own: set[str] = set()
        self._since = datetime.now(UTC)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="elsewhere", daemon=True)
        self.seen: dict[str, Seen] = {}

    def __enter__(self) -> Elsewhere:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=15)

    def _work(self) -> None:
        while not self._stop.wait(_ELSEWHERE_INTERVAL):
            try:
                self._own |= self._watch.namespaces(LABEL)
                incidents = self._watch.incidents()
            except KubeError:
                continue  # the next look comes soon
            found = seen_of({"incidents": incidents}, datetime.now(UTC))
            new = [item for item in found if item.namespace not in self._own and item.seen_at >= self._since]
            self.seen = merged(self.seen, new)


@dataclass
class Suite:
    """Runs every scenario `repeat` times, at most `parallel` at once."""

    ground: Ground
    scenarios: Sequence[Scenario]
    repeat: int
    parallel: int
    tell: Tell
    keep: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Iterator[Result]:
        """Each result as it comes. Close the iterator (or press Ctrl-C) to end early: what runs cleans up first."""
        together = [item for item in self.scenarios if not item.alone]
        alone = [item for item in self.scenarios if item.alone]
        try:
            yield from self._pool(together, self.parallel)
            yield from self._pool(alone, 1)
        finally:
            self.stop.set()

    def _pool(self, scenarios: Sequence[Scenario], workers: int) -> Iterator[Result]:
        with ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="scenario") as pool:
            # Repetitions are apart in time, so that one bad moment does not spoil all of a kind.
            longest = sorted(scenarios, key=lambda item: -item.longest)
            wanted = [(number, item) for number in range(1, self.repeat + 1) for item in longest]
            futures: list[Future[Result]] = [pool.submit(self._one, item, number) for number, item in wanted]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                self.stop.set()
                for future in futures:
                    future.cancel()
                raise

    def _one(self, scenario: Scenario, number: int) -> Result:
        namespace = f"sc-{scenario.name}-{number}-{secrets.token_hex(2)}"
        ground = self.ground
        kubectl = Kubectl(ground.kubeconfig)
        place = Place(kubectl, namespace, ground.image, ground.platform_namespace, ground.node)
        label = f"{scenario.name} {number}"
        run = Run(
            scenario=scenario,
            number=number,
            place=place,
            watch=Watch(ground.kubeconfig, namespace),
            approver=ground.approver,
            stop=self.stop,
            say=lambda text: self.tell(label, text),
            external=ground.external,
            keep=self.keep,
            checks=Checks(ground.rerun()) if ground.rerun is not None else None,
        )
        return run.run()
