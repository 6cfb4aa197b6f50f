"""Carries out one step of a scenario, with the words that a person would use for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from demo.driver.errors import DemoFailed
from demo.scenario.model import Apply, Delete, ExternalStep, FaultStep, HealStep, LoadStep, Patch, Restart, Scale, Step
from demo.scenario.place import Place
from external.plane import ExternalPlane

__all__ = ["Hands"]

_RAMP_STEP = 5.0
BASE_RATE = 8.0
"""What the shop's visitors send from the beginning; demo/manifests/10-config.yaml."""

Pause = Callable[[float], None]


@dataclass
class Hands:
    """`pause` lets time pass, watches meanwhile, and raises when the run is to end."""

    place: Place
    pause: Pause
    external: ExternalPlane | None = None
    rate: float = BASE_RATE

    def do(self, step: Step) -> str:
        """Does it; returns what was done in a few words. Raises DemoFailed."""
        ((name, thing),) = step.things().items()
        done: str = getattr(self, f"_{name}")(thing)
        return done

    def _wait(self, duration: float) -> str:
        self.pause(duration)
        return f"waited {duration:.0f} s"

    def _fault(self, step: FaultStep) -> str:
        pods = self.place.shop.break_it(step.workload, step.name, dict(step.parameters), step.pods)
        return f"{step.name} in {len(pods)} pods of {step.workload}"

    def _heal(self, step: HealStep) -> str:
        self.place.shop.fix(step.workload, step.name)
        return f"{step.name} off in {step.workload}"

    def _load(self, step: LoadStep) -> str:
        before, begun = self.rate, time.monotonic()
        while (passed := time.monotonic() - begun) < step.over:
            self.place.shop.load(before + (step.rate - before) * passed / step.over)
            self.pause(min(_RAMP_STEP, step.over - passed))
        self.place.shop.load(step.rate)
        self.rate = step.rate
        return f"load {before:g} → {step.rate:g}/s"

    def _apply(self, step: Apply) -> str:
        self.place.apply(step.manifests)
        return f"applied {', '.join(_short(self.place.filled(item)) for item in step.manifests)}"

    def _patch(self, step: Patch) -> str:
        patch = json.dumps(self.place.filled(step.patch))
        self._kubectl("patch", step.kind, step.name, f"--type={step.type}", "-p", patch, namespace=step.namespace)
        return f"patched {step.kind}/{step.name}"

    def _scale(self, step: Scale) -> str:
        self._kubectl("scale", f"{step.kind}/{step.name}", f"--replicas={step.replicas}", namespace=step.namespace)
        return f"scaled {step.kind}/{step.name} to {step.replicas}"

    def _restart(self, step: Restart) -> str:
        target = f"deployment/{step.name}"
        self._kubectl("rollout", "restart", target)
        seconds = f"--timeout={step.within:.0f}s"
        self._kubectl("rollout", "status", target, seconds, timeout=step.within + 10)
        return f"restarted {step.name}"

    def _delete(self, step: Delete) -> str:
        which = [step.name] if step.name else ["-l", str(step.selector)]
        force = ["--grace-period=0", "--force"] if step.force else []
        self._kubectl(
            "delete", step.kind, *which, "--ignore-not-found", "--wait=false", *force, namespace=step.namespace
        )
        return f"deleted {step.kind} {which[-1]}"

    def _external(self, step: ExternalStep) -> str:
        if self.external is None:
            raise DemoFailed(f"{step.do} {step.part}", "the external side of this cluster was not started by this tool")
        getattr(self.external, step.do)(step.part)
        return f"{step.do} {step.part}"

    def _kubectl(self, *arguments: str, namespace: str | None = None, timeout: float = 60.0) -> None:
        self.place.kubectl.run(*arguments, "-n", namespace or self.place.namespace, timeout=timeout)


def _short(item: dict[str, object]) -> str:
    metadata = item.get("metadata")
    name = metadata.get("name", "?") if isinstance(metadata, dict) else "?"
    return f"{str(item.get('kind', '?')).lower()}/{name}"
