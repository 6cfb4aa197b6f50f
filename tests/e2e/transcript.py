"""What kubectl printed, as a block of a page: compared with the page by every run, written by ``IIRP_WRITE_DOCS=1``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.support import Cluster

DOCS = Path(__file__).resolve().parents[2] / "docs"
_VOLATILE = (
    (re.compile(r"act-[0-9a-f]{16}"), "act-5f0c9d2e4b7a8813"),
    (re.compile(r"sha256:[0-9a-f]{64}"), "sha256:…"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "9f2c…"),
    (re.compile(r"\b([0-9]+m)?[0-9]+s\b"), "12s"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "2026-01-02T14:09:31Z"),
    (re.compile(r"\b([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"), "14:39:31Z"),
)


@dataclass
class Transcript:
    """Commands and their output, in order. ``names``: what is called otherwise on every run -> what the page says."""

    cluster: Cluster
    namespace: str
    names: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def run(self, *args: str, as_user: str | None = None) -> str:
        """Run kubectl in the namespace and keep what it printed. Fails the test when it fails."""
        out = self.cluster.ok(*args, "-n", self.namespace, as_user=as_user)
        quoted = " ".join(f"'{part}'" if re.search(r"[^\w./=:,@-]", part) else part for part in args)
        self.lines += [
            f"$ kubectl -n shop {quoted}" + (f"        # as {as_user}" if as_user else ""),
            *out.splitlines(),
        ]
        return out

    def text(self) -> str:
        """All of it, with the names of the page and without what differs from run to run."""
        found = "\n".join(line.rstrip() for line in self.lines)
        for name, word in {self.namespace: "shop", **self.names}.items():
            found = found.replace(name, word)
        for pattern, word in _VOLATILE:
            found = pattern.sub(word, found)
        return found

    def settle(self, page: str, block: str) -> None:
        """Compare with the page, spaces aside, or write it.

        Raises:
            AssertionError: the page shows something else; says how to write it.
        """
        path = DOCS / page
        head, rest = path.read_text(encoding="utf-8").split(f"<!-- begin {block} -->\n")
        shown, tail = rest.split(f"<!-- end {block} -->")
        fresh = f"```\n{self.text()}\n```\n"
        if os.environ.get("IIRP_WRITE_DOCS"):
            path.write_text(f"{head}<!-- begin {block} -->\n{fresh}<!-- end {block} -->{tail}", encoding="utf-8")
            return
        same = shown.split() == fresh.split()
        assert same, f"docs/{page} shows another {block}; IIRP_WRITE_DOCS=1 writes it:\n{fresh}"
