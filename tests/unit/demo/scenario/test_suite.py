"""Many runs: how many at once, what runs alone, and how it ends early."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.tell import Teller
from demo.scenario import perform as module
from demo.scenario.model import Scenario
from demo.scenario.perform import Options, perform
from demo.scenario.run import Result
from demo.scenario.suite import Ground, Suite
from tests.unit.demo.scenario.test_judge import T0, seen

GROUND = Ground(Path("k"), Kubectl(Path("k")), "shop:1", "iirp-system", "node")


def scenario(name: str, **changes: Any) -> Scenario:
    return Scenario.model_validate({"name": name, "title": name, "expect": {"none": "1s"}, **changes})


def result(of: Scenario, number: int = 1, *problems: str, **changes: Any) -> Result:
    values: dict[str, Any] = {
        "scenario": of, "number": number, "namespace": "sc", "started_at": T0, "seconds": 1.0, "injected_at": T0,
        "incidents": (), "problems": problems, **changes,
    }  # fmt: skip
    return Result(**values)


def suite(monkeypatch: pytest.MonkeyPatch, one: Any, *scenarios: Scenario, repeat: int = 1, parallel: int = 2) -> Suite:
    monkeypatch.setattr(Suite, "_one", one)
    return Suite(GROUND, scenarios, repeat, parallel, tell=lambda *_: None)


def test_at_most_so_many_run_at_once_and_who_wants_to_be_alone_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, running, crowds = threading.Lock(), set[str](), dict[str, int]()
    both = threading.Barrier(2, timeout=10)

    def one(_: Suite, of: Scenario, number: int) -> Result:
        with lock:
            running.add(f"{of.name}{number}")
            crowds[f"{of.name}{number}"] = len(running)
        if not of.alone:
            both.wait()  # passes only when two run at the same time
        with lock:
            crowds[f"{of.name}{number}"] = max(crowds[f"{of.name}{number}"], len(running))
            running.discard(f"{of.name}{number}")
        return result(of, number)

    made = suite(monkeypatch, one, scenario("a"), scenario("b"), scenario("c", alone=True), repeat=2)
    done = [(item.scenario.name, item.number) for item in made.run()]
    assert sorted(done) == [("a", 1), ("a", 2), ("b", 1), ("b", 2), ("c", 1), ("c", 2)]
    assert [name for name, _ in done[-2:]] == ["c", "c"], "after the others"
    assert (crowds["c1"], crowds["c2"]) == (1, 1)
    assert max(crowds.values()) == 2


def test_ending_early_stops_what_runs_and_starts_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def one(self: Suite, of: Scenario, number: int) -> Result:
        begun.append(of.name)
        if of.name != "a":
            assert self.stop.wait(10), "told to end"
        return result(of, number)

    made = suite(monkeypatch, one, *(scenario(name) for name in ("a", "b", "c", "d")), parallel=1)
    runs = made.run()
    assert next(runs).scenario.name == "a"
    runs.close()
    assert made.stop.is_set()
    assert "d" not in begun


class Quiet:
    """Stands for the watchers that need a cluster."""

    def __init__(self, *_: Any) -> None:
        self.seen: dict[str, Any] = {}
        self.samples = [(datetime(2026, 1, 1, 10, 0, 0, tzinfo=UTC), {"external loki": 90.0})]

    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def performed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *results: Result) -> tuple[bool, dict[str, Any], str]:
    for name in ("Elsewhere", "Memory", "Watch"):
        monkeypatch.setattr(module, name, Quiet)
    rest = iter(results)
    monkeypatch.setattr(Suite, "_one", lambda *_: next(rest))
    out = io.StringIO()
    teller = Teller(Console(file=out, highlight=False, soft_wrap=True, width=200))
    path = tmp_path / "deep" / "out.json"
    good = perform(GROUND, [item.scenario for item in results], Options(report=path), teller)
    return good, json.loads(path.read_text()), out.getvalue()


def test_the_report_has_it_all_and_one_failure_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leak = seen(40, cause="MemoryLeak", confidence=80, action="RestartDeployment", outcome="CameTrue")
    wanted = {"incidents": [{"type": "MemoryLeak", "target": "Deployment/payments"}]}
    broken = scenario("leak", hard=True, group="robustness", expect=wanted, steps=[{"wait": "1s"}])
    good, report, shown = performed(
        monkeypatch, tmp_path, result(broken, incidents=(leak,)), result(scenario("quiet"), 1, "it was not quiet")
    )
    assert not good
    runs = {run["scenario"]: run for run in report["runs"]}
    assert (runs["leak"]["delaySeconds"], runs["leak"]["incidentCount"], runs["leak"]["passed"]) == (40.0, 1, True)
    assert runs["leak"]["incidents"][0]["cause"] == "MemoryLeak"
    assert runs["leak"]["memoryMiB"]["external loki"]["highest"] == 90.0
    assert runs["quiet"]["problems"] == ["it was not quiet"]
    assert report["summary"] == {
        "runs": 2, "passed": 1, "predictions": {"CameTrue": 1},
        "hardFaults": {"n": 1, "delayMedianSeconds": 40.0, "delayP95Seconds": 40.0},
    }  # fmt: skip
    assert "FAILED: it was not quiet" in shown
    assert "1 of 2 passed" in shown
    assert "external loki" in shown


def test_a_delay_is_that_of_what_was_expected_not_of_what_came_instead() -> None:
    wanted = {"incidents": [{"type": "MemoryLeak", "target": "Deployment/payments"}]}
    of = scenario("leak", expect=wanted, steps=[{"wait": "1s"}])
    other = seen(10, "u2", type="HighLatency")
    assert result(of, incidents=(other, seen(40))).delay == 40
    assert result(of, incidents=(other,)).delay is None


def test_all_as_expected_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good, report, _ = performed(monkeypatch, tmp_path, result(scenario("quiet")))
    assert good
    assert report["elsewhere"] == []


def test_what_this_cluster_cannot_do_is_said_before_anything_starts(tmp_path: Path) -> None:
    kills = scenario("kills", steps=[{"external": {"part": "loki", "do": "kill"}}])
    with pytest.raises(DemoFailed, match="scenario kills: needs an external side that this tool started"):
        perform(GROUND, [kills], Options(), Teller(Console(file=io.StringIO())))
