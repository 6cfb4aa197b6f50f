"""The readers on tiny folders of the sets' layouts, and the figures on cases whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import logs, rca
from benchmarks.rca_data import kind_of, nezha


def sock_shop(root: Path) -> None:
    folder = root / "cart-cpu" / "1"
    folder.mkdir(parents=True)
    head = "time,cart_cpu,cart_lat_50,db_cpu,db_lod\n"
    for name, cpu in (("normal", 1), ("anomalous", 9)):
        rows = [f"{second},{cpu + second % 3 / 10},{0.1 + second % 2 / 100},2.{second % 5},4" for second in range(40)]
        (folder / f"{name}.csv").write_text(head + "\n".join(rows) + "\n")


def pet_shop(root: Path) -> None:
    scenario = root / "quiet"
    issue = scenario / "test" / "issue_0"
    for folder in (scenario / "noissue", issue):
        folder.mkdir(parents=True)
    (scenario / "graph.csv").write_text(",web,pay\nweb,0.0,1.0\npay,0.0,0.0\n")
    head = "microservice,web,pay,web,pay,web,pay\nmetric,latency,latency,availability,availability,requests,requests\n"
    head += "statistic,Average,Average,Average,Average,Sum,Sum\nunix_timestamp,,,,,,\n"
    quiet = [f"{300 * n},0.1{n % 3},0.05{n % 2},100,100,50,40" for n in range(60)]
    (scenario / "noissue" / "metrics.csv").write_text(head + "\n".join(quiet) + "\n")
    slow = [
        f"{90000 + 300 * n},{value[0]},{value[1]},100,100,50,40"
        for n, value in enumerate([(0.1, 0.05), *[(0.5, 0.4)] * 4])
    ]
    (issue / "metrics.csv").write_text(head + "\n".join(slow) + "\n")
    target = {"node": "web", "metric": "latency", "agg": "Average", "timestamp": 90500}
    (issue / "target.json").write_text(json.dumps({"target": target, "root_cause": {"node": "pay"}}))


def online_boutique(root: Path) -> None:
    day = root / "2030-01-01"
    (day / "metric").mkdir(parents=True)
    fault = {"inject_time": "2030-01-01 01:00:00", "inject_pod": "pay-12ab-x", "inject_type": "cpu"}
    (day / "2030-01-01-fault_list.json").write_text(json.dumps({"01": [fault]}))
    begin = 1893456000
    for pod in ("pay-12ab-x", "web-34cd-y"):
        rows = [f"t,{begin + 60 * n + 5},{pod},{90 if pod[0] == 'p' and n >= 60 else 5},0.1,7" for n in range(80)]
        text = "Time,TimeStamp,PodName,CpuUsageRate(%),PodServerLatencyP90(s),NodeCpuUsageRate(%)\n" + "\n".join(rows)
        (day / "metric" / f"{pod}_metric.csv").write_text(text)
    for name in ("source_50", "destination_50"):
        rows = [f"t,{begin + 60 * n},0.1" for n in range(80)]
        (day / "metric" / f"{name}.csv").write_text("time,timestamp,web_pay\n" + "\n".join(rows))
    (day / "metric" / "dependency.csv").write_text("Source,Target,Weight\nweb,pay,1\nweb,10.0.0.1,1\n")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            sock_shop,
            {("rcd", "service AC@1"): 1.0, ("rcd", "metric AC@1"): 1.0, ("rcd", "onset found within 15 s"): 1.0},
        ),
        (pet_shop, {("petshop", "top-1"): 1.0, ("petshop", "top-3"): 1.0, ("petshop", "specificity"): 1.0}),
        (online_boutique, {("nezha", "service AS@1"): 1.0}),
    ],
)
def test_any_folder_of_the_layout_is_measured(tmp_path: Path, make, expected) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    found = {(row.set, row.measure): row.value for row in rca.rows(tmp_path)}
    assert {key: found[key] for key in expected} == expected
    assert any("dummy" in measure for _, measure in found)
    assert any("naive" in measure for _, measure in found)


def test_injection_times_are_utc(tmp_path: Path) -> None:
    online_boutique(tmp_path)
    (case,) = nezha(tmp_path)
    assert case.onset == 1893459600.0
    assert case.calls["web"] == {"pay"}


@pytest.mark.parametrize(("name", "kind"), [("lat_50", "latency"), ("CpuUsage(m)", "resource"), ("lod", "traffic")])
def test_metrics_are_told_by_their_names(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_nothing_there_is_said_and_fails_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert logs.run(["--data", str(tmp_path)]) == 0
    assert "skipped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("predicted", "expected"), [([1, 1, 2], (1.0, 1.0)), ([1, 2, 3], (1 / 3, 0.4)), ([1, 1, 1], (0.0, 0.0))]
)
def test_grouping_is_scored_by_groups_that_are_exactly_right(
    predicted: list[int], expected: tuple[float, float]
) -> None:
    assert logs.score(predicted, ["a", "a", "b"]) == pytest.approx(expected)
