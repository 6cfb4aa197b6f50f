"""Heads in memory, as :class:`controllers.audit.anchor.S3Anchor` keeps them."""

from __future__ import annotations

from datetime import datetime

from controllers.audit.chain import Head


class Heads:
    """A store that locks."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Head]] = {}

    def put(self, log: str, head: Head, now: datetime) -> bool:
        self.kept.setdefault(log, []).append(head)
        return True

    def heads(self, log: str) -> list[Head]:
        return list(self.kept.get(log, []))
