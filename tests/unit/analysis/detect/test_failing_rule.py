"""One rule that raises on odd data silences no other rule, ends nothing, and is told."""

from __future__ import annotations

import asyncio
import logging

import pytest

from analysis.contract import DetectRequest, PodFact, SourceHealth, Topology
from analysis.detect import evaluate
from analysis.detect.finding import Observed
from analysis.detect.rules import RuleSet
from analysis.detect.service import Detector
from analysis.telemetry.reader import Reader
from analysis.words import moment
from tests.unit.analysis.detect.world import deployment, signal
from tests.unit.analysis.shapes import END
from tests.unit.analysis.telemetry.source import Source

POD = "payments-7c9d8f6b5d-abcde"
DIGEST = "sha256:" + "1" * 64


class Alive:
    async def loki(self) -> SourceHealth:
        return SourceHealth(name="loki", address="", ok=True)


class World:
    """A server whose rule ``broken`` raises; the signals reach both rules of the round."""

    def __init__(self, rules: RuleSet, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.failures, self.broken = END, list[str](), ""
        sound = evaluate.evaluate_signals

        def evaluate_signals(rule, observed):
            if rule.name == self.broken:
                raise ZeroDivisionError("of odd data")
            return sound(rule, observed)

        monkeypatch.setattr(evaluate, "evaluate_signals", evaluate_signals)
        reader = Reader(Source().prometheus())
        self._detector = Detector(
            rules, reader, Alive(), lambda: moment(self.now), failed=self.failures.append  # type: ignore[arg-type]
        )  # fmt: skip

    def look(self, *kinds: str) -> list[str]:
        pod = PodFact(namespace="shop", name=POD, uid="p", containers=("app",), workload=deployment("payments"))
        request = DetectRequest(
            cluster="one",
            topology_digest=DIGEST,
            topology=Topology(digest=DIGEST, pods=(pod,)),
            signals=tuple(signal(kind, POD, self.now - 5, count=4) for kind in kinds),
        )
        self.now += 5
        answer = asyncio.run(self._detector.detect(request))
        return sorted(kind for one in answer.candidates for kind in (one.type, *(more.type for more in one.signals)))


@pytest.fixture
def world(rules: RuleSet, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(rules, monkeypatch)


def test_the_other_rules_go_on(world: World) -> None:
    assert "OOMKilled" in world.look("OOMKilled", "ImagePull")
    world.broken = "oom-killed"
    assert "ImagePullFailed" in world.look("ImagePull")
    assert world.failures == ["oom-killed"]


def test_what_the_rule_reported_stays_until_it_can_be_evaluated(world: World) -> None:
    assert world.look("OOMKilled") == ["OOMKilled"]
    world.broken = "oom-killed"
    world.now += 3600
    assert world.look() == ["OOMKilled"]
    world.broken = ""
    world.look()
    world.now += 3600
    assert world.look() == []


def test_it_is_counted_each_round_and_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.broken = "oom-killed"
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            world.look("OOMKilled")
    assert world.failures == ["oom-killed"] * 3
    (record,) = (one for one in caplog.records if one.name == "analysis.detect.service")
    assert "oom-killed" in record.getMessage()
    assert "ZeroDivisionError" in record.getMessage()


def test_where_nobody_is_told_the_error_is_raised(rules: RuleSet, world: World) -> None:
    """As in `iirp rules test`, which is there to show it."""
    world.broken = "oom-killed"
    with pytest.raises(ZeroDivisionError):
        evaluate.evaluate_all(rules, Observed(now=END, pods={}))
