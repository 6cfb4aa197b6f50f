from __future__ import annotations

from analysis.logs.templates import literal_part, new_templates
from analysis.telemetry.loki import LogLine


def test_only_new_kinds_are_told_most_frequent_first() -> None:
    before = [LogLine(1, "GET ok 12"), LogLine(2, "started")]
    after = [LogLine(5, "GET ok 99"), *[LogLine(10 + n, f"cache miss {n}") for n in range(3)], LogLine(9, "oh no")]
    found = new_templates(before, after, limit=5)
    assert [(one.text, one.count, one.first_at) for one in found] == [("cache miss <*>", 3, 10), ("oh no", 1, 9)]


def test_health_checks_are_no_news() -> None:
    after = [LogLine(1, '10.0.0.1 "GET /healthz HTTP/1.1" 200 kube-probe/1.36'), LogLine(2, "GET /health of mind")]
    assert new_templates([LogLine(0, "up")], after, limit=5) == ()


def test_a_stack_trace_is_told_by_its_first_line() -> None:
    trace = "ValueError: bad amount\n  at pay(main.py:1)\n  at run(main.py:2)"
    assert [one.text for one in new_templates([LogLine(0, "up")], [LogLine(1, trace)], 5)] == ["ValueError: bad amount"]


def test_very_long_lines_are_cut() -> None:
    (found,) = new_templates([LogLine(0, "up")], [LogLine(1, "x" * 10_000)], limit=5)
    assert len(found.text) == 160


def test_literal_part_is_the_longest_constant() -> None:
    assert literal_part("<*> cache miss, loading <*> entries") == "cache miss, loading"


def test_the_literal_part_is_found_in_the_line() -> None:
    line = '{"level":"error","msg":"cannot reach bank","attempt":3}'
    (found,) = new_templates([LogLine(0, "up")], [LogLine(1, line)], limit=5)
    assert literal_part(found.text) in line
