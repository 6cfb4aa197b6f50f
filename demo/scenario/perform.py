"""`iirp demo --scenario`: the platform, the runs, their progress, the table and the report."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text

from controllers.kube.client import connect
from demo import platform
from demo.driver import people
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.tell import Teller, clock
from demo.driver.watch import Watch
from demo.scenario.memory import Memory
from demo.scenario.model import Scenario, seconds
from demo.scenario.place import APPROVER
from demo.scenario.report import report, sizes_of, table
from demo.scenario.run import Result
from demo.scenario.suite import Elsewhere, Ground, Suite
from external.credentials import ReaderToken
from external.query import Gateway
from external.rerun import Rerun

__all__ = ["Options", "existing_ground", "own_ground", "perform"]


@dataclass(frozen=True, slots=True)
class Options:
    """How often, how many at once, where the report goes, whether namespaces stay."""

    repeat: int = 1
    parallel: int = 1
    report: Path | None = None
    keep: bool = False


def own_ground(name: str, values: Sequence[Path]) -> Ground:
    """The platform of that name, brought up or up to date first."""
    stage = platform.up(name, values=values)
    return Ground(
        kubeconfig=stage.kubeconfig,
        approver=people.as_user(stage.provider, stage.kubeconfig, APPROVER),
        image=stage.images["shop"].reference,
        platform_namespace=platform.PLATFORM_NAMESPACE,
        node=_node(stage.kubectl),
        external=stage.external,
        scrape_seconds=_scrape_interval(stage.kubectl, platform.PLATFORM_NAMESPACE),
        rerun=partial(_rerun, stage.kubeconfig, stage.external.urls.local_gateway, stage.external.ca_file),
    )


def existing_ground(kubeconfig: Path, image: str, platform_namespace: str) -> Ground:
    """A cluster on which the platform runs already; nothing of it is changed. DemoFailed when it does not."""
    kubectl = Kubectl(kubeconfig)
    found = kubectl.attempt("get", "deployment", "-n", platform_namespace, "-o", "name")
    if found.returncode != 0 or "detection" not in found.stdout:
        raise DemoFailed(
            "looking for the platform",
            f"no detection controller in namespace {platform_namespace}: {found.stderr.strip() or 'not installed'}",
            "helm list -A, and --platform-namespace where it runs elsewhere",
        )
    gateway, ca_file = os.environ.get("IIRP_EXTERNAL_URL"), os.environ.get("IIRP_CA_FILE")
    return Ground(
        kubeconfig=kubeconfig,
        approver=Kubectl(kubeconfig, (f"--as={APPROVER}",)),
        image=image,
        platform_namespace=platform_namespace,
        node=_node(kubectl),
        scrape_seconds=_scrape_interval(kubectl, platform_namespace),
        rerun=partial(_rerun, kubeconfig, gateway, Path(ca_file) if ca_file else None) if gateway else None,
    )


def _rerun(kubeconfig: Path, gateway: str, ca_file: Path | None) -> Rerun:
    return Rerun(Gateway(gateway, ca_file, ReaderToken(kubeconfig)), connect(kubeconfig))


def perform(ground: Ground, scenarios: Sequence[Scenario], options: Options, teller: Teller) -> bool:
    """Runs them all, tells, writes the report; True when everything passed. KeyboardInterrupt after cleaning up."""
    _check(ground, scenarios)
    runs = len(scenarios) * options.repeat
    teller.heading(f"{runs} runs of {len(scenarios)} scenarios, {options.parallel} at a time")
    if ground.rerun is None:
        teller.line("reports are not verified: set IIRP_EXTERNAL_URL (and IIRP_CA_FILE) to the gateway")
    suite = Suite(
        ground=ground, scenarios=scenarios, repeat=options.repeat, parallel=options.parallel,
        tell=lambda run, text: _line(teller, run, text), keep=options.keep,
    )  # fmt: skip
    results: list[Result] = []
    started = datetime.now(UTC)
    memory = Memory(Kubectl(ground.kubeconfig), ground.node, ground.platform_namespace, ground.external)
    with Elsewhere(Watch(ground.kubeconfig, "")) as elsewhere, memory:
        try:
            for result in suite.run():
                results.append(result)
                _tell_result(result, teller)
        finally:
            about = {
                "startedAt": started.isoformat(timespec="seconds"),
                "parallel": options.parallel,
                "planned": runs,
                "scrapeIntervalSeconds": ground.scrape_seconds,
            }
            written = report(results, list(elsewhere.seen.values()), memory.samples, about)
            _show(results, written, teller)
            if options.report is not None:
                _write(options.report, written)
                teller.line(f"report: {options.report}")
    return len(results) == runs and not elsewhere.seen and not any(item.problems for item in results)


def _check(ground: Ground, scenarios: Sequence[Scenario]) -> None:
    for item in scenarios:
        steps = [*item.steps, *item.cleanup]
        if ground.external is None and any(step.external for step in steps):
            raise DemoFailed(f"scenario {item.name}", "needs an external side that this tool started")
        if not ground.image and item.setup.shop:
            raise DemoFailed(f"scenario {item.name}", "needs the shop's image", "--shop-image REFERENCE")


def _tell_result(result: Result, teller: Teller) -> None:
    name = f"{result.scenario.name} {result.number}"
    if not result.problems:
        _line(teller, name, f"passed in {result.seconds:.0f} s", "bold green")
    for problem in result.problems:
        _line(teller, name, f"FAILED: {problem}", "bold red")


def _line(teller: Teller, run: str, text: str, style: str = "") -> None:
    teller.line(f"{clock(teller.elapsed):>6}  {run:<20} {text}", style)


def _show(results: Sequence[Result], written: dict[str, Any], teller: Teller) -> None:
    teller.heading("Results")
    teller.console.print(table(results), soft_wrap=False)
    if any(item.scenario.group == "robustness" for item in results):
        teller.heading("Memory (MiB)")
        teller.console.print(sizes_of(written), soft_wrap=False)
    summary = written["summary"]
    hard = summary["hardFaults"]
    if hard["n"]:
        scrape = written["scrapeIntervalSeconds"]
        goal = "" if scrape is None else f"; scrape interval + 5 s is {scrape + 5:g} s"
        median, p95 = hard["delayMedianSeconds"], hard["delayP95Seconds"]
        teller.line(f"delay of {hard['n']} hard faults: median {median} s, p95 {p95} s{goal}")
    if summary["predictions"]:
        counted = ", ".join(f"{outcome} {count}" for outcome, count in summary["predictions"].items())
        teller.line(f"predictions: {counted}")
    for item in written["elsewhere"]:
        teller.line(f"incident where nothing was broken: {item['namespace']}/{item['name']} {item['type']}", "bold red")
    teller.console.print(Text(f"  {summary['passed']} of {summary['runs']} passed", "bold"))


def _write(path: Path, written: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(written, indent=2) + "\n")
    partial.replace(path)


def _node(kubectl: Kubectl) -> str:
    nodes = kubectl.json("get", "nodes")["items"]
    return str(nodes[0]["metadata"]["name"]) if nodes else ""


def _scrape_interval(kubectl: Kubectl, namespace: str) -> float | None:
    """Of the platform's own agent; None where something else collects the metrics."""
    done = kubectl.attempt("get", "configmap", "iirp-prometheus-agent", "-n", namespace, "-o", "yaml")
    found = re.search(r"scrape_interval:\s*(\d+(?:ms|s|m))\b", done.stdout)
    return seconds(found[1]) if found else None
