"""Write the dashboards' JSON: ``python -m integrations.grafana.generate [--check]``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from integrations.grafana.dashboards import ALL, ANNOTATION, Dashboard, Panel

HERE = Path(__file__).resolve().parent
HEIGHTS = {"stat": 4, "table": 9, "state-timeline": 7}
SCHEMA_VERSION = 39
"""Grafana 11's; newer ones migrate it by themselves."""
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def generated_files() -> dict[str, str]:
    """File names under ``dashboards/`` and their content."""
    return {f"{board.uid}.json": json.dumps(dashboard(board), indent=2, ensure_ascii=False) + "\n" for board in ALL} | {
        "incident-annotation.json": json.dumps(annotation(), indent=2) + "\n"
    }


def dashboard(board: Dashboard) -> dict[str, Any]:
    """Grafana's model of a dashboard."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.text,
        "tags": ["iirp"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), *(_variable(*item) for item in board.variables.items())]},
        "annotations": {"list": [annotation()]},
        "panels": _placed(board.panels),
    }


def annotation() -> dict[str, Any]:
    """Incidents as marks, for these dashboards and for anybody's own."""
    return {
        "name": "Incidents",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "orange",
        "expr": ANNOTATION,
        "step": "60s",
        "useValueForTime": True,
        "titleFormat": "Incident {{namespace}}/{{name}}",
        "tagKeys": "namespace",
    }


def _placed(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    placed, x, y, row = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        height = HEIGHTS.get(panel.kind, 8)
        if x + panel.width > 24:
            x, y, row = 0, y + row, 0
        placed.append(_panel(panel, number) | {"gridPos": {"x": x, "y": y, "w": panel.width, "h": height}})
        x, row = x + panel.width, max(row, height)
    return placed


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.bad_above is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_above}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "state-timeline":
        shown = {"0": {"text": "down", "color": "red"}, "1": {"text": "up", "color": "green"}}
        defaults["mappings"] = [{"type": "value", "options": shown}]
    now = panel.kind in {"stat", "table"}
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": query,
            "legendFormat": legend,
            "instant": now,
            "range": not now,
            **({"format": "table"} if panel.kind == "table" else {}),
        }
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {},
        "targets": targets,
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; exit code 1 with ``--check`` when a file differs."""
    parser = argparse.ArgumentParser(prog="python -m integrations.grafana.generate")
    parser.add_argument("--check", action="store_true", help="change nothing; list the files that differ and exit 1")
    options = parser.parse_args(arguments)
    wrong = []
    for name, text in generated_files().items():
        path = HERE / "dashboards" / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        wrong.append(name)
        if not options.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for name in wrong:
        sys.stdout.write(f"{'differs' if options.check else 'wrote'}: integrations/grafana/dashboards/{name}\n")
    return 1 if wrong and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
