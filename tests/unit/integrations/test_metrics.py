"""Dashboards and rules speak of series that exist: the platform's registries, or kube-state-metrics'."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from analysis.api.metrics import Metrics as AnalysisMetrics
from controllers.runtime.metrics import Metrics as ControllerMetrics
from crds.v1alpha1.actionplan import PlanState
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.incident import IncidentState
from crds.v1alpha1.verification import Verdict
from devcluster.errors import ClusterError
from devcluster.toolchain import Toolchain
from integrations.grafana.generate import generated_files
from notifications.health import Health
from tests.unit.integrations.support import FOLDER, has_field

RULES = FOLDER / "prometheus" / "iirp.rules.yaml"
PLURALS = {"Incident": "incidents", "ActionPlan": "actionplans", "Approval": "approvals"}
METRIC = re.compile(r"\biirp_[a-z_]+|\biirp:[a-z_:]+")


def names(registry: CollectorRegistry) -> set[str]:
    """Series names of a registry, with the suffixes that a scrape shows."""
    found: set[str] = set()
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    for metric in registry.collect():
        found |= {metric.name + suffix for suffix in suffixes[metric.type]}
    return found


def state_metrics() -> dict[str, tuple[str, dict[str, Any]]]:
    """Series of the kube-state-metrics configuration: (kind, its ``each``) by name."""
    loaded = yaml.safe_load((FOLDER / "prometheus" / "kube-state-metrics.yaml").read_text())
    return {
        f"{resource['metricNamePrefix']}_{metric['name']}": (resource["groupVersionKind"]["kind"], metric["each"])
        for resource in loaded["spec"]["resources"]
        for metric in resource["metrics"]
    }


def rules() -> list[dict[str, Any]]:
    """All alerts and records."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def exported() -> set[str]:
    """Everything that a query may name."""
    controllers = ControllerMetrics("any")
    controllers.track_queue(lambda: 0, lambda: 0, lambda: 0)
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    registries = (controllers.registry, AnalysisMetrics().registry, Health().registry)
    return {name for registry in registries for name in names(registry)} | set(state_metrics()) | recorded


def queries() -> list[tuple[str, str]]:
    """Every expression, with where it stands."""
    found = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    for name, text in generated_files().items():
        content = json.loads(text)
        found += [(f"{name} {panel['title']}", target["expr"]) for panel in content.get("panels", ())
                  for target in panel["targets"]]  # fmt: skip
        found += [(f"{name} {item['name']}", item["query"]["query"]) for item in
                  content.get("templating", {}).get("list", ()) if item["type"] == "query"]  # fmt: skip
        found += [(name, content["expr"])] if "expr" in content else []
    return found


@pytest.mark.parametrize(("where", "query"), queries())
def test_every_metric_that_is_named_is_exported(where: str, query: str) -> None:
    used = set(METRIC.findall(query))
    assert used, f"{where} is about nothing of ours"
    assert used <= exported(), where


def test_every_exported_metric_of_the_controllers_is_shown() -> None:
    """What is worth exporting is worth looking at; else it should go."""
    shown = {name for _, query in queries() for name in METRIC.findall(query)}
    controllers = ControllerMetrics("any")
    controllers.track_queue(lambda: 0, lambda: 0, lambda: 0)
    families = {metric.name for metric in controllers.registry.collect()}
    assert {family for family in families if not any(name.startswith(family) for name in shown)} == set()


def test_state_metrics_read_fields_that_exist() -> None:
    values = {
        "iirp_incident_state": IncidentState, "iirp_actionplan_state": PlanState, "iirp_approval_state": ApprovalState,
        "iirp_actionplan_verdict": Verdict,
    }  # fmt: skip
    sets = set()
    for name, (kind, each) in state_metrics().items():
        paths = list(each.get("info", {}).get("labelsFromPath", {}).values())
        paths += [each[form]["path"] for form in ("gauge", "stateSet") if form in each]
        assert paths, name
        for path in paths:
            assert has_field(PLURALS[kind], ".".join(path)), f"{name}: {path}"
        if "stateSet" in each:
            sets.add(name)
            assert each["stateSet"]["list"] == [item.value for item in values[name]], name
    assert sets == set(values)


def test_dashboards_are_generated_and_fit_the_grid() -> None:
    for name, text in generated_files().items():
        path = FOLDER / "grafana" / "dashboards" / name
        assert path.read_text() == text, "run python -m integrations.grafana.generate"
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(text).get("panels", ()):
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
            assert not cells & taken, f"{name}: {panel['title']} overlaps another"
            taken |= cells


def promtool() -> Path:
    """The real one; not built for a unit test."""
    try:
        found = Toolchain().find("promtool")
    except ClusterError as error:
        pytest.skip(str(error))
    if found is None:
        pytest.skip("promtool is not built; `make integrations` builds it")
    return found


def test_promtool_accepts_the_rules_and_runs_their_tests() -> None:
    program = promtool()
    for args in (
        ("check", "rules", "--lint=all", "--lint-fatal", RULES.name),
        ("test", "rules", "iirp.rules.test.yaml"),
    ):
        done = subprocess.run([program, *args], cwd=RULES.parent, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_parses_every_dashboard_query(tmp_path: Path) -> None:
    """As recording rules, with Grafana's variables filled in."""
    records = [
        {"record": f"test:query:{index}", "expr": query.replace("$namespace", ".*")}
        for index, (_, query) in enumerate(queries()) if not query.startswith("label_values")
    ]  # fmt: skip
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": records}]}))
    done = subprocess.run([promtool(), "check", "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
