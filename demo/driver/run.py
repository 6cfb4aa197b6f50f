"""The demo as a whole: platform, shop, baseline, incident, ending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from demo import platform
from demo.driver import people
from demo.driver.baseline import needs, wait_for_baseline
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl, down_command, path_hint, ui_command
from demo.driver.shop import NAMESPACE, Shop
from demo.driver.story import Outcome, Scenario, Story
from demo.driver.tell import Teller, clock
from demo.platform import Platform
from images.build import Built

__all__ = ["run"]

_BASELINE_TIMEOUT = 180.0


def run(name: str, approve: str, teller: Teller, values: Sequence[Path] = ()) -> bool:
    """The whole of it; True when the incident ended as it should. Raises what the steps raise."""
    missing = platform.missing_programs()
    if missing:
        teller.line(
            f"first run on this machine: {', '.join(missing)} are built from source, about 10 minutes on 2 cores"
        )
    teller.heading("A cluster, and the platform on it" + ("" if missing else "  (about 1½ minutes)"))
    stage = platform.up(name, values=values, meanwhile=_open_shop)
    shop = Shop(stage.kubectl)
    alice, bob = (people.as_user(stage.provider, stage.kubeconfig, user) for user in ("alice", "bob"))
    story = Story(stage.kubectl, alice, bob, teller, approve, cluster=stage.name)
    teller.heading("A shop: frontend → checkout → payments, and a catalogue  (about a minute)")
    shop.wait()
    story.prepare()
    teller.output(stage.kubectl.run("get", "pods", "-n", NAMESPACE))
    urls = stage.external.urls
    teller.line("its normal state is being learned: a change needs a before")
    wait_for_baseline(needs(urls.prometheus, urls.loki, shop.pods("payments")), _BASELINE_TIMEOUT, teller.line)
    teller.heading("The incident  (about 2½ minutes)")
    outcome = story.run(Scenario())
    _ending(stage, outcome, teller)
    return outcome.succeeded


def _open_shop(kubectl: Kubectl, images: Mapping[str, Built]) -> None:
    """As early as possible: the longer the shop has run, the better its normal state is known."""
    shop = Shop(kubectl)
    shop.namespace()
    shop.deploy(images["shop"].reference)


def _ending(stage: Platform, outcome: Outcome, teller: Teller) -> None:
    incident = outcome.chain.incident
    name = incident.metadata.name
    teller.heading("What there is to see")
    teller.command(f"kubectl get iirp -n {NAMESPACE}")
    teller.output(stage.kubectl.run("get", "iirp", "-n", NAMESPACE))
    teller.heading(f"The story, as incident/{name} has it")
    teller.timeline(incident.status.timeline)
    teller.heading("How it ended")
    teller.console.print(f"  state {incident.status.state}, verdict {incident.status.verdict}", style="bold green")
    prediction = incident.status.detection.prediction if incident.status.detection else None
    margin = ""
    if prediction is not None:
        seconds = (prediction.expected_at - incident.spec.detected_at).total_seconds()
        margin = f", {seconds:.0f} s before the {prediction.resource} limit was to be reached"
    teller.console.print(f"  called {outcome.detected:.0f} s after the fault{margin}; OOM kills: {outcome.killed}")
    teller.console.print(
        f"  fault → {incident.status.state}: {clock(outcome.resolved)}; whole demo: {clock(teller.elapsed)}"
    )
    teller.heading("Look around")
    if hint := path_hint():
        teller.command(hint)
    teller.command(f"export KUBECONFIG={stage.kubeconfig}")
    teller.command(f"kubectl describe incident {name} -n {NAMESPACE}")
    teller.console.print("  the incident's page, as somebody who may look:")
    teller.command(ui_command(stage.name, "oncall", name))
    teller.console.print("  when you are done:")
    teller.command(down_command(stage.name))
    if not outcome.succeeded:
        raise DemoFailed(
            "the ending",
            f"state {incident.status.state}, verdict {incident.status.verdict}, OOM kills {outcome.killed}: "
            "a good end is Resolved, Effective and 0",
            stage.kubectl.shown("describe", "iirp", "-n", NAMESPACE),
        )
