from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from analysis.history.similar import Traits, most_alike, words_of

THEN = datetime(2030, 5, 1, tzinfo=UTC)
LOGS = frozenset({"cache miss <*>", "evicting <*>"})
WANTED = Traits("f" * 16, "MemoryLeak", ("Deployment", "payments"), "MemoryLeak", LOGS, frozenset({"image"}))


def row(uid: str, **changes: Any) -> dict[str, Any]:
    usual = {
        "uid": uid, "fingerprint": "0" * 16, "type": "HighLatency", "target_kind": "Deployment", "target_name": "other",
        "cause_kind": "", "templates": [], "changed": [], "started_at": THEN,
    }  # fmt: skip
    return usual | changes


SAME = {"fingerprint": "f" * 16, "type": "MemoryLeak", "target_name": "payments"}


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        (SAME, True),
        ({"type": "MemoryLeak"}, False),
        ({"target_name": "payments"}, False),
        ({"type": "OOMKilled", "target_name": "payments", "cause_kind": "MemoryLeak", "templates": list(LOGS)}, True),
        ({"type": "MemoryLeak", "cause_kind": "MemoryLeak", "templates": list(LOGS)}, True),
        ({"templates": list(LOGS), "changed": ["image"]}, False),
    ],
)
def test_one_agreement_is_a_coincidence(changes: dict[str, Any], alike: bool) -> None:
    assert bool(most_alike(WANTED, [row("a", **changes)], 3)) is alike


def test_the_most_alike_come_first_then_the_newest_and_each_says_why() -> None:
    rows = [
        row("old", **SAME),
        row("new", **SAME, started_at=THEN + timedelta(days=1)),
        row("best", **SAME, cause_kind="MemoryLeak", templates=["cache miss <*>"], changed=["image"]),
    ]
    found = most_alike(WANTED, rows, 3)
    assert [one.row["uid"] for one in found] == ["best", "new", "old"]
    assert found[0].why == (
        "the same fault, type MemoryLeak, Deployment payments, cause MemoryLeak, 1 log templates, what was changed"
    )
    assert len(most_alike(WANTED, rows, 1)) == 1


def test_words_of_changes_are_what_was_touched() -> None:
    assert words_of(["image v1.8 -> v1.9, env CACHE_SIZE added"]) == [
        "CACHE_SIZE",
        "added",
        "env",
        "image",
        "v1.8",
        "v1.9",
    ]
