from __future__ import annotations

import random

import pytest

from analysis.logs.mining import mine
from analysis.logs.tokens import MAX_TOKENS, Tokenizer, layout


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cache miss, loading 50 entries", "cache miss, loading <*> entries"),
        ("2026-01-02T03:04:05.678Z WARN took 12.5ms", "<*> WARN took <*>"),
        ("order 9f1c2b3a-0000-4000-8000-1234567890ab failed", "order <*> failed"),
        ("user=42 path=/items/17/x", "user=<*> path=<*>"),
        ("connect to https://pay.example/v1?x=1 failed", "connect to <*> failed"),
        ("connect to db-0.db.shop.svc:5432 failed", "connect to <*> failed"),
        ("worker-3 done", "<*> done"),
        ("sizes 1 2 3 4 in [5, 6]", "sizes <*> in [<*>]"),
        ('{"level":"info","took":12}', '{"level":"info","took":<*>}'),
        ("plain words stay", "plain words stay"),
        ("", ""),
    ],
)
def test_what_varies_by_nature_is_masked(line: str, expected: str) -> None:
    assert mine([line]).templates == [expected]


def test_words_that_vary_are_found_by_comparison() -> None:
    names = ["anna", "ben", "carl", "dora", "emil", "fritz", "gina"]
    mined = mine([f"session opened for user {name} by root" for name in names] + ["server started"])
    assert mined.groups == [0] * 7 + [1]
    assert mined.templates == ["session opened for user <*> by root", "server started"]


def test_few_different_words_are_different_statements() -> None:
    mined = mine(["link up on port 1", "link down on port 2", "link up on port 3", "link down on port 4"])
    assert mined.groups == [0, 1, 0, 1]


def test_a_prefix_that_all_lines_have_does_not_make_them_one_kind() -> None:
    says = [
        "cache warmed up",
        "queue drained fully",
        "leader elected again",
        "lease renewed early",
        "probe answered late",
    ]
    lines = [f"Sun Dec 04 04:47:{n:02} INFO shop worker {say} {n}" for n, say in enumerate(says * 3)]
    mined = mine(lines)
    assert len(mined.templates) == len(says)
    assert mined.templates[0] == "<*> INFO shop worker cache warmed up <*>"


def test_names_stay_variable_under_a_prefix() -> None:
    lines = [f"INFO shop hello {name}" for name in ("anna", "ben", "carl", "dora", "emil", "fritz")]
    assert mine(lines).templates == ["INFO shop hello <*>"]


def test_lists_of_any_length_are_one_kind() -> None:
    assert len(mine(["replicate to 10.0.0.1", "replicate to 10.0.0.1 10.0.0.2", "replicate to"]).templates) == 2


def test_order_does_not_change_the_groups() -> None:
    lines = [f"{verb} item {n} of {name}" for n, verb in enumerate(["get", "put"] * 6) for name in ("a", "b", "c")]
    first = mine(lines)
    shuffled = random.Random(1).sample(range(len(lines)), len(lines))
    second = mine([lines[at] for at in shuffled])
    assert [second.templates[group] for group in second.groups] == [
        first.templates[first.groups[at]] for at in shuffled
    ]


@pytest.mark.parametrize("line", ["a=1, b=2;; c  (d) 7 8", '["x"]', "===", "  lead and trail  ", "w " * 400, "1 2 3"])
def test_layout_and_tokens_agree(line: str) -> None:
    assert tuple(token for _, token in layout(line)[:-1]) == Tokenizer().tokens(line)
    assert len(Tokenizer().tokens(line)) <= MAX_TOKENS


def test_no_lines_no_templates() -> None:
    mined = mine([])
    assert (mined.groups, mined.templates) == ([], [])
