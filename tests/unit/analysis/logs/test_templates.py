from __future__ import annotations

import pytest

from analysis.logs.templates import literal_part, new_templates, template
from analysis.telemetry.loki import LogLine


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cache miss, loading 50 entries", "cache miss, loading <*> entries"),
        ("2026-01-02T03:04:05.678Z WARN took 12.5ms", "<*> WARN took <*>ms"),
        ('10.0.0.7:4312 - "POST /pay HTTP/1.1" 200 12', "<*> - <*> <*> <*>"),
        ("order 9f1c2b3a-0000-4000-8000-1234567890ab failed", "order <*> failed"),
        ("user=42 path=/items/17/x", "user=<*> path=/items/<*>/x"),
        ("worker-3 done", "worker-<*> done"),
        ("v1 of http2 stays", "v1 of http2 stays"),
        ("   spaces \t collapse ", "spaces collapse"),
    ],
)
def test_variable_parts_are_masked(line: str, expected: str) -> None:
    assert template(line) == expected


def test_same_kind_of_line_same_template_whatever_came_before() -> None:
    assert template("loading 1 entries") == template("loading 99999 entries")


def test_only_new_kinds_are_told_most_frequent_first() -> None:
    before = [LogLine(1, "GET ok 12"), LogLine(2, "started")]
    after = [LogLine(5, "GET ok 99"), *[LogLine(10 + n, f"cache miss {n}") for n in range(3)], LogLine(9, "oh no")]
    found = new_templates(before, after, limit=5)
    assert [(one.text, one.count, one.first_at) for one in found] == [("cache miss <*>", 3, 10), ("oh no", 1, 9)]


def test_very_long_lines_are_cut() -> None:
    assert len(template("x" * 10_000)) <= 160


def test_literal_part_is_the_longest_constant() -> None:
    assert literal_part("<*> cache miss, loading <*> entries") == "cache miss, loading"
